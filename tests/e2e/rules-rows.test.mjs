// Groups of rules as rows: evaluated at once when they change, with their tenant; deleted, bad, tested against the past, exported. Alerts on their way
// over kill -9. What a hostile user does with all that.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createServer as createHttpServer } from 'node:http';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary, startClew, until } from './clew.mjs';
import { ask, load } from './promql.mjs';
import { temporary } from './processes.mjs';

const folder = () => temporary('rows');
const run = (...args) => spawnSync(binary, args, { encoding: 'utf8' });

/** Asks the native API; as whom a token says. */
const api = (clew) => async (method, path, body, { token, tag } = {}) => {
  const headers = { ...(body && { 'Content-Type': 'application/json' }), ...(token && { Authorization: `Bearer ${token}` }), ...(tag && { 'If-Match': tag }) };
  const answer = await fetch(`${clew.api}${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  return { status: answer.status, text, tag: answer.headers.get('ETag'), json: /json/.test(answer.headers.get('Content-Type') ?? '') ? JSON.parse(text) : null };
};
const group = (name, rules, more = {}) => ({ name, interval: '1s', rules, ...more });
const groupsOf = async (call, token) => (await call('GET', '/prometheus/api/v1/rules', undefined, { token })).json.data.groups;
const alertsOf = async (call, token) => (await call('GET', '/prometheus/api/v1/alerts', undefined, { token })).json.data.alerts;

/** An Alertmanager: all alerts that it was told, and how it answers. */
async function fakeManager(answer = () => 200) {
  const alerts = [], bodies = [], held = [];
  const server = createHttpServer((request, reply) => {
    let body = '';
    request.on('data', (d) => { body += d; }).on('end', () => {
      const status = answer(bodies.length, JSON.parse(body));
      bodies.push(JSON.parse(body));
      if (status === 'hang') { held.push(reply); return; }
      if (status === 'lie') { reply.writeHead(200, { 'Content-Length': '100000000' }); reply.write('x'); held.push(reply); return; }
      if (status < 300) alerts.push(...JSON.parse(body));
      reply.statusCode = status;
      reply.end();
    });
  });
  await new Promise((r) => server.listen(0, '127.0.0.1', r));
  return { url: `http://127.0.0.1:${server.address().port}`, alerts, bodies, close: () => { server.closeAllConnections?.(); held.forEach((h) => h.destroy()); server.close(); } };
}
const isResolved = (a) => Date.parse(a.endsAt) <= Date.now();

test('a row is evaluated at once, changed at once, and resolved when it is deleted', async (t) => {
  const manager = await fakeManager();
  const clew = await startClew(['--alertmanager', manager.url, '--external-label', 'cluster=eu-1', '--external-label', 'severity=none']);
  t.after(async () => { await clew.stop(); manager.close(); });
  const call = api(clew);
  await load(clew, 'load{host="a"} 7\n');
  const begun = Date.now();
  const made = await call('POST', '/api/v1/rules', group('mine', [{ record: 'load:double', expr: 'load * 2' },
    { alert: 'Loaded', expr: 'load:double > 10', labels: { severity: 'page' }, annotations: { summary: '{{ $labels.host }} has {{ $value }} in {{ $externalLabels.cluster }}' } }]));
  assert.equal(made.status, 200, made.text);
  const [fired] = await until(() => alertsOf(call), (v) => v[0]?.state === 'firing');
  assert.ok(Date.now() - begun < 5000);
  assert.deepEqual(fired.labels, { alertname: 'Loaded', host: 'a', severity: 'page' });
  assert.equal(fired.annotations.summary, 'a has 14 in eu-1');
  const [shown] = await groupsOf(call);
  assert.deepEqual([shown.name, shown.file, shown.rules.map((r) => r.health)], ['mine', `/api/v1/rules/${made.json.id}`, ['ok', 'ok']]);
  const heard = await until(async () => manager.alerts, (v) => v.length > 0);
  assert.deepEqual(heard[0].labels, { alertname: 'Loaded', host: 'a', severity: 'page', cluster: 'eu-1' });

  const changed = await call('PUT', `/api/v1/rules/${made.json.id}`, group('renamed', [{ alert: 'Loaded', expr: 'load > 5', labels: { severity: 'page' } }]), { tag: made.tag });
  assert.equal(changed.status, 200, changed.text);
  await until(() => groupsOf(call), (g) => g[0].name === 'renamed' && g[0].rules[0].health === 'ok');
  assert.equal((await alertsOf(call))[0].activeAt, fired.activeAt); // it goes on
  await until(() => ask(clew, '/api/v1/query?query=load:double'), (a) => a.body.data.result.length === 0); // what nobody records any more has ended

  assert.equal((await call('DELETE', `/api/v1/rules/${made.json.id}`)).status, 200);
  await until(() => groupsOf(call), (g) => g.length === 0);
  await until(async () => manager.alerts, (v) => v.length > 0 && isResolved(v.at(-1)));
  await until(() => ask(clew, '/api/v1/query?query=ALERTS'), (a) => a.body.data.result.length === 0);
});

test('a tenant has its own rules, data and alerts, and cannot speak for others', async (t) => {
  const dir = folder(), manager = await fakeManager();
  const token = (name, role, tenant) => run('token', 'new', name, '--role', role, '--tenant', tenant, '--data', join(dir, 'data')).stdout.trim();
  const a = { sends: token('a1', 'ingest', 'a'), writes: token('a2', 'operate', 'a'), reads: token('a3', 'read', 'a') };
  const b = { sends: token('b1', 'ingest', 'b'), writes: token('b2', 'operate', 'b') };
  const clew = await startClew(['--alertmanager', manager.url], dir);
  t.after(async () => { await clew.stop(); manager.close(); });
  const call = api(clew);
  for (const [who, value] of [[a, 1], [b, 2]])
    assert.equal((await fetch(`${clew.api}/api/v1/import`, { method: 'POST', headers: { Authorization: `Bearer ${who.sends}`, 'Content-Type': 'text/plain' }, body: `secret ${value}\n` })).status, 200);
  const rules = group('g', [{ record: 'seen', expr: 'secret' }, { alert: 'Seen', expr: 'seen', labels: { tenant: 'default' } }]);
  assert.equal((await call('POST', '/api/v1/rules', rules, { token: a.writes })).status, 200);
  assert.equal((await call('POST', '/api/v1/rules', rules, { token: a.reads })).status, 403);
  const [alert] = await until(() => alertsOf(call, a.writes), (v) => v.length === 1);
  assert.equal(alert.value, '1e+00');
  assert.deepEqual(await alertsOf(call, b.writes), []);
  assert.deepEqual(await groupsOf(call, b.writes), []);
  const value = async (who) => (await call('GET', '/prometheus/api/v1/query?query=seen', undefined, { token: who.writes })).json.data.result.map((r) => r.value[1]);
  assert.deepEqual([await value(a), await value(b)], [['1'], []]);
  const heard = await until(async () => manager.alerts, (v) => v.length > 0);
  assert.equal(heard[0].labels.tenant, 'a'); // whatever the rule says
  assert.deepEqual((await call('GET', '/prometheus/api/v1/alertmanagers', undefined, { token: a.reads })).json.data.activeAlertmanagers, []);
  assert.equal((await call('POST', '/prometheus/-/reload', undefined, { token: a.writes })).status, 403); // files are everybody's
});

test('what fired is told after kill -9, once each and in order; a target that is gone takes its rows along', async (t) => {
  let down = true;
  const manager = await fakeManager(() => (down ? 503 : 200));
  let clew = await startClew(['--alertmanager', manager.url]);
  t.after(async () => { await clew.stop(); manager.close(); });
  let call = api(clew);
  await load(clew, 'load{host="a"} 7\n');
  await call('PUT', '/api/v1/rules/one', group('one', [{ alert: 'One', expr: 'load > 5' }]));
  await until(() => alertsOf(call), (v) => v[0]?.state === 'firing');
  await until(async () => manager.bodies, (b) => b.length > 0);
  await load(clew, 'load{host="a"} 1\n');
  await until(() => alertsOf(call), (v) => v.length === 0);
  await clew.stop({ signal: 'SIGKILL', keep: true });
  manager.bodies.length = 0;
  down = false;
  clew = await startClew(['--alertmanager', manager.url], clew.dir);
  call = api(clew);
  const told = await until(async () => manager.alerts.filter((x) => x.labels.alertname === 'One'), (v) => v.some(isResolved));
  assert.ok(!isResolved(told[0]) || told.length > 1, 'that it fired, first');
  assert.deepEqual(told.map(isResolved), [...told.map(isResolved)].sort()); // false before true
  const { dir } = clew;
  await clew.stop({ keep: true });
  clew = await startClew([], dir);
  await clew.stop({ keep: true });
  const dump = run('dump', join(dir, 'data/records.db')).stdout;
  assert.match(dump, /table jobs: 0 rows/);
  clew = await startClew(['--alertmanager', manager.url], dir);
});

test('an Alertmanager that hangs or lies holds up neither rules nor the end', async (t) => {
  const manager = await fakeManager((n) => (n % 2 ? 'lie' : 'hang'));
  const clew = await startClew(['--alertmanager', manager.url]);
  t.after(() => manager.close());
  const call = api(clew);
  await call('PUT', '/api/v1/rules/one', group('one', [{ alert: 'One', expr: 'vector(time())' }]));
  await until(async () => manager.bodies, (b) => b.length > 0);
  const at = async () => (await groupsOf(call))[0].lastEvaluation;
  const before = await at();
  await until(at, (now) => now > before);
  const begun = Date.now();
  await clew.stop();
  assert.ok(Date.now() - begun < 6000, `${Date.now() - begun} ms`);
});

test('files: SIGHUP and POST /-/reload read them again, half of one resolves nothing, a bad one is refused', async (t) => {
  const dir = folder(), file = join(dir, 'r.yml'), manager = await fakeManager();
  const text = (names) => `groups:\n- name: g\n  interval: 1s\n  rules:\n${names.map((n) => `  - {alert: ${n}, expr: vector(1)}\n`).join('')}`;
  writeFileSync(file, text(['A', 'B']));
  const clew = await startClew(['--rules', file, '--alertmanager', manager.url]);
  t.after(async () => { await clew.stop(); manager.close(); });
  const call = api(clew), names = async () => (await groupsOf(call)).flatMap((g) => g.rules.map((r) => r.name));
  await until(() => alertsOf(call), (v) => v.length === 2);
  writeFileSync(file, text(['A', 'B', 'C']));
  process.kill(clew.pid, 'SIGHUP');
  await until(names, (v) => v.length === 3, 3);
  writeFileSync(file, text(['A']));
  assert.equal((await call('POST', '/prometheus/-/reload')).status, 200);
  assert.deepEqual(await names(), ['A']); // when it has answered
  writeFileSync(file, text(['A']).replace('vector(1)', 'vector('));
  const refused = await call('POST', '/prometheus/-/reload');
  assert.equal(refused.status, 500);
  assert.match(refused.text, /r\.yml:5: .*could not parse expression/);
  assert.deepEqual(await names(), ['A']);
  assert.equal((await call('GET', '/prometheus/-/reload')).status, 405);

  manager.alerts.length = 0; // a writer who takes 8 s, seen by the look each 5 s
  for (let i = 0; i < 16; i++) {
    writeFileSync(file, `${text([])}${' '.repeat(i)}`);
    await new Promise((r) => setTimeout(r, 500)); // the writer's pace, which is what is tested
  }
  writeFileSync(file, text(['A', 'D']));
  await until(names, (v) => v.length === 2);
  assert.deepEqual(manager.alerts.filter(isResolved).map((x) => x.labels.alertname).filter((n) => n === 'A'), []);
});

test('a row that got bad is named, and the others run', async (t) => {
  let clew = await startClew();
  t.after(() => clew.stop());
  let call = api(clew);
  await call('PUT', '/api/v1/rules/good', group('good', [{ alert: 'Good', expr: 'vector(1)' }]));
  await call('PUT', '/api/v1/rules/bad', group('bad', [{ alert: 'Bad', expr: 'vector(1)' }]));
  await until(() => alertsOf(call), (v) => v.length === 2);
  const { dir } = clew;
  await clew.stop({ keep: true });
  const database = join(dir, 'data/records.db'); // as after a change of what clew takes
  const bytes = readFileSync(database), at = bytes.indexOf('{"alert":"Bad","expr":"vector(1)"}');
  assert.ok(at > 0);
  bytes.write('{"alert":"Bad","expr":"victor(1)"}', at);
  writeFileSync(database, bytes);
  clew = await startClew([], dir);
  call = api(clew);
  const shown = await groupsOf(call);
  assert.match(shown.find((g) => g.name === 'bad').error, /unknown function.*victor/);
  await until(() => alertsOf(call), (v) => v.some((x) => x.labels.alertname === 'Good'));
  assert.match(clew.errors(), /a group of rules is not evaluated.*bad/);
  const mended = await call('PUT', '/api/v1/rules/bad', group('bad', [{ alert: 'Bad', expr: 'vector(1)' }]), { tag: '*' });
  assert.equal(mended.status, 200, mended.text);
  await until(() => alertsOf(call), (v) => v.some((x) => x.labels.alertname === 'Bad'));
});

test('check, export, and back again', async (t) => {
  const clew = await startClew();
  t.after(() => clew.stop());
  const call = api(clew);
  const file = `groups:
  - name: web  # a comment
    interval: 30s
    limit: 10
    labels: {team: shop}
    rules:
      - record: job:up:sum
        expr: |
          sum by (job) (
            up
          )
      - alert: 'Down: "now"'
        expr: up == 0
        for: 5m
        keep_firing_for: 1h30m
        labels: {severity: page, code: "0123", yes: 'no'}
        annotations:
          summary: "{{ $labels.job }} ist weg \u00e4\\t!"
`;
  const checked = await call('POST', '/api/v1/rules/check', { text: file });
  assert.equal(checked.status, 200, checked.text);
  assert.deepEqual(checked.json.problems, []);
  const [{ body }] = checked.json.groups;
  assert.equal(body.limit, 10);
  assert.equal(body.rules[1].labels.code, '0123');
  assert.equal((await call('PUT', '/api/v1/rules/web', body)).status, 200);
  const exported = await call('GET', '/api/v1/rules/web/file');
  assert.equal(exported.status, 200);
  const dir = folder();
  writeFileSync(join(dir, 'out.yml'), exported.text);
  writeFileSync(join(dir, 'older.yml'), exported.text.replace(/ {4}limit.*\n {4}labels:\n.*\n/, '')); // Debian's promtool knows no labels of a group
  for (const [program, args] of [[binary, ['rules', 'check', join(dir, 'out.yml')]], ['promtool', ['check', 'rules', join(dir, 'older.yml')]]]) {
    const r = spawnSync(program, args, { encoding: 'utf8' });
    if (r.error) continue;
    assert.equal(r.status, 0, `${exported.text}\n${r.stdout}${r.stderr}`);
  }
  const again = await call('POST', '/api/v1/rules/check', { text: exported.text });
  assert.deepEqual(again.json.groups[0].body, body);
  await call('PUT', '/api/v1/rules/two', { ...body, name: 'two' });
  assert.match((await call('GET', '/api/v1/rules-file')).text, /^groups:\n {2}- name: two\n[\s\S]*\n {2}- name: web\n/);
  const wrong = await call('POST', '/api/v1/rules/check', { text: file.replace('up == 0', 'up ==').replace('severity: page', 'severity: "{{ .x"') });
  assert.deepEqual([wrong.json.groups, wrong.json.problems.map((p) => p.line)], [[], [13, 16]]);
  for (const [text, status] of [['', 200], ['{', 200], ['groups: 5', 200], [undefined, 400], [7, 400], ['a: &a [*a]', 200], ['x'.repeat(3 << 20), 400]])
    assert.ok([status, 413].includes((await call('POST', '/api/v1/rules/check', { text })).status), String(text).slice(0, 20));
});

test('backtest: when it would have fired', async (t) => {
  const clew = await startClew();
  t.after(() => clew.stop());
  const call = api(clew);
  const now = Math.floor(Date.now() / 60000) * 60000, at = (minutes, v) => `load{host="a"} ${v} ${now - minutes * 60000}\n`;
  await load(clew, [...Array(30).keys()].map((i) => at(60 - i, i % 10 < 5 ? 20 : 1)).join(''));
  const text = (expr, more = '') => `groups:\n- name: g\n  interval: 1m\n  rules:\n  - alert: A\n    expr: ${expr}\n${more}`;
  const test_ = async (body, query = '?start=now-2h') => call('POST', `/api/v1/rules/backtest${query}`, { text: body });
  const good = await test_(text('load > 10', '    for: 1m\n    labels: {severity: page, value: "{{ $value }}"}\n'));
  assert.equal(good.status, 200, good.text);
  const [rule] = good.json.rules;
  assert.deepEqual([rule.name, rule.count, rule.line, rule.reads_recorded, rule.step_ns], ['A', 3, 5, false, 60e9]);
  assert.deepEqual(rule.firings.map((f) => [f.labels, Date.parse(f.start) - Date.parse(f.pending), Date.parse(f.end) > Date.parse(f.start)]), Array(3).fill([{ host: 'a', severity: 'page' }, 60000, true]));
  const kept = await test_(text('load > 10', '    keep_firing_for: 1h\n'));
  assert.equal(kept.json.rules[0].count, 1);
  const held = await test_(text('load > 10', '    for: 10m\n'));
  assert.deepEqual([held.json.rules[0].count, held.json.rules[0].firings], [0, []]);
  const still = await test_(text('vector(1)'));
  assert.deepEqual([still.json.rules[0].count, still.json.rules[0].firings[0].end], [1, null]);
  const reads = await test_('groups:\n- name: g\n  rules:\n  - {record: r, expr: load}\n  - {alert: A, expr: r > 0}\n  - {alert: B, expr: "{__name__=~\\"load|x\\"} > 0"}\n');
  assert.deepEqual(reads.json.rules.map((r) => [r.reads_recorded, !!r.error]), [[true, false], [true, false]]);
  const minute = Math.floor(Date.now() / 60000) * 60; // of a range between two evaluations nothing can be said
  for (const [query, status] of [['?start=now&end=now-1h', 400], ['?start=1970-01-01T00:00:00Z', 200], ['?start=-5', 400], ['?start=now-100y', 400], ['?start=x', 400], [`?start=${minute - 50}&end=${minute - 10}`, 400], ['?end=2200-01-01T00:00:00Z&start=now-1h', 200], ['?step=1', 400]]) {
    const { status: got, text: body } = await test_(text('load > 10'), query);
    assert.equal(got, status, `${query}: ${body.slice(0, 200)}`);
  }
  assert.equal((await test_(text('load >'))).status, 400);
  const failing = await test_(text(`'"a"'`));
  assert.match(failing.json.rules[0].error, /not a vector/);
  const stop = new AbortController(); // a question that nobody waits for ends in the server
  const slow = fetch(`${clew.api}/api/v1/rules/backtest?start=now-30d`, { method: 'POST', signal: stop.signal, headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ text: `groups:\n- name: g\n  interval: 15s\n  rules:\n${'  - {alert: A, expr: "count_over_time(load[30d:1s]) > 0"}\n'.repeat(50)}` }) });
  setTimeout(() => stop.abort(), 200);
  await assert.rejects(slow);
});

test('rules that make a cycle, 10,000 rules in rows, too many rules', async (t) => {
  const clew = await startClew();
  t.after(() => clew.stop());
  const call = api(clew);
  await load(clew, 'a 1\n');
  await call('PUT', '/api/v1/rules/one', group('one', [{ record: 'b', expr: 'c + 1 or a' }]));
  await call('PUT', '/api/v1/rules/two', group('two', [{ record: 'c', expr: 'b + 1' }]));
  await until(() => ask(clew, '/api/v1/query?query=c'), (a) => Number(a.body.data.result[0]?.value[1]) > 3); // it counts, a step each second, and no faster
  const many = (name, n) => group(name, [...Array(n).keys()].map((i) => ({ record: `${name}_${i}`, expr: `vector(${i})` })), { interval: '5s' });
  for (const name of ['p', 'q']) assert.equal((await call('PUT', `/api/v1/rules/${name}`, many(name, 5000))).status, 200);
  await until(() => groupsOf(call), (g) => g.filter((x) => x.rules.length === 5000 && x.rules.every((r) => r.health === 'ok')).length === 2, 60);
  for (const name of ['r', 's']) assert.equal((await call('PUT', `/api/v1/rules/${name}`, many(name, 4999))).status, 200);
  const over = await until(() => call('PUT', '/api/v1/rules/t', many('t', 10)), (a) => a.status !== 200 || true);
  assert.ok(over.status === 413 || over.status === 200);
  await until(() => call('PUT', '/api/v1/rules/u', many('u', 100)), (a) => a.status === 413 && /at most 20000/.test(a.text));
});

test('backup and restore know what alerts remember', async (t) => {
  const dir = folder();
  mkdirSync(join(dir, 'other'));
  let clew = await startClew();
  t.after(() => clew.stop());
  let call = api(clew);
  await call('PUT', '/api/v1/rules/one', group('one', [{ alert: 'One', expr: 'vector(1)' }]));
  const [fired] = await until(() => alertsOf(call), (v) => v[0]?.state === 'firing');
  assert.equal(run('backup', join(dir, 'copy'), '--server', clew.api).status, 0);
  await clew.stop();
  const restored = run('restore', join(dir, 'copy'), '--data', join(dir, 'other/data'));
  assert.equal(restored.status, 0, restored.stderr);
  const checked = run('check', '--data', join(dir, 'other/data'));
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  assert.match(run('dump', join(dir, 'other/data/records.db')).stdout, /table alert_states: 1 row/);
  clew = await startClew([], join(dir, 'other'));
  call = api(clew);
  const [again] = await until(() => alertsOf(call), (v) => v[0]?.state === 'firing');
  assert.equal(again.activeAt, fired.activeAt);
});
