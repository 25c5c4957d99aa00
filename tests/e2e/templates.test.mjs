// Templates of annotations: `clew rules test` and Debian's promtool over the same templates, each with the text that both must give.
import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { binary } from './clew.mjs';
import { temporary } from './processes.mjs';

const rows = JSON.parse(readFileSync(new URL('templates.json', import.meta.url), 'utf8')); // [template, text]

test('templates become the texts that promtool says', (t) => {
  const dir = temporary('templates');
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const rules = rows.map(([template], i) => ({ alert: `A${i}`, expr: 'vector(0.25)', annotations: { t: template } }));
  const tests = rows.map(([, text], i) => ({ eval_time: '0m', alertname: `A${i}`, exp_alerts: [{ exp_annotations: { t: text } }] }));
  writeFileSync(join(dir, 'rules.yml'), JSON.stringify({ groups: [{ name: 'g', rules }] }));
  writeFileSync(join(dir, 'test.yml'), JSON.stringify({ rule_files: ['rules.yml'], tests: [{ alert_rule_test: tests }] }));
  for (const [program, ...args] of [[binary, 'rules', 'test'], ['promtool', 'test', 'rules']]) {
    const r = spawnSync(program, [...args, join(dir, 'test.yml')], { encoding: 'utf8' });
    assert.equal(r.status, 0, `${program}: ${r.stdout}${r.stderr}`);
  }
});
