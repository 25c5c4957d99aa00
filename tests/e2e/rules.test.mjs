// Rules of Prometheus in a running clew: evaluated, kept over a kill, reloaded, told to Debian's Alertmanager; promtool beside for checks.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { binary, startClew, until } from './clew.mjs';
import { spawn, temporary } from './processes.mjs';
import { ask, load } from './promql.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const shared = process.env.CLEW_SHARED ?? join(here, '../../../shared');
const run = (program, ...args) => spawnSync(program, args, { encoding: 'utf8' });
const folder = () => temporary('rules');

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(() => resolve(port)); });
});

const rules = `groups:
  - name: quick
    interval: 1s
    rules:
      - record: load:double
        expr: load * 2
      - alert: Loaded
        expr: load:double > 10
        for: 1s
        labels: {severity: page}
        annotations: {summary: "{{ $labels.host }} has {{ $value }}"}
`;
const alerts = async (clew) => (await ask(clew, '/api/v1/alerts')).body.data.alerts;

async function startAlertmanager(dir) {
  const port = await freePort(), config = join(dir, 'alertmanager.yml');
  writeFileSync(config, 'route: {receiver: none, group_wait: 1s}\nreceivers: [{name: none}]\n');
  const child = spawn('prometheus-alertmanager', [`--config.file=${config}`, `--storage.path=${join(dir, 'alertmanager')}`, `--web.listen-address=127.0.0.1:${port}`, '--cluster.listen-address='], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  await until(() => fetch(`${url}/-/ready`), (a) => a.ok);
  const list = async () => (await fetch(`${url}/api/v2/alerts`)).json();
  return { url, list, stop: () => child.kill('SIGTERM') };
}

test('an alert fires, survives kill -9, is resolved; Alertmanager hears of it', { skip: run('prometheus-alertmanager', '--version').error && 'no prometheus-alertmanager' }, async (t) => {
  const dir = folder(), file = join(dir, 'r.yml');
  writeFileSync(file, rules);
  const manager = await startAlertmanager(dir);
  t.after(() => manager.stop());
  const options = ['--rules', join(dir, '*.yml'), '--alertmanager', manager.url];
  mkdirSync(join(dir, 'rules'));
  writeFileSync(join(dir, 'rules/r.yml'), rules);
  options[1] = join(dir, 'rules/*.yml');
  let clew = await startClew(options);
  t.after(() => clew.stop());
  await load(clew, 'load{host="a"} 7\nload{host="b"} 2\n');
  const [fired] = await until(() => alerts(clew), (v) => v[0]?.state === 'firing');
  assert.deepEqual(fired.labels, { alertname: 'Loaded', host: 'a', severity: 'page' });
  assert.deepEqual(fired.annotations, { summary: 'a has 14' });
  assert.equal(fired.value, '1.4e+01');
  const [heard] = await until(() => manager.list(), (v) => v.length === 1);
  assert.deepEqual(heard.labels, fired.labels);
  assert.equal(heard.status.state, 'active');
  assert.match(heard.generatorURL, /\/graph\?g0\.expr=load%3Adouble%20%3E%2010&g0\.tab=1$/);
  assert.ok(Date.parse(heard.endsAt) > Date.now() + 60000);

  await clew.stop({ signal: 'SIGKILL', keep: true });
  clew = await startClew(options, clew.dir);
  const [again] = await until(() => alerts(clew), (v) => v[0]?.state === 'firing');
  assert.equal(again.activeAt, fired.activeAt);
  assert.equal((await ask(clew, '/api/v1/query?query=ALERTS_FOR_STATE')).body.data.result[0].value[1], String(Math.floor(Date.parse(fired.activeAt) / 1000)));

  await load(clew, 'load{host="a"} 1\n');
  await until(() => alerts(clew), (v) => v.length === 0);
  await until(() => manager.list(), (v) => v.length === 0); // it is resolved: no longer among those that are active
  await until(() => ask(clew, '/api/v1/query?query=ALERTS'), (a) => a.body.data.result.length === 0);
  assert.equal((await ask(clew, '/api/v1/alertmanagers')).body.data.activeAlertmanagers[0].url, `${manager.url}/api/v2/alerts`);
});

test('an Alertmanager that fails is asked again, one that refuses is not', async (t) => {
  const dir = folder(), bodies = { again: [], refused: [] };
  writeFileSync(join(dir, 'r.yml'), 'groups:\n- name: g\n  interval: 1s\n  rules:\n  - {alert: A, expr: vector(1)}\n');
  const listen = (answer) => new Promise((resolve) => {
    const server = createHttpServer((request, reply) => {
      let body = '';
      request.on('data', (d) => { body += d; }).on('end', () => { reply.statusCode = answer(JSON.parse(body)); reply.end(); });
    }).listen(0, '127.0.0.1', () => resolve(server));
  });
  const again = await listen((body) => (bodies.again.push(body) <= 2 ? 503 : 200)), refused = await listen((body) => { bodies.refused.push(body); return 400; });
  t.after(() => { again.close(); refused.close(); });
  const url = (server) => `http://127.0.0.1:${server.address().port}/`;
  const clew = await startClew(['--rules', join(dir, 'r.yml'), '--alertmanager', url(again), '--alertmanager', url(refused), '--external-url', 'https://clew.example']);
  t.after(() => clew.stop());
  await until(async () => bodies.again.length, (n) => n >= 3);
  assert.deepEqual(bodies.again.map((b) => b.length), [1, 1, 1]); // the same, until it arrives
  assert.deepEqual(bodies.again[2], bodies.again[0]);
  const [alert] = bodies.again[0];
  assert.deepEqual(alert.labels, { alertname: 'A' });
  assert.equal(alert.generatorURL, 'https://clew.example/graph?g0.expr=vector%281%29&g0.tab=1');
  assert.equal(Date.parse(alert.endsAt) - Date.parse(alert.startsAt), 240000);
  assert.equal(bodies.refused.length, 1);
  const figures = async () => (await (await fetch(`${clew.api}/metrics`)).text()).split('\n').filter((l) => l.startsWith('clew_notify_')).sort();
  const of = (name, server, n) => `clew_notify_${name}{alertmanager="${url(server)}api/v2/alerts"} ${n}`;
  assert.deepEqual(await until(figures, (v) => v.includes(of('sent_alerts_total', again, 1)) && v.includes(of('queued', again, 0)) && v.includes(of('dropped_alerts_total', refused, 1))),
    [of('dropped_alerts_total', again, 0), of('dropped_alerts_total', refused, 1), of('dropped_batches_total', again, 0), of('dropped_batches_total', refused, 0), of('failed_calls_total', again, 2), of('failed_calls_total', refused, 0),
      of('queued', again, 0), of('queued', refused, 0), of('sent_alerts_total', again, 1), of('sent_alerts_total', refused, 0)].sort());
});

test('a prometheus.yml alone: its rules are evaluated, its Alertmanagers told, under its labels; links lead to the page', async (t) => {
  const dir = folder(), file = join(dir, 'prometheus.yml'), heard = [];
  const server = await new Promise((resolve) => {
    const made = createHttpServer((request, reply) => {
      let body = '';
      request.on('data', (d) => { body += d; }).on('end', () => { heard.push({ path: request.url, alerts: JSON.parse(body) }); reply.end(); });
    }).listen(0, '127.0.0.1', () => resolve(made));
  });
  t.after(() => server.close());
  mkdirSync(join(dir, 'rules'));
  writeFileSync(join(dir, 'rules/a.yml'), 'groups:\n- name: g\n  rules:\n  - {alert: A, expr: vector(1) > 0, annotations: {in: "{{ $externalLabels.cluster }}"}}\n');
  writeFileSync(file, `global: { evaluation_interval: 1s, external_labels: { cluster: eu-1, zone: z } }
rule_files: ['rules/*.yml', later.yml]
alerting: { alertmanagers: [{ path_prefix: /am/, static_configs: [{ targets: ['127.0.0.1:${server.address().port}'] }] }] }
`);
  const clew = await startClew(['--scrape-config', file, '--external-label', 'zone=given', '--external-url', 'http://ex.org/']);
  t.after(() => clew.stop());
  await until(async () => heard.length, (n) => n > 0);
  assert.equal(heard[0].path, '/am/api/v2/alerts');
  const [alert] = heard[0].alerts;
  assert.deepEqual(alert.labels, { alertname: 'A', cluster: 'eu-1', zone: 'given' });
  assert.deepEqual(alert.annotations, { in: 'eu-1' });
  assert.equal(alert.generatorURL, 'http://ex.org/graph?g0.expr=vector%281%29%20%3E%200&g0.tab=1');
  const groups = async () => (await ask(clew, '/api/v1/rules')).body.data.groups;
  assert.deepEqual((await groups()).map((g) => [g.name, g.interval, g.file]), [['g', 1, join(dir, 'rules/a.yml')]]);
  for (const below of ['', '/prometheus']) {
    const link = new URL(alert.generatorURL), answer = await fetch(`${clew.api}${below}${link.pathname}${link.search}`, { redirect: 'manual' });
    assert.equal(answer.status, 302);
    const to = new URL(answer.headers.get('Location'), answer.url);
    assert.equal(to.href, `${clew.api}/explore?query=vector%281%29%20%3E%200&as=table`);
    assert.equal((await fetch(to)).status, 200);
  }
  writeFileSync(join(dir, 'later.yml'), 'groups:\n- name: late\n  rules: [{record: r, expr: vector(1)}]\n'); // one that comes is taken
  await until(groups, (list) => list.some((g) => g.name === 'late'), 30);
  writeFileSync(file, "rule_files: ['rules/*.yml']\n"); // and one that is not named any more goes
  await until(groups, (list) => list.length === 1, 30);
});

test('the list of rules, its filters and pages', async (t) => {
  const dir = folder();
  writeFileSync(join(dir, 'a.yml'), rules);
  writeFileSync(join(dir, 'b.yml'), 'groups:\n- name: other\n  interval: 1s\n  rules:\n  - {record: one, expr: vector(1)}\n  - {record: bad, expr: "vector(1) / on() group_left() count(ALERTS) by (alertname)", labels: {team: x}}\n');
  const clew = await startClew(['--rules', join(dir, '*.yml')]);
  t.after(() => clew.stop());
  const list = async (query = '') => (await ask(clew, `/api/v1/rules?${query}`)).body.data;
  const { groups } = await until(() => list(), (d) => d.groups.every((g) => g.rules.every((r) => r.health === 'ok')));
  assert.deepEqual(groups.map((g) => [g.name, g.interval, g.rules.length]), [['quick', 1, 2], ['other', 1, 2]]);
  const names = (d) => d.groups.flatMap((g) => g.rules.map((r) => r.name));
  assert.deepEqual(names(await list('type=alert')), ['Loaded']);
  assert.deepEqual(names(await list('type=record&rule_group[]=other')), ['one', 'bad']);
  assert.deepEqual(names(await list('rule_name[]=one&rule_name[]=Loaded')), ['Loaded', 'one']);
  assert.deepEqual(names(await list(`file[]=${encodeURIComponent(join(dir, 'b.yml'))}`)), ['one', 'bad']);
  assert.deepEqual(names(await list(`match[]=${encodeURIComponent('{team="x"}')}`)), ['bad']);
  const first = await list('group_limit=1');
  assert.equal(first.groups[0].name, 'quick');
  const second = await list(`group_limit=1&group_next_token=${first.groupNextToken}`);
  assert.equal(second.groups[0].name, 'other');
  assert.equal(second.groupNextToken, undefined);
  for (const wrong of ['type=x', 'group_limit=0', 'group_next_token=ab', 'group_limit=1&group_next_token=ab', 'exclude_alerts=perhaps', 'match[]=('])
    assert.equal((await ask(clew, `/api/v1/rules?${wrong}`)).status, 400, wrong);
  assert.equal((await ask(clew, '/api/v1/query?query=one')).body.data.result[0].value[1], '1');

  writeFileSync(join(dir, 'b.yml'), 'groups:\n- name: other\n  rules:\n  - {record: one, expr: "vector("}\n');
  await until(async () => clew.errors(), (e) => /b\.yml:4: group \\"other\\", rule 1, \\"one\\": could not parse expression/.test(e));
  assert.deepEqual(names(await list()).length, 4); // the last good ones stay
  writeFileSync(join(dir, 'b.yml'), 'groups:\n- name: other\n  interval: 1s\n  rules:\n  - {record: two, expr: vector(2)}\n');
  await until(() => ask(clew, '/api/v1/query?query=two'), (a) => a.body.data.result[0]?.value[1] === '2');
  assert.equal((await ask(clew, '/api/v1/query?query=one')).body.data.result.length, 0); // ended with a marker
});

test('a group of rules that is kept is checked as a file would be', async (t) => {
  const clew = await startClew();
  t.after(() => clew.stop());
  const post = async (group) => {
    const answer = await fetch(`${clew.api}/api/v1/rules`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(group, null, 2) });
    return { status: answer.status, text: await answer.text() };
  };
  const group = (expr, more = {}) => ({ name: 'g', interval: '30s', rules: [{ alert: 'Up', expr, for: '1m', labels: { severity: 'page' }, ...more }] });
  for (const [bad, want] of [[group('up =='), /group:\d+: .*unexpected end of input/], [group('up == 0', { labels: { a: '{{ .Nothing' } }), /group:\d+: .*template/i],
    [group('up == 0', { fro: '1m' }), /group:\d+: .*fro/]]) {
    const { status, text } = await post(bad);
    assert.equal(status, 400, text);
    assert.match(text, want);
  }
  const { status, text } = await post(group('up == 0', { annotations: { summary: 'say "no" \u00e4 {{ $labels.job }}' } }));
  assert.equal(status, 200, text);
});

test('rules of kube-prometheus load and evaluate', { skip: !existsSync(join(shared, 'data/alerting/kube-prometheus')) && 'no kube-prometheus (CLEW_SHARED)' }, async (t) => {
  const dir = join(shared, 'data/alerting/kube-prometheus'), files = readdirSync(dir).filter((f) => /^rules-.*\.yaml$/.test(f));
  const verdicts = files.map((f) => [run(binary, 'rules', 'check', join(dir, f)).status, run('promtool', 'check', 'rules', join(dir, f)).status]);
  for (const [mine, theirs] of verdicts) assert.equal(mine, theirs);
  const clew = await startClew(['--rules', join(dir, 'rules-*.yaml')]);
  t.after(() => clew.stop());
  const { groups } = (await ask(clew, '/api/v1/rules')).body.data;
  const all = groups.flatMap((g) => g.rules);
  assert.ok(all.length > 100, String(all.length));
  const done = await until(async () => (await ask(clew, '/api/v1/rules')).body.data.groups.flatMap((g) => g.rules).filter((r) => r.health !== 'unknown'), (v) => v.length > all.length / 4, 70);
  assert.deepEqual(done.filter((r) => r.health !== 'ok').map((r) => [r.name, r.lastError]), []);
});

test('rules check, test and backtest', async (t) => {
  const dir = folder();
  writeFileSync(join(dir, 'r.yml'), rules);
  for (const [text, status] of [[rules, 0], [rules.replace('> 10', '> '), 1], [rules.replace('$value', '$values'), 1], [rules.replace('for:', 'fore:'), 1], ['groups: [{name: a}, {name: a}]\n', 1]]) {
    writeFileSync(join(dir, 'c.yml'), text);
    assert.equal(run(binary, 'rules', 'check', join(dir, 'c.yml')).status, status, text);
    assert.equal(run('promtool', 'check', 'rules', join(dir, 'c.yml')).status, status, text);
  }
  for (const [program, ...args] of [[binary, 'rules', 'check'], ['promtool', 'check', 'rules']]) { // one that is missing does not hide the others
    const r = run(program, ...args, join(dir, 'nowhere.yml'), join(dir, 'r.yml'));
    assert.equal(r.status, 1, program);
    if (program === binary) assert.match(r.stdout, /nowhere\.yml\n  FAILED:\n.*nowhere\.yml: No such file[^]*r\.yml\n  SUCCESS: 2 rules found/);
  }
  writeFileSync(join(dir, 't.yml'), `rule_files: [r.yml]
tests:
  - interval: 1m
    input_series: [{series: 'load{host="a"}', values: 1 7x9}]
    alert_rule_test: [{eval_time: 1m, alertname: Loaded}, {eval_time: 5m, alertname: Loaded, exp_alerts: [{exp_labels: {host: a, severity: page}, exp_annotations: {summary: a has 14}}]}]
`);
  for (const program of [binary, 'promtool']) {
    const args = program === binary ? ['rules', 'test'] : ['test', 'rules'];
    const r = run(program, ...args, join(dir, 't.yml'));
    assert.equal(r.status, 0, r.stdout + r.stderr);
    assert.match(r.stdout, /Unit Testing:  .*t\.yml\n  SUCCESS/);
  }
  const deployed = join(here, '../../deploy/rules');
  assert.equal(run(binary, 'rules', 'test', join(deployed, 'rules-test.yml')).status, 0);

  const clew = await startClew();
  t.after(() => clew.stop());
  const now = Math.floor(Date.now() / 60000) * 60000, at = (minutes, v) => `load:double{host="a"} ${v} ${now - minutes * 60000}\n`;
  await load(clew, [...Array(30).keys()].map((i) => at(60 - i, i % 10 < 5 ? 20 : 1)).join(''));
  writeFileSync(join(dir, 'slow.yml'), rules.replace('interval: 1s', 'interval: 1m'));
  const r = run(binary, 'rules', 'backtest', join(dir, 'slow.yml'), '--last', '2h', '--server', clew.api);
  assert.equal(r.status, 0, r.stderr);
  assert.match(r.stdout, /^Loaded \(.*slow\.yml:\d+, group quick\): would have fired 3 times:\n  it reads what rules of its group record: [^\n]*\n(  \S+Z to \S+Z  \{host="a", severity="page"\}\n){3}$/);
});
