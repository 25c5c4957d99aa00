// Administration by the API against the real binary: who may, what storage says against the files on disk, the command line beside it.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { binary, startClew } from './clew.mjs';
import { shop } from './page-data.mjs';

let clew, root;
const tokens = {};
const call = (path, token, { method = 'GET', body, ...headers } = {}) => fetch(clew.api + path, { method, body: body && JSON.stringify(body),
  headers: { ...(body && { 'Content-Type': 'application/json' }), ...(token && { Authorization: `Bearer ${token}` }), ...headers } });
const answer = async (...ask) => {
  const a = await call(...ask);
  assert.equal(a.status, 200, `${ask[0]}: ${await a.clone().text()}`);
  return a.json();
};
const make = async (name, role, tenant, token = root) => (await answer('/api/v1/admin/tokens', token, { method: 'POST', body: { name, role, tenant } })).token;
const run = (args, env = {}) => {
  const r = spawnSync(binary, args, { encoding: 'utf8', timeout: 60000, env: { ...process.env, ...env } });
  return { code: r.status, out: r.stdout, err: r.stderr };
};

before(async () => {
  clew = await startClew(['--retention', '20d']);
  await shop(clew);
  root = await make('root', 'admin', '*', undefined); // the first, from this machine, without one
  for (const role of ['ingest', 'read', 'operate', 'admin']) tokens[role] = await make(`${role}-of-default`, role, 'default');
});
after(async () => {
  const status = await clew?.stop();
  assert.deepEqual(status, { code: 0, signal: null });
});

test('every role at every route of administration', async () => {
  const reads = [['/api/v1/admin/status', 'operate'], ['/api/v1/admin/storage', 'operate'], ['/api/v1/admin/retention', 'operate'], ['/api/v1/admin/tokens', 'admin']];
  const writes = [['/api/v1/admin/tokens', 'admin', 400], ['/api/v1/admin/tokens/nobody/revoke', 'admin', 404]];
  const may = { operate: ['operate', 'admin'], admin: ['admin'] };
  for (const [path, needs] of reads) {
    assert.equal((await call(path)).status, 401);
    for (const role of Object.keys(tokens)) assert.equal((await call(path, tokens[role])).status, may[needs].includes(role) ? 200 : 403, `${path} by ${role}`);
  }
  for (const [path, needs, fine] of writes) {
    assert.equal((await call(path, undefined, { method: 'POST', body: {} })).status, 401);
    for (const role of Object.keys(tokens)) assert.equal((await call(path, tokens[role], { method: 'POST', body: {} })).status, may[needs].includes(role) ? fine : 403, `${path} by ${role}`);
  }
});

test('made and revoked tokens are those of the command line, in its file, and told in the audit log', async () => {
  const secret = await make('short-lived', 'read', 'default');
  assert.equal((await call('/api/v1/services', secret)).status, 200);
  const file = join(clew.dir, 'data/tokens.json');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(readFileSync(file, 'utf8').includes(secret.split('_')[2]), false);
  const listed = JSON.parse(run(['token', 'list', '--json', '--data', join(clew.dir, 'data')]).out);
  const own = (await answer('/api/v1/admin/tokens', root)).tokens;
  assert.deepEqual(own.map(({ last_used, is_own, is_expired, ...t }) => t), listed.map(({ ...t }) => t));
  assert.ok(own.find((t) => t.name === 'short-lived').last_used);
  assert.deepEqual(await answer('/api/v1/admin/tokens/short-lived/revoke', root, { method: 'POST' }), { revoked: true });
  assert.equal((await call('/api/v1/services', secret)).status, 401);
  assert.equal(run(['token', 'list', '--data', join(clew.dir, 'data')]).out.includes('short-lived'), false);
  const audit = readFileSync(join(clew.dir, 'data/audit.jsonl'), 'utf8');
  for (const part of ['"action":"token_added","token":"short-lived"', '"action":"token_removed","token":"short-lived"', '"path":"/api/v1/admin/tokens/short-lived/revoke"']) assert.ok(audit.includes(part), part);
  assert.equal(audit.includes(secret.split('_')[2]), false);
});

test('storage is the files on disk to the byte, and its rows are those sent', async () => {
  await answer('/api/v1/admin/flush', root, { method: 'POST' });
  const said = await answer('/api/v1/admin/storage?limit=1000&distinct=true', root);
  assert.equal(said.partial, false);
  for (const s of said.signals) {
    const folder = join(clew.dir, 'data/tenants/default', s.signal);
    const parts = readdirSync(folder).filter((f) => f.endsWith('.part')).map((f) => statSync(join(folder, f)).size);
    const sum = (v) => v.reduce((a, b) => a + b, 0);
    assert.equal(s.bytes, sum(parts));
    assert.equal(s.parts, parts.length);
    assert.equal(sum(s.columns.map((c) => c.bytes)), s.bytes);
    assert.equal(sum(s.services.map((v) => v.bytes)), s.bytes);
    assert.equal(sum(Object.values(s.bytes_by_kind)), s.bytes);
    assert.equal(sum(s.services.map((v) => v.rows)), s.rows);
    assert.deepEqual([s.columns_left_out.count, s.memory.rows], [0, 0]);
  }
  const [spans, logs] = said.signals;
  assert.equal(spans.rows, 840);
  assert.deepEqual(Object.fromEntries(spans.services.map((v) => [v.service, v.rows])), { web: 360, cart: 240, pay: 120, mail: 120 });
  assert.deepEqual(Object.fromEntries(logs.services.map((v) => [v.service, v.rows])), { web: 120, pay: 120 });
  const column = (name) => spans.columns.find((c) => c.kind === 'attribute' && c.name === name);
  assert.equal(column('order.id').values, 840);
  assert.ok(Math.abs(column('order.id').distinct_values - 120) <= 8, String(column('order.id').distinct_values));
  assert.equal(column('http.response.status_code').distinct_values, 2);
  const few = (await answer('/api/v1/admin/storage?limit=1&signal=spans', root)).signals[0];
  assert.equal(few.columns[0].bytes + few.columns_left_out.bytes, few.bytes);
});

test('retention says what is in force, by what, and what would go', async () => {
  const r = await answer('/api/v1/admin/retention', root);
  assert.deepEqual(r.settings.retention_ns, { value: 20 * 86_400e9, from: 'flag', flag: '--retention', variable: 'CLEW_RETENTION' });
  assert.equal(r.settings.disk_use_max_percent.from, 'default');
  assert.deepEqual(r.signals[0].would_go.map((w) => [w.retention_days, w.rows]), [[7, 0], [14, 0], [30, 0]]);
});

test('clew storage says the same of a running clew and of its files', async () => {
  const env = { CLEW_TOKEN: root }, online = run(['storage', '--server', clew.api, '--json'], env);
  assert.equal(online.code, 0, online.err);
  const text = run(['storage', '--server', clew.api, '--traces', '--limit', '3'], env);
  assert.equal(text.code, 0, text.err);
  assert.match(text.out, /^spans {2}.* in \d parts?, 840 rows of [\d.]+ B\n/);
  assert.match(text.out, /and \d+ more \(--limit\)/);
  assert.match(text.out, / by service\n {2}web /);
  assert.equal(run(['storage', '--server', clew.api], { CLEW_TOKEN: tokens.read }).code, 4);
  assert.equal(run(['storage', '--limit', '0', '--server', clew.api], env).code, 2);
  assert.equal(run(['storage', '--data', join(clew.dir, 'data')]).code, 5, 'a clew runs on it');
  await clew.stop({ keep: true });
  const offline = run(['storage', '--data', join(clew.dir, 'data'), '--json']);
  assert.equal(offline.code, 0, offline.err);
  assert.deepEqual(JSON.parse(offline.out), JSON.parse(online.out));
  assert.notEqual(run(['storage', '--data', join(clew.dir, 'nowhere')]).code, 0);
  clew = await startClew([], clew.dir);
});
