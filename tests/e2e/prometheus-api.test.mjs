// Prometheus's HTTP API by its own OpenAPI document (run where it lies; CLEW_PROM_OPENAPI names another place): every path of it is asked,
// by every method that it has, rightly and wrongly, and every answer is held to the schema of its status.
import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { startClew, until } from './clew.mjs';
import { encode, ns, requestOf } from './otlp-metrics.mjs';
import { bytes, message, number } from './otlp.mjs';
import { snappy, writeRequest } from './prometheus.mjs';
import { ask, form, remoteWrite, sendHistogram } from './promql.mjs';
import { temporary } from './processes.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const file = process.env.CLEW_PROM_OPENAPI ?? join(here, '../../../shared/data/prom-openapi/web/api/v1/testdata/openapi_3.1_golden.yaml');

/** What the document is of a newer release than 3.5, whose API this is: answered as what is not there. */
const newer = ['/search/metric_names', '/search/label_names', '/search/label_values', '/scrape_pools/config', '/targets/relabel_steps', '/status/self_metrics', '/status/tsdb/blocks', '/features'];
/** What takes bytes, not parameters, is asked apart. */
const binary = ['/read', '/write', '/otlp/v1/metrics'];

function checker(document) {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addSchema({ $id: 'prometheus', components: document.components });
  const rebase = (schema) => JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"prometheus#/components'));
  return (operation, answer, what) => {
    const response = operation.responses[answer.status] ?? operation.responses.default;
    assert.ok(response, `${what}: ${answer.status} is not in the document`);
    const schema = response.content?.['application/json']?.schema;
    if (!schema) return assert.equal(answer.text, '', what);
    assert.ok(answer.body, `${what}: ${answer.text}`);
    const validate = ajv.compile(rebase(schema)), body = structuredClone(answer.body);
    if (body.data?.resultType === 'string') {
      // The one thing that the document has otherwise than any Prometheus: the time of a text as a string. All else of it holds.
      assert.equal(validate(body), false, `${what}: the document has changed`);
      assert.equal(typeof body.data.result[0], 'number', what);
      body.data.result[0] = String(body.data.result[0]);
    }
    assert.ok(validate(body), `${what}: ${JSON.stringify(validate.errors?.slice(0, 3))}\n${answer.text.slice(0, 1000)}`);
    if (answer.status >= 400) assert.equal(answer.body.status, 'error', what);
  };
}

const now = Math.floor(Date.now() / 1000) * 1000;

const rules = `groups:
- name: shown
  interval: 1s
  rules:
  - {record: hits:sum, expr: sum(hits_total), labels: {kind: sum}}
  - {alert: Always, expr: "vector(1.5)", keep_firing_for: 1m, labels: {severity: page}, annotations: {summary: "{{ $value }}"}}
  - {alert: Pending, expr: hits_total, for: 1h}
  - {record: wrong, expr: "hits_total / on() hits_total"}
`;

async function filled() {
  const file = join(temporary('rules'), 'r.yml');
  writeFileSync(file, rules);
  const clew = await startClew(['--rules', file]);
  const samples = (slope) => Array.from({ length: 21 }, (_, i) => [i * slope, now - (20 - i) * 15000]);
  await remoteWrite(clew, [
    { labels: { __name__: 'hits_total', route: '/a', job: 'web' }, samples: samples(3), exemplars: [[{ trace_id: '5b8efff798038103d269b633813fc60c' }, 7, now - 30000]] },
    { labels: { __name__: 'hits_total', route: '/b', job: 'web' }, samples: samples(5) },
    { labels: { __name__: 'odd.name', 'a label': 'ü' }, samples: [[NaN, now], [-0, now + 1], [1e-7, now + 2]] },
  ], [['hits_total', 1, 'Requests.']]);
  await until(() => ask(clew, '/api/v1/rules'), (a) => a.body.data.groups[0].rules.every((r) => r.health !== 'unknown') && a.body.data.groups[0].rules[3].health === 'err');
  await sendHistogram(clew, 'latency', [{ ms: now - 15000, scale: 3, offset: 2, counts: [1, 0, 4], zero: 2, sum: 9.5 }, { ms: now, scale: 3, offset: 2, counts: [2, 1, 6], zero: 2, sum: 19.5 }]);
  return clew;
}

/** Questions for each path, right (200) and wrong (4xx). */
const s = now / 1000, range = { start: s - 120, end: s, step: 15 };
const questions = {
  '/query': [
    [200, { query: '"text"', time: '4' }], [200, { query: '"üb\\n"', stats: 'all' }], [200, { query: 'hits_total' }], [200, { query: '1+1', time: '4' }], [200, { query: 'hits_total[1m]' }], [200, { query: 'latency', stats: 'all' }], [200, { query: 'latency[1m]' }],
    [200, { query: 'rate(hits_total[5m])', limit: '1', timeout: '5', lookback_delta: '1m', stats: 'true' }], [200, { query: '{"odd.name"}', time: new Date(now).toISOString() }],
    [400, {}], [400, { query: 'a{' }], [400, { query: 'a', time: 'never' }], [400, { query: 'a', limit: '-1' }], [422, { query: 'hits_total + on() hits_total' }], [503, { query: 'rate(hits_total[5m])', timeout: '0.000000001' }],
  ],
  '/query_range': [
    [200, { query: 'rate(hits_total[1m])', ...range }], [200, { query: 'latency', ...range }], [200, { query: '1', ...range, stats: 'all', limit: 5 }],
    [400, { query: 'a', ...range, step: 0 }], [400, { query: 'a', ...range, start: 0 }], [400, { query: 'a', ...range, end: 1 }], [400, { query: 'a[5m]', ...range }], [400, { query: 'a' }],
  ],
  '/query_exemplars': [[200, { query: 'hits_total', start: s - 60, end: s }], [200, { query: 'test', start: now - 1000, end: now }], [200, { query: '1' }], [400, { query: 'a{' }], [400, { query: 'a', start: 2, end: 1 }]],
  '/format_query': [[200, { query: 'sum(a)by(b)' }], [400, { query: 'sum(' }]],
  '/parse_query': [[200, { query: 'sum by (a) (rate(b{c="d"}[5m] offset 1h)) / 2' }], [400, {}]],
  '/labels': [[200, {}], [200, { 'match[]': 'hits_total', start: s - 60, end: s, limit: '1' }], [400, { 'match[]': '{' }], [400, { start: 'x' }]],
  '/label/{name}/values': [[200, {}], [200, { 'match[]': '{job="web"}', limit: '1' }], [400, { limit: 'x' }]],
  '/series': [[200, { 'match[]': '{__name__!=""}' }], [200, { 'match[]': 'hits_total', limit: '1' }], [400, {}], [400, { 'match[]': '{}' }]],
  '/metadata': [[200, {}], [200, { metric: 'hits_total', limit: '1', limit_per_metric: '1' }], [400, { limit: 'x' }]],
  '/admin/tsdb/delete_series': [[400, {}], [204, { 'match[]': 'nobody' }]],
  '/admin/tsdb/clean_tombstones': [[204, {}]],
  '/admin/tsdb/snapshot': [[404, {}]],
};

test('every answer is what the OpenAPI document says', { skip: existsSync(file) ? false : `${file} is not there` }, async (t) => {
  const document = parse(readFileSync(file, 'utf8')), check = checker(document);
  const clew = await filled();
  t.after(() => clew.stop());
  let asked = 0, paths = 0;
  for (const [path, operations] of Object.entries(document.paths)) {
    if (binary.includes(path)) continue;
    paths++;
    for (const [method, operation] of Object.entries(operations)) {
      for (const [status, fields] of newer.includes(path) ? [[404, {}]] : questions[path] ?? [[200, {}]]) {
        const target = `/api/v1${path.replace('{name}', 'U__a_20_label')}`, what = `${method} ${path} ${JSON.stringify(fields)}`;
        const answer = method === 'post' ? await ask(clew, target, { method: 'POST', body: form(fields) }) : await ask(clew, `${target}?${form(fields)}`, { method: method.toUpperCase() });
        // What the document has of later releases may be there or not: then it is an error by its schema.
        assert.equal(answer.status, status, `${what}: ${answer.text.slice(0, 300)}`);
        if (status !== 204) check(operation, answer, what);
        else assert.equal(answer.text, '', what);
        asked++;
      }
    }
  }
  assert.ok(paths >= 33 && asked >= 90, `${paths} paths, ${asked} asked`);
});

/** Of what takes bytes the document has 204 and an error in JSON. `unlike`: what it has not, and what is the protocol's own. */
const sent = () => {
  const good = snappy(writeRequest([{ labels: { __name__: 'sent', n: '1' }, samples: [[1, now]] }])), matcher = message(3, number(1, 0), bytes(2, '__name__'), bytes(3, 'hits_total'));
  const read = (...parts) => snappy(message(1, number(1, now - 60000), number(2, now), ...parts)), otlp = encode(requestOf([{ name: 'by.otlp', gauge: { dataPoints: [{ timeUnixNano: ns(now), asInt: '1' }] } }]));
  return [
    ['/write', 204, good], ['/write', 204, snappy(Buffer.alloc(0))],
    ['/write', 400, Buffer.from('none'), { unlike: 'an error of remote write is one line of text', type: 'text/plain; charset=utf-8' }],
    ['/read', 200, read(matcher), { unlike: 'what is read is a ReadResponse', type: 'application/x-protobuf' }],
    ['/read', 400, Buffer.from('none')], ['/read', 400, snappy(Buffer.from('no protobuf'))], ['/read', 400, read(message(3, number(1, 2), bytes(2, 'a'), bytes(3, '(')))],
    ['/otlp/v1/metrics', 200, otlp, { unlike: 'OTLP is answered by an ExportMetricsServiceResponse', type: 'application/x-protobuf' }],
    ['/otlp/v1/metrics', 400, Buffer.from('none'), { unlike: 'an error of OTLP is a google.rpc.Status', type: 'application/x-protobuf' }],
  ];
};

test('what takes bytes is answered as the document says, or as its protocol does where the document has nothing', { skip: existsSync(file) ? false : `${file} is not there` }, async (t) => {
  const document = parse(readFileSync(file, 'utf8')), check = checker(document), clew = await filled();
  t.after(() => clew.stop());
  assert.deepEqual([...new Set(sent().map(([path]) => path))].sort(), [...binary].sort());
  for (const [path, status, body, { unlike, type } = {}] of sent()) {
    const operations = document.paths[path], what = `post ${path} ${status} ${body.subarray(0, 8).toString('hex')}`;
    assert.deepEqual(Object.keys(operations), ['post'], path);
    const encoding = path.startsWith('/otlp') ? {} : { 'Content-Encoding': 'snappy' };
    const answer = await ask(clew, `/api/v1${path}`, { method: 'POST', headers: { 'Content-Type': 'application/x-protobuf', ...encoding }, body });
    assert.equal(answer.status, status, `${what}: ${answer.text}`);
    if (!unlike) { check(operations.post, answer, what); continue; }
    const known = operations.post.responses[status] ?? (status < 400 ? undefined : operations.post.responses.default);
    assert.equal(known?.content?.[type.split(';')[0]], undefined, `the document has it now: ${unlike}`);
    assert.equal(answer.headers.get('content-type'), type, what);
  }
  const wrong = await ask(clew, '/api/v1/write', { method: 'POST', headers: { 'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy' }, body: Buffer.from('none') });
  assert.match(wrong.text, /^[^\n]+\n$/);
});

test('a wrong method is 405 with Allow, never 404', async (t) => {
  const clew = await startClew();
  t.after(() => clew.stop());
  for (const [path, allow] of [['query', 'GET, HEAD, POST'], ['metadata', 'GET, HEAD'], ['status/buildinfo', 'GET, HEAD'], ['label/job/values', 'GET, HEAD'], ['write', 'POST'], ['read', 'POST'], ['admin/tsdb/delete_series', 'POST, PUT']])
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH']) {
      if (allow.split(', ').includes(method)) continue;
      const answer = await ask(clew, `/api/v1/${path}`, { method });
      assert.equal(answer.status, 405, `${method} ${path}`);
      assert.equal(answer.headers.get('allow'), allow, path);
    }
});

test("what Grafana's data source asks", async (t) => {
  const clew = await filled();
  t.after(() => clew.stop());
  const headers = { 'X-Grafana-Org-Id': '1', 'Idempotency-Key': 'x', 'X-Datasource-Uid': 'u', 'Content-Type': 'application/x-www-form-urlencoded' };
  const health = await ask(clew, '/api/v1/query', { method: 'POST', headers, body: form({ query: '1+1', time: '4' }) });
  assert.deepEqual(health.body, { status: 'success', data: { resultType: 'scalar', result: [4, '2'] } });
  const build = await ask(clew, '/api/v1/status/buildinfo', { headers });
  assert.match(build.body.data.version, /^3\.5\./);
  assert.equal(build.body.data.features, undefined);
  const probe = await ask(clew, '/api/v1/query_exemplars', { method: 'POST', headers, body: form({ query: 'test', start: `${now - 3600000}`, end: `${now}` }) });
  assert.equal(probe.body.status, 'success');
  const names = await ask(clew, `/api/v1/label/__name__/values?start=${s - 3600}&end=${s}&limit=40000`, { headers });
  assert.ok(names.body.data.includes('hits_total') && names.body.data.includes('odd.name'));
  const values = await ask(clew, '/api/v1/label/U__a_20_label/values', { headers });
  assert.deepEqual(values.body.data, ['ü']);
  const series = await ask(clew, '/api/v1/series', { method: 'POST', headers, body: form({ 'match[]': '{__name__!=""}', start: s - 3600, end: s + 1, limit: 40000 }) });
  assert.ok(series.body.data.some((l) => l['a label'] === 'ü'));
  const rules = await ask(clew, '/api/v1/rules', { headers });
  assert.deepEqual(rules.body.data.groups[0].rules.map((r) => [r.type, r.state, r.health, r.alerts?.length]),
    [['recording', undefined, 'ok', undefined], ['alerting', 'firing', 'ok', 1], ['alerting', 'pending', 'ok', 2], ['recording', undefined, 'err', undefined]]);
  assert.match(rules.body.data.groups[0].rules[3].lastError, /many-to-many/);
  const exemplars = await ask(clew, '/api/v1/query_exemplars', { method: 'POST', headers, body: form({ query: 'rate(hits_total[5m])', start: s - 300, end: s }) });
  assert.deepEqual(exemplars.body.data[0].exemplars, [{ labels: { trace_id: '5b8efff798038103d269b633813fc60c' }, value: '7', timestamp: (now - 30000) / 1000 }]);
});

test('numbers and histograms are formatted as Prometheus does', async (t) => {
  const clew = await filled();
  t.after(() => clew.stop());
  const value = async (query, time) => (await ask(clew, `/api/v1/query?${form({ query, time })}`)).body.data.result[0]?.value?.[1];
  assert.equal(await value('{"odd.name"}', s), 'NaN');
  assert.equal(await value('{"odd.name"}', s + 0.001), '-0');
  assert.equal(await value('{"odd.name"}', s + 0.002), '1e-07');
  const scalar = async (query) => (await ask(clew, `/api/v1/query?${form({ query, time: 1.5 })}`)).body.data.result;
  for (const [query, text] of [['1e20', '100000000000000000000'], ['1e21', '1e+21'], ['0.000001', '0.000001'], ['0.0000001', '1e-07'], ['1/0', '+Inf'], ['-1/0', '-Inf'], ['0.1+0.2', '0.30000000000000004']])
    assert.equal(await value(`vector(${query})`, 0), text, query);
  assert.deepEqual(await scalar('1e-7'), [1.5, '0.0000001']); // scalars have no exponents, as Prometheus has it
  const h = (await ask(clew, `/api/v1/query?${form({ query: 'latency', time: s })}`)).body.data.result[0].histogram;
  assert.equal(h[0], s);
  assert.equal(h[1].count, '11');
  assert.equal(h[1].sum, '19.5');
  assert.deepEqual(h[1].buckets.map((b) => [b[0], b[3]]), [[3, '2'], [0, '2'], [0, '1'], [0, '6']]); // the zero bucket is closed
});
