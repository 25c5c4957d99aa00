// Dashboards over HTTP and on the command line: kept, imported, exported; every expression of those that ship, and of deploy/grafana, is asked.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { binary, getJson, startClew, until } from './clew.mjs';
import { temporary } from './processes.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..'), grafana = join(root, 'deploy/grafana');
let clew, work;
before(async () => {
  clew = await startClew(['--host-metrics', 'on', '--host-interval', '1s']);
  work = temporary('boards');
});
after(async () => {
  await clew?.stop();
  rmSync(work, { recursive: true, force: true });
});

const path = '/api/v1/dashboards';
async function call(method, at, body, headers = {}) {
  const answer = await fetch(clew.api + at, { method, headers: { 'Content-Type': 'application/json', ...headers }, body: typeof body === 'string' || body === undefined ? body : JSON.stringify(body) });
  return { status: answer.status, etag: answer.headers.get('etag'), body: await answer.json() };
}
const run = (...args) => spawnSync(binary, ['dashboard', ...args, '--server', clew.api], { encoding: 'utf8' });
/** As the page fills them in, in a range of an hour. */
const filled = (text, values = {}) => text.replace(/\$__rate_interval/g, '1m').replace(/\$__interval/g, '15s').replace(/\$__range/g, '1h').replace(/\$(\w+)/g, (all, name) => values[name] ?? (name.startsWith('__') ? all : '.+'));

async function ask(expr) {
  const now = Date.now() / 1000;
  for (const [kind, params] of [['query', { query: expr }], ['query_range', { query: expr, start: now - 3600, end: now, step: 30 }]]) {
    const answer = await fetch(`${clew.api}/prometheus/api/v1/${kind}?${new URLSearchParams(params)}`), text = await answer.text();
    assert.equal(answer.status, 200, `${expr}: ${text}`);
    assert.equal((await fetch(`${clew.api}/prometheus/api/v1/parse_query?${new URLSearchParams({ query: expr })}`)).status, 200, expr);
    if (kind === 'query') var result = JSON.parse(text).data.result;
  }
  return result;
}

test('every expression of the dashboards that ship is answered, and those of host and clew have values', async () => {
  await until(() => getJson(`${clew.api}/prometheus/api/v1/query?${new URLSearchParams({ query: 'count_over_time(node_load1[1m]) > 2 and on() rate(clew_http_requests_total[1m])' })}`), (a) => a.data.result.length > 0);
  const { dashboards } = await getJson(clew.api + path);
  const shipped = dashboards.filter((d) => d.shipped);
  assert.deepEqual(shipped.map((d) => d.id), ['clew.host', 'clew.containers', 'clew.service', 'clew.clew']);
  const empty = [];
  let asked = 0;
  for (const { id } of shipped) {
    const { body } = await getJson(`${clew.api}${path}/${id}`);
    for (const p of body.panels)
      for (const q of p.queries ?? []) {
        if (q.kind !== 'promql') continue;
        asked++;
        if ((await ask(filled(q.expr.replace(/="\$instance"/g, '=~".+"')))).length === 0) empty.push(`${id} ${p.title}`);
      }
  }
  assert.ok(asked > 60, `${asked}`);
  const wanted = empty.filter((e) => /^clew\.(host|clew)/.test(e) && !/(Refused, by reason|Answers that failed|Scrapes|Pressure|Fullest file system|File systems)$/.test(e));
  assert.deepEqual(wanted, []);
});

test('the files for Grafana: every expression is asked without an error, data sources and places are what they should be', async () => {
  const files = readdirSync(join(grafana, 'dashboards')).sort();
  assert.deepEqual(files, ['clew.json', 'containers.json', 'host.json', 'service.json']);
  let asked = 0;
  for (const file of files) {
    const d = JSON.parse(readFileSync(join(grafana, 'dashboards', file), 'utf8'));
    assert.equal(d.uid, `clew.${file.slice(0, -5)}`);
    assert.equal(d.schemaVersion, 39);
    for (const p of d.panels) {
      assert.ok(p.gridPos.x + p.gridPos.w <= 24 && p.gridPos.w > 0 && p.gridPos.h > 0, p.title);
      for (const t of p.targets ?? []) {
        assert.ok(['clew-prometheus', 'clew-jaeger'].includes(t.datasource.uid));
        if (t.datasource.type !== 'prometheus') continue;
        await ask(filled(t.expr));
        asked++;
      }
    }
    for (const v of d.templating.list) assert.match(v.query, /^label_values\(/);
    const exported = await (await fetch(`${clew.api}${path}/${d.uid}/export?format=grafana`)).text();
    assert.equal(exported, readFileSync(join(grafana, 'dashboards', file), 'utf8'), file);
  }
  assert.ok(asked > 60, `${asked}`);
});

test('the provisioning files are YAML that says what Grafana reads, and lead to APIs that answer', async () => {
  const yaml = (file) => JSON.parse(spawnSync('python3', ['-c', 'import json,sys\ntry:\n import yaml\nexcept ImportError:\n sys.exit(77)\nprint(json.dumps(yaml.safe_load(open(sys.argv[1]))))', join(grafana, 'provisioning', file)], { encoding: 'utf8' }).stdout || 'null');
  const text = readFileSync(join(grafana, 'provisioning/datasources/clew.yml'), 'utf8');
  assert.doesNotMatch(text, /\t/);
  const urls = [...text.matchAll(/url: \$CLEW_URL(\/\w+)/g)].map((m) => m[1]);
  assert.deepEqual(urls, ['/prometheus', '/jaeger']);
  assert.equal((await fetch(`${clew.api}${urls[0]}/api/v1/status/buildinfo`)).status, 200);
  assert.equal((await fetch(`${clew.api}${urls[1]}/api/services`)).status, 200);
  const sources = yaml('datasources/clew.yml'), boards = yaml('dashboards/clew.yml');
  if (!sources) return; // without PyYAML the shape is not read
  assert.deepEqual(sources.datasources.map((d) => [d.uid, d.type, d.access]), [['clew-prometheus', 'prometheus', 'proxy'], ['clew-jaeger', 'jaeger', 'proxy']]);
  assert.equal(boards.apiVersion, 1);
  assert.equal(boards.providers[0].type, 'file');
});

test('a dashboard that lost a race is told, and a wrong one where it is wrong', async () => {
  const doc = { title: 'Race', panels: [{ id: 1, kind: 'stat', x: 0, y: 0, w: 6, h: 4, queries: [{ kind: 'promql', expr: 'up' }] }] };
  const first = await call('PUT', `${path}/race`, doc);
  assert.equal(first.status, 200);
  assert.equal((await call('PUT', `${path}/race`, { ...doc, description: 'b' }, { 'If-Match': first.etag })).status, 200);
  const lost = await call('PUT', `${path}/race`, { ...doc, description: 'c' }, { 'If-Match': first.etag });
  assert.equal(lost.status, 412);
  assert.equal((await getJson(`${clew.api}${path}/race`)).body.description, 'b');
  const wrong = await call('POST', path, { ...doc, title: 'W', panels: [{ ...doc.panels[0], queries: [{ kind: 'promql', expr: 'sum(up' }] }] });
  assert.equal(wrong.status, 400);
  assert.match(wrong.body.error.message, /^panels\[0\]\.queries\[0\]\.expr: 1:7: parse error/);
  assert.equal((await call('DELETE', `${path}/clew.host`)).status, 403);
});

test('bad input: 5 MB, deep, hostile, of other kinds; each is refused with what to do, or tamed', async () => {
  const panels = [{ type: 'text', title: '<img src=x onerror=alert(1)>', options: { mode: 'html', content: '<script>alert(1)</script>' } }];
  const hostile = await call('POST', `${path}/import`, { title: '<script>alert(1)</script>', schemaVersion: 39, panels });
  assert.equal(hostile.status, 200);
  const kept = await getJson(`${clew.api}${path}/${hostile.body.id}`);
  assert.equal(kept.body.title, '<script>alert(1)</script>');
  assert.equal(kept.body.panels[0].text, '<script>alert(1)</script>');
  const padded = (n) => { const head = '{"title":"Big","schemaVersion":39,"x":"', tail = '","panels":[]}'; return head + 'y'.repeat(n - head.length - tail.length) + tail; };
  assert.equal((await call('POST', `${path}/import`, padded(5_000_000))).status, 200);
  const over = await call('POST', `${path}/import?title=Over`, padded(5 * 1048576 + 1));
  assert.equal(over.status, 413);
  assert.match(over.body.error.message, /at most 5 MiB/);
  const deep = await call('POST', `${path}/import`, `${'{"panels":['.repeat(5000)}`);
  assert.equal(deep.status, 400);
  const wide = await call('POST', `${path}/import`, `{"panels":[${'0,'.repeat(2_600_000)}0]}`);
  assert.ok([400, 413].includes(wide.status), `${wide.status}`);
  const many = await call('POST', `${path}/import`, { schemaVersion: 39, panels: Array.from({ length: 501 }, () => ({ type: 'stat' })) });
  assert.equal(many.status, 413);
  assert.match(many.body.error.message, /more than 500 panels/);
  for (const body of ['[]', '"x"', '{}', '{"panels":7}', '{"rows":{}}', '\u0000', '{"panels":[null]}']) assert.equal((await call('POST', `${path}/import`, body)).status, 400, body);
  assert.equal((await fetch(`${clew.api}/health`)).status, 200);
});

test('clew dashboard: list, import with what could not be kept, export for clew and for Grafana', async () => {
  const file = join(work, 'g.json');
  writeFileSync(file, JSON.stringify({ dashboard: { title: 'From a file', schemaVersion: 39, panels: [{ type: 'piechart', title: 'Pie \u001b[31m' }, { type: 'stat', title: 'Up', targets: [{ expr: 'sum(up)' }] }] } }));
  const dry = run('import', file, '--dry-run');
  assert.equal(dry.status, 0, dry.stderr);
  assert.match(dry.stderr, /panels\[0\] \(Pie {2}?\[31m\): a panel of the kind piechart/);
  assert.doesNotMatch(run('list').stdout, /From a file/);
  const kept = run('import', file);
  assert.match(kept.stdout, /^imported From a file as [0-9a-f]{16}\n$/);
  const id = kept.stdout.trim().split(' ').pop();
  assert.match(run('list').stdout, new RegExp(`^${id}  .*From a file$`, 'm'));
  assert.match(run('list').stdout, /^clew\.host +ships with clew +Host$/m);
  assert.equal(run('import', file).status, 5);
  assert.match(run('import', file, '--title', 'Again').stdout, /imported Again/);
  const own = run('export', id);
  assert.equal(JSON.parse(own.stdout).panels[0].was, 'piechart');
  writeFileSync(file, own.stdout);
  assert.match(run('import', file, '--title', 'Third').stdout, /imported Third/);
  const back = JSON.parse(run('export', id, '--grafana').stdout);
  assert.deepEqual(back.panels.map((p) => p.type), ['text', 'stat']);
  assert.equal(run('export', 'nobody').status, 3);
});
