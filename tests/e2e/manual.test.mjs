// Completion and the manual page, by the programs that read them: bash, zsh, groff.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary } from './clew.mjs';
import { temporary } from './processes.mjs';

const clew = (...args) => spawnSync(binary, args, { encoding: 'utf8' }).stdout;
const run = (program, args, input) => spawnSync(program, args, { encoding: 'utf8', input, timeout: 20000 });

/** What bash offers after these words; the last one is under the cursor. */
function bash(...words) {
  const script = `${clew('completion', 'bash')}
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_clew
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const r = run('bash', ['--norc', '-c', script, 'bash', 'clew', ...words]);
  assert.equal(r.stderr, '');
  return r.stdout.trim().split('\n');
}

test('bash completes commands, options, values, files', () => {
  assert.deepEqual(bash('q'), ['query']);
  assert.deepEqual(bash('query', ''), ['traces', 'logs', 'promql', 'attributes', 'values', 'correlations', 'correlation', 'propagation']);
  assert.deepEqual(bash('serve', '--da'), ['--data']);
  assert.deepEqual(bash('load', '--shape', ''), ['law', 'shop', 'node', 'buckets']);
  assert.deepEqual(bash('query', 'traces', '--stat'), ['--status']);
  assert.deepEqual(bash('query', 'traces', '--status', 'e'), ['error']);
  assert.deepEqual(bash('completion', ''), ['bash', 'zsh']);
  assert.deepEqual(bash('token', ''), ['new', 'list', 'revoke']);
  assert.deepEqual(bash('token', 'new', 'ada', '--role', 'a'), ['admin']);
  assert.deepEqual(bash('check', 'r'), ['redact']);
  assert.deepEqual(bash('check', '--d'), ['--data']);
  assert.deepEqual(bash('check', 'redact', '--ru'), ['--rules']);
  const dir = temporary('manual');
  writeFileSync(join(dir, 'a.part'), '');
  assert.deepEqual(bash('dump', `${dir}/`), [`${dir}/a.part`]);
  rmSync(dir, { recursive: true });
});

test('every option that help lists is offered', () => {
  for (const command of ['serve', 'load', 'query logs', 'delete', 'token new', 'check', 'check redact']) {
    const words = command.split(' ');
    const help = clew(...words, '--help').match(/^  --[a-z-]+/gm).map((s) => s.trim());
    const offered = bash(...words, '--');
    for (const option of help) assert.ok(offered.includes(option), `${command} ${option}`);
  }
});

test('zsh takes its completion', () => {
  const text = clew('completion', 'zsh');
  assert.match(text, /^#compdef clew\n/);
  const r = run('zsh', ['-f', '-n'], text);
  assert.equal(r.error, undefined);
  assert.equal(r.stderr, '');
  const dir = temporary('zsh');
  writeFileSync(join(dir, '_clew'), text);
  // A terminal of zsh's own asks for a completion; each of these words has one only.
  for (const [typed, whole] of [['query tra', 'query traces'], ['token rev', 'token revoke'], ['check red', 'check redact'],
    ['token new x --ro', 'token new x --role']]) {
    const script = `zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=; fpath=(${dir} $fpath); autoload -U compinit; compinit -D -u; echo re""ady'
zpty -r -m z x '*ready*'
zpty -w -n z $'clew ${typed}\t--json'
zpty -r -m z x '*${whole.split(' ').at(-1)}*--json*'
print -r -- $x`;
    const asked = run('zsh', ['-f', '-c', script]);
    assert.ok(asked.stdout.includes(`clew ${whole}`), asked.stdout + asked.stderr);
  }
  rmSync(dir, { recursive: true });
});

test('groff reads the manual page without a warning, and it names every command and option', () => {
  const page = clew('man');
  const r = run('groff', ['-man', '-ww', '-Tutf8', '-rLL=200n', '-P-c', '-P-b', '-P-u'], page);
  assert.equal(r.error, undefined);
  assert.equal(r.stderr, '');
  for (const word of clew('load', '--help').match(/--[a-z-]+/g)) assert.ok(r.stdout.replaceAll('−', '-').replaceAll('‐', '-').includes(word), word);
  assert.match(r.stdout, /clew query traces/);
  assert.match(r.stdout, /EXIT STATUS/);
});
