// Ids that arrive with what the real OpenTelemetry JS SDK sends: wherever an application put one, the rows are found by it, and nothing else changed.
import test from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TraceFlags, context, trace } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { OTLPLogExporter as JsonLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPLogExporter as GrpcLogExporter } from '@opentelemetry/exporter-logs-otlp-grpc';
import { startClew, getJson, until } from './clew.mjs';
import { log, sendLogs, sendSpans, span } from './correlation-data.mjs';
import { temporary } from './processes.mjs';

const enc = encodeURIComponent;
const spansOf = (clew, where) => getJson(`${clew.api}/api/v1/traces?where=${enc(where)}`);
const logsOf = (clew, where) => getJson(`${clew.api}/api/v1/logs/query?where=${enc(where)}`);

/** Sends a span with such attributes, and ends what sent it; its trace id. */
async function sendSpan(exporter, attributes, resource = {}) {
  const provider = new NodeTracerProvider({ resource: resourceFromAttributes({ 'service.name': 'shop', ...resource }), spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const span = provider.getTracer('e2e').startSpan('pay', { attributes });
  span.end();
  await provider.shutdown();
  return span.spanContext().traceId;
}

async function sendLog(exporter, record, resource = {}) {
  const provider = new LoggerProvider({ resource: resourceFromAttributes({ 'service.name': 'shop', ...resource }), processors: [new SimpleLogRecordProcessor({ exporter })] });
  provider.getLogger('e2e').emit(record);
  await provider.shutdown();
}

test('an id is found wherever the SDK put it, by gRPC and by HTTP', async (t) => {
  const clew = await startClew();
  t.after(() => clew.stop());
  const byHttp = () => new OTLPTraceExporter({ url: `${clew.otlp}/v1/traces` }), byGrpc = () => new GrpcTraceExporter({ url: clew.grpc });
  const places = {
    header: { 'http.request.header.x-correlation-id': ['id-header', 'another'] },
    baggage: { baggage: 'user=7,correlation_id=id-baggage;ttl=3' },
    attribute: { correlation_id: 'id-attribute' },
  };
  for (const [place, attributes] of Object.entries(places)) {
    const traceIds = [await sendSpan(byHttp(), attributes), await sendSpan(byGrpc(), attributes)];
    const found = await until(() => spansOf(clew, `correlation_id = id-${place}`), (a) => a.traces.length === 2);
    assert.deepEqual(found.traces.map((x) => x.trace_id).sort(), traceIds.sort(), place);
    assert.equal(found.traces[0].correlation_id, `id-${place}`);
    const names = await getJson(`${clew.api}/api/v1/attributes?prefix=correl`), values = await getJson(`${clew.api}/api/v1/attributes/correlation_id/values?prefix=id-${place}`);
    assert.deepEqual(names.attributes.map((x) => [x.place, x.key]), [['span', 'correlation_id']]); // once, whether or not an attribute has that name
    assert.deepEqual(values.values, [{ value: `id-${place}`, count: 2 }]);
    const whole = await getJson(`${clew.api}/api/v1/traces/${traceIds[0]}`);
    assert.equal(whole.spans[0].correlation_id, `id-${place}`);
    const otlp = await (await fetch(`${clew.api}/api/v1/traces/${traceIds[0]}?format=otlp`)).text();
    assert.equal(otlp.includes('"key":"correlation_id"'), place === 'attribute', 'nothing is written into what goes out');
  }
  const resourced = await sendSpan(byHttp(), { correlation_id: 'of the span' }, { correlation_id: 'id-resource' });
  const found = await until(() => spansOf(clew, 'correlation_id = id-resource'), (a) => a.traces.length === 1);
  assert.equal(found.traces[0].trace_id, resourced);
  assert.equal((await spansOf(clew, 'span.correlation_id = "of the span"')).traces.length, 1, 'the attribute is still there');

  await sendLog(new JsonLogExporter({ url: `${clew.otlp}/v1/logs` }), { body: JSON.stringify({ level: 'info', msg: 'paid', requestId: 'id-body' }) });
  await sendLog(new GrpcLogExporter({ url: clew.grpc }), { body: { msg: 'paid', request_id: 'id-body' } });
  const logs = await until(() => logsOf(clew, 'correlation_id = id-body'), (a) => a.logs.length === 2);
  assert.ok(logs.logs.every((l) => l.correlation_id === 'id-body'));

  const metrics = await (await fetch(`${clew.api}/metrics`)).text();
  for (const [source, n] of Object.entries({ header: 2, baggage: 2, attribute: 2, resource: 1, body: 2, tracestate: 0 }))
    assert.match(metrics, new RegExp(`clew_ingest_correlation_lifted_total{source="${source}"} ${n}\\n`));
});

test('ids are there after a restart, by the log and by parts, and rules say where to look', async (t) => {
  const file = join(temporary('e2e-rules'), 'correlation.yaml');
  writeFileSync(file, 'correlation:\n  attributes: [order.id]\n  body_keys: []\n');
  let clew = await startClew(['--correlation', file, '--flush-age', '1s']);
  t.after(() => clew.stop());
  const before = await sendSpan(new OTLPTraceExporter({ url: `${clew.otlp}/v1/traces` }), { 'order.id': 'o-1', correlation_id: 'passed over' });
  await sendLog(new JsonLogExporter({ url: `${clew.otlp}/v1/logs` }), { body: '{"requestId":"passed over"}', attributes: { 'order.id': 'o-1' } });
  await until(() => getJson(`${clew.api}/api/v1/admin/storage`), (s) => JSON.stringify(s).includes('correlation_id'));
  await sendLog(new JsonLogExporter({ url: `${clew.otlp}/v1/logs` }), { body: 'late, and only in the log', attributes: { 'order.id': 'o-1' } });
  await clew.stop({ signal: 'SIGKILL', keep: true });
  clew = await startClew([], clew.dir); // without the rules: what is stored keeps its ids
  const traces = await spansOf(clew, 'correlation_id = o-1');
  assert.deepEqual(traces.traces.map((x) => x.trace_id), [before]);
  assert.equal((await logsOf(clew, 'correlation_id = o-1')).logs.length, 2);
  assert.equal((await logsOf(clew, 'correlation_id = "passed over"')).logs.length, 0);
  assert.equal((await spansOf(clew, 'correlation_id exists')).traces.length, 1);
});

test('a log with a trace that comes before its spans, and an id that comes late', async (t) => {
  const clew = await startClew();
  t.after(() => clew.stop());
  const provider = new NodeTracerProvider({ resource: resourceFromAttributes({ 'service.name': 'late' }), spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter({ url: `${clew.otlp}/v1/traces` }))] });
  const span = provider.getTracer('e2e').startSpan('order'), ctx = trace.setSpan(context.active(), span);
  const logger = new LoggerProvider({ resource: resourceFromAttributes({ 'service.name': 'late' }), processors: [new SimpleLogRecordProcessor({ exporter: new JsonLogExporter({ url: `${clew.otlp}/v1/logs` }) })] });
  logger.getLogger('e2e').emit({ body: '{"correlation_id":"late-1"}', context: ctx });
  await logger.forceFlush();
  const early = await until(() => logsOf(clew, 'correlation_id = late-1'), (a) => a.logs.length === 1);
  assert.equal(early.logs[0].trace_id, span.spanContext().traceId);
  assert.ok(span.spanContext().traceFlags & TraceFlags.SAMPLED);
  span.setAttribute('correlation_id', 'late-1');
  span.end();
  await provider.forceFlush();
  const late = await until(() => spansOf(clew, 'correlation_id = late-1'), (a) => a.traces.length === 1);
  assert.equal(late.traces[0].trace_id, span.spanContext().traceId);
  await provider.shutdown();
  await logger.shutdown();
});

test('a file that is wrong stops the start with its line', async () => {
  const file = join(temporary('e2e-rules'), 'correlation.yaml');
  writeFileSync(file, 'correlation:\n  header: [x]\n');
  await assert.rejects(() => startClew(['--correlation', file]), /correlation\.yaml:2: expected enabled, attributes/);
});

test('a list has the times of its details, whosever clock is ahead', async (t) => {
  const clew = await startClew(), spans = [], logs = [], end = Date.now() - 60_000;
  t.after(() => clew.stop());
  let state = 12345;
  const below = (n) => { state = (state * 1103515245 + 12345) % 2147483648; return Math.floor(state / 65536) % n; };
  for (let k = 0; k < 300; k++) { // web calls pay, pay calls bank; each clock is right, or off by up to five minutes
    const ahead = { web: 0, pay: [0, 0, 1, -1][below(4)] * below(300_000), bank: [0, 0, 1, -1][below(4)] * below(300_000) };
    const at = end - 900_000 + k * 2000 + below(900), id = { correlation_id: `clock-${k % 250}` }, one = (i, parent, service, name, kind, ms, took, more) => spans.push(span(k, i, parent, service, name, kind, at + ms + ahead[service], took, more));
    one(0, -1, 'web', 'GET /', 2, 0, 200, k % 3 ? id : {}); // of others the whole trace has the id that the bank brings, or one of two
    one(1, 0, 'web', 'to pay', 3, 10, 150, {});
    one(2, 1, 'pay', 'POST /pay', 2, 20 + below(10), 100 + below(20), k % 7 ? {} : { correlation_id: `pay-${k}` });
    one(3, 2, 'pay', 'to bank', 3, 40, 60, {});
    one(4, 3, 'bank', 'charge', 2, 50, 30 + below(60), id);
    logs.push(log(k, 4, 'bank', 9, at + 60 + ahead.bank, 'charged'));
  }
  await sendSpans(clew, spans);
  await sendLogs(clew, logs);
  const { correlations } = await getJson(`${clew.api}/api/v1/correlations?start=now-1h&end=now%2B1h&limit=1000`);
  assert.equal(correlations.length, 250 + Math.ceil(300 / 7));
  const firsts = correlations.map((c) => Date.parse(c.first_seen));
  assert.deepEqual(firsts, [...firsts].sort((a, b) => b - a));
  let apart = 0;
  for (const c of correlations) {
    const { clocks, clocks_left_out, partial, ...one } = await getJson(`${clew.api}/api/v1/correlations/${c.correlation_id}`);
    assert.deepEqual(c, one);
    assert.deepEqual([clocks_left_out, partial], [0, false]);
    apart += clocks.length > 0;
  }
  assert.ok(apart > 100, `${apart}`);
});

test('a lost trace is named where clocks are minutes apart: by the id of both sides, or by what is answered', async (t) => {
  const clew = await startClew(), spans = [], end = Date.now() - 60_000, behind = -240_000;
  t.after(() => clew.stop());
  for (let k = 0; k < 12; k++) {
    const at = end - 600_000 + k * 5000, id = k % 3 ? {} : { correlation_id: `lost-${k}` };
    spans.push(span(k, 0, -1, 'web', 'GET /', 2, at, 200, id), span(k, 1, 0, 'web', 'to pay', 3, at + 10, 150, { 'server.address': 'pay' }), span(k, 2, 0, 'web', 'to bank', 3, at + 162, 30, { 'server.address': 'bank' }));
    spans.push(span(1000 + k, 0, -1, 'pay', 'POST /pay', 2, at + 20 + behind, 100, id)); // no call of web's to pay is answered: those with an id are found
    spans.push(k % 4 ? span(k, 3, 2, 'bank', 'charge', 2, at + 165 - behind, 20) : span(2000 + k, 0, -1, 'bank', 'charge', 2, at + 165 - behind, 20)); // most to the bank are
  }
  await sendSpans(clew, spans);
  const { findings } = await getJson(`${clew.api}/api/v1/propagation?start=now-30m&end=now%2B10m`);
  assert.deepEqual(findings.filter((f) => f.kind === 'lost_trace').map((f) => [f.caller, f.service, f.count]).sort(), [['web', 'bank', 3], ['web', 'pay', 4]]);
});
