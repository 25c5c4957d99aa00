// The OpenAPI document is valid, and what clew answers is what the document says: every GET route is asked, and its answer may
// hold nothing that the schemas do not name.
import test from 'node:test';
import assert from 'node:assert/strict';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { startClew, getJson } from './clew.mjs';
import { log, logs, post, span, traces } from './otlp.mjs';

/** Objects with named members may have no others. */
function closed(schema) {
  if (Array.isArray(schema)) return schema.map(closed);
  if (schema === null || typeof schema !== 'object') return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([k, v]) => [k, k === 'examples' || k === 'enum' ? v : closed(v)]));
  if (copy.type === 'object' && copy.properties && copy.additionalProperties === undefined) copy.additionalProperties = false;
  return copy;
}

function checker(document) {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addSchema({ $id: 'clew', components: { schemas: closed(document.components.schemas) } });
  return (schema, value, what) => {
    const validate = ajv.compile({ $ref: `clew${schema.$ref}` });
    assert.ok(validate(value), `${what}: ${JSON.stringify(validate.errors?.slice(0, 3))}\n${JSON.stringify(value).slice(0, 2000)}`);
  };
}

const trace = '5b8efff798038103d269b633813fc60c', spanId = '22'.repeat(8);
const fill = (path) => path.replace('{trace_id}', trace).replace('{correlation_id}', trace).replace('{span_id}', spanId).replace('{service}', 'e2e').replace('{key}', 'service.name').replace('{name}', 'saved').replace('{id}', 'kept').replace('{label_name}', 'job');

async function filled() {
  const clew = await startClew();
  await post(`${clew.otlp}/v1/traces`, traces([span({ trace, name: 'GET /' }), span({ trace, name: 'child' })]));
  await post(`${clew.otlp}/v1/logs`, logs([log({ trace, body: 'hello' })]));
  return clew;
}

test('the document is valid OpenAPI 3.1', async () => {
  const clew = await startClew();
  const result = await new Validator().validate(await getJson(`${clew.api}/openapi.json`));
  await clew.stop();
  assert.ok(result.valid, JSON.stringify(result.errors));
});

test('every GET route answers by its schema, and refuses an unknown parameter by Error', async () => {
  const clew = await filled();
  const document = await getJson(`${clew.api}/openapi.json`);
  const check = checker(document);
  const asks = { '/api/v1/services': ['?counts=true', ''], '/api/v1/logs/query': ['', '?mode=count', '?mode=histogram', '?limit=1', '?mode=count&by=service&compare=before', '?mode=histogram&by=no.such&compare=before'],
    '/prometheus/api/v1/query': ['?query=1', '?query=up&stats=all'], '/prometheus/api/v1/query_range': ['?query=1&start=0&end=10&step=5'], '/prometheus/api/v1/query_exemplars': ['?query=up'],
    '/prometheus/api/v1/format_query': ['?query=a'], '/prometheus/api/v1/parse_query': ['?query=a'], '/prometheus/api/v1/series': ['?match[]=up'],
    '/jaeger/api/services/{service}/operations': [''], '/jaeger/api/operations': ['?service=raw'],
    '/jaeger/api/traces': ['?service=raw', `?traceID=${trace}`], '/jaeger/api/dependencies': [`?endTs=${Date.now()}`],
    '/jaeger/api/v3/operations': ['?service=raw'],
    '/jaeger/api/v3/traces': ['?query.service_name=raw&query.start_time_min=2020-01-01T00:00:00Z&query.start_time_max=2100-01-01T00:00:00Z'],
    '/jaeger/api/v3/trace-summaries': ['?query.serviceName=raw&query.startTimeMin=2020-01-01T00:00:00Z&query.startTimeMax=2100-01-01T00:00:00Z'],
    '/jaeger/api/v3/dependencies': ['?startTime=2020-01-01T00:00:00Z&endTime=2100-01-01T00:00:00Z'],
    '/api/v1/traces/{trace_id}/spans': ['', '?text=child', '?where=a%3D1'],
    '/api/v1/traces/aggregate': ['', '?by=service&rollups=false&limit=1', '?by=operation'], '/api/v1/traces/groups': ['', '?by=kind&by=no.such&limit=1', '?by=status&by=service&service=nobody'],
    '/api/v1/services/timeseries': ['', '?service=nobody', '?step=1m&start=now-10m'], '/api/v1/services/health': ['', '?critical_p95=1ns', '?service=nobody'],
    '/api/v1/admin/storage': ['', '?distinct=true&limit=3', '?signal=logs&start=now-1h&end=now'],
    '/api/v1/traces': ['', '?limit=1', '?order=longest'], '/api/v1/traces/stats': ['', '?service=nobody', '?by=operation&groups=1&services=5&compare=before', '?rollups=true&services=5&compare=before'] };
  const saved = await fetch(`${clew.api}/api/v1/searches/saved`, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: '{"screen":"logs","query":"text=x"}' });
  check(document.paths['/api/v1/searches/{name}'].put.responses['200'].content['application/json'].schema, await saved.json(), 'PUT of a search');
  for (const [kind, body] of [['dashboards', '{"title":"Kept","panels":[]}'], ['rules', '{"name":"kept","rules":[]}'], ['environments', '{"owner":"ops"}'], ['catalog/services', '{"labels":{"a":"b"}}'],
    ['changes', '{"kind":"flag"}'], ['findings', '{"kind":"x","title":"y","end":"now+1h","evidence":[{"language":"promql","query":"up"}]}']]) {
    const kept = await fetch(`${clew.api}/api/v1/${kind}/kept`, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body });
    check(document.paths[`/api/v1/${kind}/{id}`].put.responses['200'].content['application/json'].schema, await kept.json(), `PUT of ${kind}`);
  }
  let asked = 0;
  for (const [path, { get }] of Object.entries(document.paths)) {
    const schema = get?.responses['200'].content['application/json']?.schema;
    if (!schema || path.endsWith('/tail')) continue;
    for (const query of asks[path] ?? ['']) {
      const url = clew.api + fill(path) + query;
      check(schema, await getJson(url), url);
      asked++;
    }
    if (!path.startsWith('/api/v1/')) continue;
    const bad = await fetch(`${clew.api}${fill(path)}?no_such=1`);
    assert.equal(bad.status, 400);
    check({ $ref: '#/components/schemas/Error' }, await bad.json(), path);
  }
  await clew.stop();
  assert.ok(asked >= 29, `${asked} asked`);
});

test('administrative answers are by their schemas', async () => {
  const clew = await filled();
  const document = await getJson(`${clew.api}/openapi.json`);
  const check = checker(document);
  for (const [path, query] of [['flush', ''], ['delete', `?trace_id=${trace}&verify=true`], ['backup', `?to=${clew.dir}/copy`]]) {
    const answer = await fetch(`${clew.api}/api/v1/admin/${path}${query}`, { method: 'POST' });
    assert.equal(answer.status, 200);
    check(document.paths[`/api/v1/admin/${path}`].post.responses['200'].content['application/json'].schema, await answer.json(), path);
  }
  for (const path of ['storage?distinct=true', 'retention', 'status']) { // with rows in parts
    const schema = document.paths[`/api/v1/admin/${path.split('?')[0]}`].get.responses['200'].content['application/json'].schema;
    check(schema, await getJson(`${clew.api}/api/v1/admin/${path}`), path);
  }
  const tokens = document.paths['/api/v1/admin/tokens'], order = { name: 'root', role: 'admin', tenant: '*' };
  check(tokens.post.requestBody.content['application/json'].schema, order, 'an order');
  const made = await fetch(`${clew.api}/api/v1/admin/tokens`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(order) });
  const root = await made.json(), headers = { Authorization: `Bearer ${root.token}` };
  check(tokens.post.responses['200'].content['application/json'].schema, root, 'made');
  check(tokens.get.responses['200'].content['application/json'].schema, await (await fetch(`${clew.api}/api/v1/admin/tokens`, { headers })).json(), 'tokens');
  await clew.stop();
});
