// gRPC server reflection of a running clew: another people's client learns from it alone how to send, and others ask it too much.
import test from 'node:test';
import assert from 'node:assert/strict';
import grpc from '@grpc/grpc-js';
import { GrpcReflection } from 'grpc-js-reflection-client';
import { prometheusOf, query } from './prometheus.mjs';
import { startClew, getJson } from './clew.mjs';
import { bytes, hex } from './otlp.mjs';

const insecure = grpc.credentials.createInsecure();
const host = (address) => new URL(address).host;
const SERVICES = ['grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection',
  ...['logs.v1.Logs', 'metrics.v1.Metrics', 'trace.v1.Trace'].map((s) => `opentelemetry.proto.collector.${s}Service`)];
const INFO = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';

/** A raw stream of questions: {write, end, answers, closed}. closed: {code, details} once the call has ended. */
function ask(client, options = {}) {
  const call = client.makeBidiStreamRequest(INFO, (x) => x, (x) => x, new grpc.Metadata(), options);
  const answers = [];
  const waiting = [];
  call.on('data', (d) => { answers.push(d); waiting.splice(0).forEach((f) => f()); });
  const closed = new Promise((resolve) => { call.on('status', resolve); call.on('error', () => {}); });
  const count = async (n) => { while (answers.length < n) await Promise.race([new Promise((f) => waiting.push(f)), closed.then((s) => { throw new Error(`${answers.length} answers: ${s.code} ${s.details}`); })]); };
  return { write: (b) => call.write(b), end: () => call.end(), cancel: () => call.cancel(), answers, closed, count };
}
const LIST = bytes(7, '*');
/** The same with the names that .proto files have. */
const snake = (v) => (Array.isArray(v) ? v.map(snake) : Buffer.isBuffer(v) || typeof v !== 'object' ? v
  : Object.fromEntries(Object.entries(v).map(([k, w]) => [k.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`), snake(w)])));

test('services are listed by both names of the protocol, on every port', async () => {
  const clew = await startClew();
  try {
    for (const address of [clew.grpc, clew.otlp, clew.api])
      for (const version of ['v1', 'v1alpha'])
        assert.deepEqual(await new GrpcReflection(host(address), insecure, {}, version).listServices(), SERVICES);
  } finally { await clew.stop(); }
});

test('a client built from the descriptors alone exports a span, a log and a metric, which are read back equal', async () => {
  const clew = await startClew();
  const reflection = new GrpcReflection(host(clew.grpc), insecure, {}, 'v1');
  const service = async (name) => {
    const path = `opentelemetry.proto.collector.${name}Service`;
    const descriptor = await reflection.getDescriptorBySymbol(path);
    const Client = path.split('.').reduce((o, k) => o[k], descriptor.getPackageObject({ longs: String, enums: String, defaults: true, oneofs: true }));
    const client = new Client(host(clew.grpc), insecure);
    return { root: descriptor.getProtobufJsRoot(), close: () => client.close(),
      Export: (request) => new Promise((resolve, reject) => client.Export(snake(request), (e, answer) => (e ? reject(e) : resolve(answer)))) };
  };
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'reflected' } }] };
  const scope = { name: 'tests', version: '1' };
  const at = (ms) => `${BigInt(Date.now() + ms) * 1000000n}`;
  const span = {
    traceId: hex('ab'.repeat(16)), spanId: hex('cd'.repeat(8)), parentSpanId: hex('ef'.repeat(8)), traceState: 'a=b', name: 'work', kind: 'SPAN_KIND_SERVER',
    startTimeUnixNano: at(-20), endTimeUnixNano: at(-10), flags: 257, droppedAttributesCount: 3,
    attributes: [{ key: 'n', value: { intValue: '-7' } }, { key: 'f', value: { doubleValue: 0.5 } }, { key: 'b', value: { boolValue: true } },
      { key: 'l', value: { arrayValue: { values: [{ stringValue: 'x' }, { intValue: '1' }] } } }],
    events: [{ timeUnixNano: at(-15), name: 'retry', attributes: [{ key: 'k', value: { stringValue: 'v' } }] }],
    links: [{ traceId: hex('11'.repeat(16)), spanId: hex('22'.repeat(8)), traceState: 'c=d' }],
    status: { message: 'no', code: 'STATUS_CODE_ERROR' },
  };
  const record = { timeUnixNano: at(-5), observedTimeUnixNano: at(-4), severityNumber: 'SEVERITY_NUMBER_WARN', severityText: 'W', body: { stringValue: 'hello' },
    eventName: 'e', traceId: span.traceId, spanId: span.spanId };
  const trace = await service('trace.v1.Trace'), logs = await service('logs.v1.Logs'), metrics = await service('metrics.v1.Metrics');
  try {
    assert.ok(!(await trace.Export({ resourceSpans: [{ resource, scopeSpans: [{ scope, spans: [span] }] }] })).partial_success);
    assert.ok(!(await logs.Export({ resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords: [record] }] }] })).partial_success);
    const sum = { aggregationTemporality: 'AGGREGATION_TEMPORALITY_CUMULATIVE', isMonotonic: true, dataPoints: [{ timeUnixNano: at(-5), asInt: '7' }] };
    assert.ok(!(await metrics.Export({ resourceMetrics: [{ resource, scopeMetrics: [{ scope, metrics: [{ name: 'reflected.work', unit: 's', sum }] }] }] })).partial_success);
    const [series] = await query(prometheusOf(clew), 'reflected_work_seconds_total');
    assert.deepEqual([series.metric.job, series.value[1]], ['reflected', '7']);

    const [group] = (await getJson(`${clew.api}/api/v1/traces/${'ab'.repeat(16)}?format=otlp`)).resourceSpans;
    const [got] = group.scopeSpans[0].spans;
    const text = (b) => b.toString('hex');
    assert.deepEqual(group.resource.attributes, resource.attributes);
    assert.equal(group.scopeSpans[0].scope.name, 'tests');
    assert.deepEqual(got, { ...span, traceId: text(span.traceId), spanId: text(span.spanId), parentSpanId: text(span.parentSpanId), kind: 2,
      links: [{ ...span.links[0], traceId: text(span.links[0].traceId), spanId: text(span.links[0].spanId) }], status: { message: 'no', code: 2 } });
    const [found] = (await getJson(`${clew.api}/api/v1/logs/query?format=otlp`)).resourceLogs[0].scopeLogs[0].logRecords;
    assert.deepEqual(found, { ...record, traceId: text(span.traceId), spanId: text(span.spanId), severityNumber: 13 });
    const point = metrics.root.lookupType('opentelemetry.proto.metrics.v1.HistogramDataPoint');
    assert.ok(point.fields.sum.options.proto3_optional && point.fields.sum.partOf && !point.fields.count.partOf);
  } finally { [trace, logs, metrics].forEach((s) => s.close()); await clew.stop(); }
});

test('questions of one stream are answered in order, one for one, also those without an answer', { timeout: 30000 }, async () => {
  const clew = await startClew();
  const client = new grpc.Client(host(clew.grpc), insecure);
  const packed = new grpc.Client(host(clew.grpc), insecure, { 'grpc.default_compression_algorithm': 2 });
  try {
    for (const c of [client, packed]) {
      const stream = ask(c);
      const questions = [LIST, bytes(4, 'no.such.Thing'), bytes(3, 'grpc/health/v1/health.proto'), bytes(5, ''), bytes(6, 'x'), Buffer.alloc(0)];
      for (const [i, q] of questions.entries()) { /* each waits for the answer before */
        stream.write(q);
        await stream.count(i + 1);
      }
      for (let i = 0; i < 900; i++) stream.write(bytes(4, `missing.${i}`));
      stream.end();
      assert.equal((await stream.closed).code, grpc.status.OK);
      assert.equal(stream.answers.length, questions.length + 900);
      stream.answers.slice(questions.length).forEach((a, i) => assert.ok(a.includes(`missing.${i}`)));
      assert.ok(stream.answers[1].includes(Buffer.from([0x08, 5])), 'NOT_FOUND');
    }
  } finally { client.close(); packed.close(); await clew.stop(); }
});

test('who asks too much, too long or nonsense is refused, alone', { timeout: 30000 }, async () => {
  const clew = await startClew();
  const client = new grpc.Client(host(clew.grpc), insecure);
  const ended = async (message, ...more) => {
    const stream = ask(client);
    for (const m of [message, ...more]) stream.write(m);
    return stream.closed;
  };
  try {
    const many = await ended(...Array.from({ length: 1001 }, () => bytes(4, 'x')));
    assert.deepEqual([many.code, many.details], [grpc.status.RESOURCE_EXHAUSTED, 'a thousand questions were answered: begin another stream']);
    assert.equal((await ended(bytes(4, 'x'.repeat(5000)))).code, grpc.status.RESOURCE_EXHAUSTED);
    assert.equal((await ended(Buffer.alloc(3 << 20))).code, grpc.status.RESOURCE_EXHAUSTED);
    assert.equal((await ended(Buffer.from([0x3a, 9, 1]))).code, grpc.status.INVALID_ARGUMENT);
    const late = ask(client, { deadline: Date.now() + 300 });
    assert.equal((await late.closed).code, grpc.status.DEADLINE_EXCEEDED);

    const open = [];
    for (let i = 0; i < 32; i++) {
      open.push(ask(client));
      open[i].write(LIST);
      await open[i].count(1);
    }
    const refused = await ended(LIST);
    assert.deepEqual([refused.code, refused.details], [grpc.status.UNAVAILABLE, 'too many ask for descriptors already']);
    open[0].cancel();
    await open[0].closed;
    open[1].end();
    assert.equal((await open[1].closed).code, grpc.status.OK);
    const again = ask(client);
    again.write(LIST);
    await again.count(1);

    const begun = Date.now(); /* 31 streams that nobody ends */
    assert.deepEqual(await clew.stop(), { code: 0, signal: null });
    assert.ok(Date.now() - begun < 1500);
    assert.equal((await again.closed).code, grpc.status.UNAVAILABLE);
  } finally { client.close(); await clew.stop().catch(() => {}); }
});
