// A test that fails before it stops what it started ends all the same.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporary } from './processes.mjs';

const here = dirname(fileURLToPath(import.meta.url));

test('a failure leaves no clew, no target and no hanging file behind', { timeout: 60000 }, () => {
  const dir = temporary('e2e'), file = join(dir, 'fails.test.mjs'), pid = join(dir, 'pid');
  writeFileSync(file, `
import test from 'node:test';
import { writeFileSync } from 'node:fs';
import { startClew } from '${here}/clew.mjs';
import { startTarget } from '${here}/prometheus.mjs';
test('fails', async () => {
  await startTarget(() => ({ type: 'text/plain', body: '' }));
  const clew = await startClew([], ${JSON.stringify(dir)});
  writeFileSync(${JSON.stringify(pid)}, String(clew.pid));
  throw new Error('before the end');
});
`);
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT; // else it would report to the runner of this file
  const run = spawnSync(process.execPath, ['--test', '--test-reporter=tap', file], { encoding: 'utf8', timeout: 30000, env });
  assert.equal(run.signal, null, 'it hangs');
  assert.match(run.stdout, /^# fail 1$/m);
  assert.match(run.stdout, /before the end/);
  assert.throws(() => process.kill(Number(readFileSync(pid, 'utf8')), 0), { code: 'ESRCH' });
  rmSync(dir, { recursive: true, force: true });
});
