// clew's own telemetry in itself (--self-telemetry on): what there is, what there is not, and that it comes to rest.
import test from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getJson, startClew, until } from './clew.mjs';
import { temporary } from './processes.mjs';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

/** Rows that were taken so far, by signal; asking makes no span. */
async function rowsOf(clew) {
  const text = await (await fetch(`${clew.api}/metrics`)).text();
  return Object.fromEntries([...text.matchAll(/^clew_ingest_rows_total\{signal="(\w+)"\} (\d+)$/gm)].map(([, k, n]) => [k, Number(n)]));
}
const tracesOf = async (clew, more = '') => (await getJson(`${clew.api}/api/v1/traces?service=clew&limit=500${more}`)).traces;

const span = (id) => ({
  resourceSpans: [{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
    scopeSpans: [{ spans: [{ traceId: id.padStart(32, '1'), spanId: '1111111111111111', name: 'x', kind: 1, startTimeUnixNano: `${Date.now()}000000`, endTimeUnixNano: `${Date.now()}000001` }] }] }],
});
const send = (clew, id) => fetch(`${clew.otlp}/v1/traces`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(span(id)) });

test('its requests, queries, flushes, rules and scrapes are spans; what brings telemetry in is not', { timeout: 60000 }, async (t) => {
  const dir = temporary('self');
  writeFileSync(join(dir, 'rules.yml'), 'groups: [{name: quick, interval: 1s, rules: [{record: one, expr: vector(1)}]}]\n');
  writeFileSync(join(dir, 'prometheus.yml'), "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs: [{job_name: gone, static_configs: [{targets: ['127.0.0.1:1']}]}]\n");
  const clew = await startClew(['--self-telemetry', 'on', '--flush-age', '1s', '--rules', join(dir, 'rules.yml'), '--scrape-config', join(dir, 'prometheus.yml')]);
  t.after(() => clew.stop());
  assert.equal((await fetch(`${clew.api}/api/v1/services`, { headers: { traceparent: `00-${TRACE}-00f067aa0ba902b7-01`, tracestate: 'rojo=1' } })).status, 200);
  assert.equal((await send(clew, '2')).status, 200);
  await fetch(`${clew.api}/health`);
  const whole = await until(() => getJson(`${clew.api}/api/v1/traces/${TRACE}`), (a) => a.spans?.length >= 2);
  const server = whole.spans.find((s) => s.name === 'GET /api/v1/services'), query = whole.spans.find((s) => s.name === 'query');
  assert.equal(server.parent_id ?? server.parent_span_id, '00f067aa0ba902b7');
  assert.equal(query.parent_id ?? query.parent_span_id, server.span_id);
  const text = JSON.stringify(server);
  for (const part of ['"http.route"', '"/api/v1/services"', '"http.response.status_code"', 'rojo=1', '"clew"']) assert.ok(text.includes(part), `${part} in ${text}`);
  const seen = await until(async () => JSON.stringify(await tracesOf(clew)), (s) => ['"scrape"', '"rules"', '"flush"', 'GET /api/v1/traces'].every((p) => s.includes(p)), 30);
  for (const part of ['/v1/traces"', '/health', '/metrics']) assert.ok(!seen.includes(`POST ${part}`) && !seen.includes(`GET ${part}`), part);
  const logs = await until(() => getJson(`${clew.api}/api/v1/logs/query?service=clew`), (a) => JSON.stringify(a).includes('rules are read'));
  assert.ok(logs);
  const id = TRACE.replace('4bf9', 'cccc'), reload = await fetch(`${clew.api}/prometheus/-/reload`, { method: 'POST', headers: { traceparent: `00-${id}-00f067aa0ba902b7-01` } });
  assert.equal(reload.status, 200); // what a request logs names its trace and span
  const read = await until(() => getJson(`${clew.api}/api/v1/logs/query?service=clew`), (a) => a.logs.some((l) => l.trace_id === id));
  const line = read.logs.find((l) => l.trace_id === id), asked = await until(() => getJson(`${clew.api}/api/v1/traces/${id}`), (a) => a.spans?.length >= 1);
  assert.match(JSON.stringify(line), /rules are read/);
  assert.equal(line.span_id, asked.spans.find((s) => s.name === 'POST /prometheus/-/reload').span_id);
  const told = (await (await fetch(`${clew.api}/metrics`)).text()).split('\n').filter((l) => l.startsWith('clew_emit_'));
  assert.equal(told.length, 7, told.join('\n'));
  assert.ok(told.some((l) => /^clew_emit_told_total\{signal="spans"\} [1-9]/.test(l)) && told.filter((l) => /^clew_emit_dropped_total\{.*\} 0$/.test(l)).length === 3, told.join('\n'));
  const durations = await until(() => getJson(`${clew.api}/prometheus/api/v1/query?query=${encodeURIComponent('http_server_request_duration_seconds_count{job="clew"}')}`),
    (a) => a.data.result.some((r) => r.metric.http_route === '/api/v1/services'), 30);
  assert.ok(durations.data.result.every((r) => !r.metric.http_route.startsWith('/v1/')));
});

test('it comes to rest: what its own telemetry causes is not told', { timeout: 60000 }, async (t) => {
  const clew = await startClew(['--self-telemetry', 'on', '--flush-age', '1s']);
  t.after(() => clew.stop());
  for (let i = 0; i < 20; i++) assert.equal((await fetch(`${clew.api}/api/v1/services`)).status, 200);
  assert.equal((await send(clew, '3')).status, 200);
  await until(() => rowsOf(clew), (r) => r.spans >= 41, 20); // 20 × (request, query), one of others
  let before = -1, rows = await rowsOf(clew);
  for (const end = Date.now() + 30000; before !== rows.spans; rows = await rowsOf(clew)) { // flushes of 1 s: three seconds without a span are rest
    assert.ok(Date.now() < end, `still ${rows.spans} after ${before}`);
    before = rows.spans;
    await new Promise((r) => setTimeout(r, 3000));
  }
  assert.ok(rows.spans < 60, `${rows.spans} spans of 20 requests`);
});

test('it is off unless it is asked for, and ends with what it has said on disk', { timeout: 60000 }, async () => {
  const off = await startClew();
  for (let i = 0; i < 5; i++) await fetch(`${off.api}/api/v1/services`);
  await new Promise((r) => setTimeout(r, 1500));
  assert.deepEqual((await getJson(`${off.api}/api/v1/services`)).services, []);
  await off.stop();
  const on = await startClew(['--self-telemetry', 'on']);
  for (let i = 0; i < 5; i++) await fetch(`${on.api}/api/v1/services`, { headers: { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` } });
  const status = await on.stop({ keep: true }); // within the second that spans wait
  assert.equal(status.code, 0);
  const again = await startClew([], on.dir);
  assert.equal((await getJson(`${again.api}/api/v1/traces/${TRACE}`)).spans.length, 10);
  await again.stop();
});

test('a hostile traceparent, tracestate and route are nothing worse than a new trace', { timeout: 60000 }, async (t) => {
  const clew = await startClew(['--self-telemetry', 'on']);
  t.after(() => clew.stop());
  const { hostname, port } = new URL(clew.api);
  for (const [traceparent, tracestate] of [['x'.repeat(5000), 'a=b'], [`00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, ''], [`00-${TRACE}-00f067aa0ba902b7-00`, `${'k=v,'.repeat(200)}`], ['', ','.repeat(600)]]) {
    const status = await new Promise((resolve, reject) => http.get({ hostname, port, path: `/api/v1/services?${'x'.repeat(20)}`, headers: { traceparent, tracestate } }, (a) => { a.resume(); resolve(a.statusCode); }).on('error', reject));
    assert.ok(status === 200 || status === 400, `${status}`);
  }
  const traces = await until(() => tracesOf(clew), (a) => a.length >= 3);
  assert.ok(traces.every((a) => a.trace_id !== TRACE)); // its parent had not sampled it
});
