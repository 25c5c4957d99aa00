// Metrics into clew: the OpenTelemetry JS SDK by all three transports, remote write and text by hand, and bad input of all of them.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import grpc from '@grpc/grpc-js';
import { ValueType } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { AggregationTemporality, AggregationType, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPMetricExporter as JsonMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as GrpcMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base';
import { binary, startClew, startSecured, getJson } from './clew.mjs';
import { bytes, fixed64, message, number, post, text } from './otlp.mjs';
import { TYPE_2, exemplar1, prometheusOf, query, samplesOf, snappy, write, writeRequest, writeRequest2 } from './prometheus.mjs';
import { temporary } from './processes.mjs';

// ---- the SDK --------------------------------------------------------------------------------------------------------

const gzip = CompressionAlgorithm.GZIP;
const resource = resourceFromAttributes({ 'service.name': 'e2e-shop', 'service.namespace': 'tests', 'service.instance.id': 'i-1', 'service.version': '1.2.3', region: 'eu' });
const http = ({ ca, sends }) => (ca ? { headers: { Authorization: `Bearer ${sends}` }, httpAgentOptions: { ca, keepAlive: true } } : {});
function overGrpc({ ca, sends }) {
  if (!ca) return {};
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${sends}`);
  return { metadata, credentials: grpc.credentials.createSsl(ca) };
}
const wires = {
  'http/protobuf': (clew, options) => new OTLPMetricExporter({ url: `${clew.otlp}/v1/metrics`, compression: gzip, ...http(clew), ...options }),
  'http/json': (clew, options) => new JsonMetricExporter({ url: `${clew.otlp}/v1/metrics`, compression: gzip, ...http(clew), ...options }),
  grpc: (clew, options) => new GrpcMetricExporter({ url: clew.grpc, compression: gzip, ...overGrpc(clew), ...options }),
};
const views = [{ instrumentName: 'rpc.size', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }];

/** A meter whose numbers go to clew, and what was exported: each export's result is taken. */
function metering(exporter) {
  const results = [];
  const watched = {
    export(metrics, done) { exporter.export(metrics, (result) => { results.push(result); done(result); }); },
    selectAggregationTemporality: (type) => exporter.selectAggregationTemporality(type),
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
  const reader = new PeriodicExportingMetricReader({ exporter: watched, exportIntervalMillis: 3600000 });
  const provider = new MeterProvider({ resource, readers: [reader], views });
  return { provider, results, meter: provider.getMeter('e2e.meter', '0.9') };
}

const base = { job: 'tests/e2e-shop', instance: 'i-1', otel_scope_name: 'e2e.meter', otel_scope_version: '0.9' };
const one = (result, labels) => {
  assert.equal(result.length, 1, JSON.stringify(result));
  assert.deepEqual(result[0].metric, labels);
  return Number(result[0].value[1]);
};

/** Instruments of all kinds, used; then what clew answers. */
async function sendAllKinds(clew, exporter) {
  const { provider, meter, results } = metering(exporter);
  const requests = meter.createCounter('http.server.requests', { unit: '{request}', description: 'Requests served', valueType: ValueType.INT });
  const bytesSent = meter.createCounter('sent', { unit: 'By' });
  const queue = meter.createUpDownCounter('queue.length');
  const waits = meter.createHistogram('http.wait', { unit: 'ms', advice: { explicitBucketBoundaries: [10, 100.5, 1000] } });
  const sizes = meter.createHistogram('rpc.size', { unit: 'By' });
  meter.createGauge('room.temperature', { unit: 'Cel' }).record(-3.25, { room: 'größe "x"\n', floor: 2, open: true });
  meter.createObservableCounter('process.cpu.time', { unit: 's' }).addCallback((r) => r.observe(12.5, { state: 'user' }));
  meter.createObservableGauge('memory.use', { unit: '1' }).addCallback((r) => r.observe(0.5));
  requests.add(3, { method: 'GET', 'http.route': '/a' });
  requests.add(4, { method: 'POST', 'http.route': '/a' });
  bytesSent.add(1.5);
  queue.add(7);
  queue.add(-2);
  [1, 10, 50, 5000].forEach((v) => waits.record(v, { kind: 'x' }));
  [1, 2, 3, 1000, 0].forEach((v) => sizes.record(v));
  await provider.forceFlush();
  assert.deepEqual(results.map((r) => r.code), [0], JSON.stringify(results[0].error ?? ''));
  return { provider, meter, requests, queue, waits, results };
}

async function checkAllKinds(clew) {
  const ask = (expression) => query(prometheusOf(clew), expression, undefined, clew);
  assert.equal(one(await ask('http_server_requests_total{method="GET"}'), { __name__: 'http_server_requests_total', ...base, method: 'GET', http_route: '/a' }), 3);
  assert.equal(one(await ask('sum(http_server_requests_total)'), {}), 7);
  assert.equal(one(await ask('sent_bytes_total'), { __name__: 'sent_bytes_total', ...base }), 1.5);
  assert.equal(one(await ask('queue_length'), { __name__: 'queue_length', ...base }), 5);
  assert.equal(one(await ask('room_temperature_celsius'), { __name__: 'room_temperature_celsius', ...base, room: 'größe "x"\n', floor: '2', open: 'true' }), -3.25);
  assert.equal(one(await ask('process_cpu_time_seconds_total'), { __name__: 'process_cpu_time_seconds_total', ...base, state: 'user' }), 12.5);
  assert.equal(one(await ask('memory_use_ratio'), { __name__: 'memory_use_ratio', ...base }), 0.5);
  const buckets = Object.fromEntries((await ask('http_wait_milliseconds_bucket')).map((r) => [r.metric.le, Number(r.value[1])]));
  assert.deepEqual(buckets, { 10: 2, '100.5': 3, 1000: 3, '+Inf': 4 });
  assert.equal(one(await ask('http_wait_milliseconds_sum'), { __name__: 'http_wait_milliseconds_sum', ...base, kind: 'x' }), 5061);
  assert.equal(one(await ask('http_wait_milliseconds_count'), { __name__: 'http_wait_milliseconds_count', ...base, kind: 'x' }), 4);
  const [native] = await ask('rpc_size_bytes');
  assert.deepEqual([native.histogram[1].count, native.histogram[1].sum], ['5', '1006']);
  assert.equal(native.histogram[1].buckets.reduce((n, b) => n + Number(b[3]), 0), 5);
  const info = await ask('target_info');
  assert.equal(one(info, { __name__: 'target_info', job: base.job, instance: base.instance, service_version: '1.2.3', region: 'eu', ...pickSdk(info[0].metric) }), 1);
}
/** What the SDK's own detectors may add. */
const pickSdk = (metric) => Object.fromEntries(Object.entries(metric).filter(([k]) => k.startsWith('telemetry_') || k.startsWith('process_')));

for (const [wire, exporter] of Object.entries(wires)) {
  for (const [how, start] of [['', startClew], [', by TLS with a token', startSecured]]) {
    test(`${wire}: instruments of every kind arrive under Prometheus's names${how}`, { timeout: 60000 }, async () => {
      const clew = await start();
      try {
        const { provider } = await sendAllKinds(clew, exporter(clew, { temporalityPreference: AggregationTemporality.CUMULATIVE }));
        await checkAllKinds(clew);
        await provider.shutdown();
      } finally {
        assert.deepEqual(await clew.stop(), { code: 0, signal: null });
      }
    });
  }

  test(`${wire}: deltas are added up, and go on after clew was started again`, { timeout: 60000 }, async () => {
    let clew = await startClew();
    try {
      const dir = clew.dir;
      const first = await sendAllKinds(clew, exporter(clew, { temporalityPreference: AggregationTemporality.DELTA }));
      await checkAllKinds(clew);
      first.requests.add(10, { method: 'GET', 'http.route': '/a' });
      first.waits.record(50, { kind: 'x' });
      await first.provider.forceFlush();
      const ask = async (expression) => Number((await query(prometheusOf(clew), expression))[0].value[1]);
      assert.equal(await ask('http_server_requests_total{method="GET"}'), 13);
      assert.equal(await ask('http_wait_milliseconds_bucket{le="100.5"}'), 4);
      assert.equal(await ask('http_wait_milliseconds_count'), 5);
      await clew.stop({ keep: true });
      await first.provider.shutdown().catch(() => {}); // nobody answers it
      clew = await startClew([], dir);
      const second = metering(exporter(clew, { temporalityPreference: AggregationTemporality.DELTA }));
      second.meter.createCounter('http.server.requests', { unit: '{request}', valueType: ValueType.INT }).add(100, { method: 'GET', 'http.route': '/a' });
      await second.provider.forceFlush();
      assert.equal(await ask('http_server_requests_total{method="GET"}'), 113);
      await second.provider.shutdown();
    } finally {
      await clew.stop();
    }
  });
}

test('what the SDK itself collected is what is stored, number by number', { timeout: 60000 }, async () => {
  const clew = await startClew();
  try {
    const memory = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const provider = new MeterProvider({ resource, readers: [
      new PeriodicExportingMetricReader({ exporter: memory, exportIntervalMillis: 3600000 }),
      new PeriodicExportingMetricReader({ exporter: wires['http/protobuf'](clew), exportIntervalMillis: 3600000 })] });
    const meter = provider.getMeter('e2e.meter', '0.9'), counter = meter.createCounter('work');
    for (let i = 0; i < 200; i++) counter.add(i + 0.1, { worker: i % 50 });
    await provider.forceFlush();
    const points = memory.getMetrics()[0].scopeMetrics[0].metrics[0].dataPoints;
    const got = Object.fromEntries((await query(prometheusOf(clew), 'work_total')).map((r) => [r.metric.worker, Number(r.value[1])]));
    assert.deepEqual(got, Object.fromEntries(points.map((p) => [String(p.attributes.worker), p.value])));
    await provider.shutdown();
  } finally {
    await clew.stop();
  }
});

// ---- by hand ----------------------------------------------------------------------------------------------------------

let clew;
before(async () => { clew = await startClew(); });
after(async () => { assert.deepEqual(await clew.stop(), { code: 0, signal: null }); });

const nowMs = () => Date.now();
const series = (name, more = {}) => ({ __name__: name, ...more });
const names = async (selector) => (await query(prometheusOf(clew), selector)).map((r) => r.metric.__name__).sort();

test('remote write 1.0 and 2.0 with samples, exemplars and headers', async () => {
  const t = nowMs(), labels = series('hand_total', { a: 'b', job: 'x' });
  const first = await write(clew, snappy(writeRequest([{ labels, samples: [[1, t - 1000], [2.5, t]], more: [exemplar1(3, { trace_id: 'abc' }, 2, t)] }])));
  assert.deepEqual(first, { status: 204, text: '', written: [null, null, null] });
  const second = await write(clew, snappy(writeRequest2([{ labels: series('hand_2', { 'ünïcode.name': 'ä' }), samples: [[7, t]] }])), { 'Content-Type': TYPE_2 });
  assert.deepEqual(second, { status: 204, text: '', written: ['1', '0', '0'] });
  const got = await samplesOf(prometheusOf(clew), 'hand_total', t / 1000, 10);
  assert.deepEqual([...got.values()].map((s) => s.values), [[[(t - 1000) / 1000, '1'], [t / 1000, '2.5']]]);
  assert.deepEqual((await query(prometheusOf(clew), '{"hand_2"}'))[0].metric, { __name__: 'hand_2', 'ünïcode.name': 'ä' });
});

test('remote write: what is refused is 400 and named, what is good is kept', async () => {
  const t = nowMs(), bad = async (list, pattern) => {
    const answer = await write(clew, snappy(writeRequest2([...list, { labels: series('kept', { n: String(Math.random()) }), samples: [[1, t]] }])), { 'Content-Type': TYPE_2 });
    assert.equal(answer.status, 400, answer.text);
    assert.match(answer.text, pattern);
    assert.equal(answer.written[0], '1');
  };
  await write(clew, snappy(writeRequest([{ labels: series('taken'), samples: [[1, t]] }])));
  await bad([{ labels: series('taken'), samples: [[2, t]] }], /^1: /);
  await bad([{ labels: series('taken'), samples: [[2, t - 3 * 3600000]] }], /^1: .*(late|old)/);
  await bad([{ labels: series('taken'), samples: [[2, t - 40 * 86400000]] }], /older than the retention/);
  await bad([{ labels: series('taken'), samples: [[2, t + 2 * 86400000]] }], /future/);
  await bad([{ labels: series('taken'), samples: [[2, -1], [2, -9223372036854775807n]] }], /^2: older than the retention/);
  await bad([{ labels: { a: 'b' }, samples: [[1, t]] }], /__name__/);
  await bad([{ labels: series('long', { [`n${'x'.repeat(2000)}`]: 'v' }), samples: [[1, t]] }], /^1: .*at most \d+/);
  await bad([{ labels: series('long', { v: 'x'.repeat(100000) }), samples: [[1, t]] }], /^1: .*at most \d+/);
  const again = await write(clew, snappy(writeRequest([{ labels: series('taken'), samples: [[1, t]] }])));
  assert.equal(again.status, 204, 'the same again is said already');
  const twice = await write(clew, snappy(writeRequest([{ labels: [['__name__', 'dup'], ['a', '1'], ['a', '2']], samples: [[1, t]] }])));
  assert.equal(twice.status, 400);
  assert.match(twice.text, /a label name twice/);
  assert.equal((await query(prometheusOf(clew), 'count(kept)'))[0].value[1], '8');
});

test('100,000 labels on one series are refused in either version, and cost nobody else', async () => {
  const t = nowMs(), labels = series('many', Object.fromEntries(Array.from({ length: 100000 }, (_, i) => [`l${i}`, `v${i}`])));
  const good = { labels: series('beside'), samples: [[1, t]] };
  const first = await write(clew, snappy(writeRequest([{ labels, samples: [[1, t]] }, good])));
  assert.equal(first.status, 400);
  assert.match(first.text, /labels/);
  const otlp = await post(`${clew.otlp}/v1/metrics`, message(1, message(2, message(2, bytes(1, 'attributes'), message(5, message(1,
    fixed64(3, BigInt(t) * 1000000n), ...Array.from({ length: 100000 }, (_, i) => text(7, `k${i}`, 'v'))))))));
  assert.equal(otlp.status, 200);
  assert.match(otlp.text, /1: too many labels/);
  assert.deepEqual(await names('{__name__=~"many|beside|attributes"}'), ['beside']);
});

test('snappy that is none, framed, cut off or a bomb; protobuf that is none; types and encodings that are not taken', async () => {
  const good = writeRequest([{ labels: series('unpacked'), samples: [[1, nowMs()]] }]);
  for (const body of [Buffer.alloc(0), good, snappy(good).subarray(0, 20), Buffer.concat([Buffer.from('ff060000734e61507059', 'hex'), snappy(good)]),
    Buffer.from('80808010' + '00'.repeat(100), 'hex'), snappy(Buffer.from('no protobuf')), snappy(good.subarray(0, good.length - 1))]) {
    const answer = await write(clew, body);
    assert.equal(answer.status, 400, answer.text);
    assert.ok(answer.text.length > 5 && answer.text.indexOf('\n') === answer.text.length - 1, answer.text);
  }
  const bomb = Buffer.concat([Buffer.from('ffffffff0f', 'hex'), Buffer.alloc(1 << 20, 0xfe)]); // states 4 GiB
  assert.equal((await write(clew, bomb)).status, 413);
  for (const headers of [{ 'Content-Encoding': 'gzip' }, { 'Content-Encoding': 'zstd' }, { 'Content-Type': 'application/json' },
    { 'Content-Type': 'application/x-protobuf;proto=io.prometheus.write.v3.Request' }])
    assert.equal((await write(clew, snappy(good), headers)).status, 415);
  assert.equal((await write(clew, snappy(good), { 'Content-Type': TYPE_2 })).status, 400, 'a body of 1.0 said to be 2.0');
  const newer = await write(clew, snappy(writeRequest2([{ labels: series('unpacked'), samples: [[1, nowMs()]] }])));
  assert.deepEqual([newer.status, /remote write 2\.0, not 1\.0/.test(newer.text)], [400, true], 'a body of 2.0 said to be 1.0');
  const wrong = await fetch(`${clew.api}/prometheus/api/v1/write`);
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get('allow'), 'POST');
  assert.deepEqual(await names('unpacked'), []);
});

/** A native histogram of remote write 1.0: field 4 of a TimeSeries. */
function native({ schema = 0, spans = [[0, 2]], deltas = [1, 1], count = 3, sum = 5, time = nowMs(), zero = 0 } = {}) {
  const zigzag = (n) => (n < 0 ? -2 * n - 1 : 2 * n), sumBytes = Buffer.alloc(9);
  sumBytes[0] = 3 << 3 | 1;
  sumBytes.writeDoubleLE(sum, 1);
  return message(4, number(1, count), sumBytes, number(4, zigzag(schema)), number(6, zero),
    ...spans.map(([offset, length]) => message(11, number(1, zigzag(offset)), number(2, length))),
    bytes(12, Buffer.from(deltas.map(zigzag))), number(15, time));
}

test('histograms that lie about schema, spans or count are refused, one by one', async () => {
  const send = async (more) => write(clew, snappy(writeRequest([{ labels: series('lying'), more: [more] }, { labels: series('honest'), samples: [[1, nowMs()]] }])));
  for (const lie of [{ schema: 9 }, { schema: -5 }, { schema: 127 }, { schema: -53 }, { spans: [[0, 3]] }, { spans: [[0, 1]] }, { spans: [[0, 4000000000]] },
    { spans: [[0, 1], [-1, 1]] }, { deltas: [1, -2] }, { count: 2 }]) {
    const answer = await send(native(lie));
    assert.equal(answer.status, 400, JSON.stringify(lie));
    assert.match(answer.text, /^1: a histogram/);
  }
  assert.deepEqual(await names('{__name__=~"lying|honest"}'), ['honest']);
  assert.equal((await send(native())).status, 204);
  assert.equal((await query(prometheusOf(clew), 'histogram_count(lying)'))[0].value[1], '3');
});

test('NaN payloads: the stale marker ends a series, other NaNs are values', async () => {
  const t = nowMs(), bits = (hex) => message(2, Buffer.concat([Buffer.from([1 << 3 | 1]), Buffer.from(hex, 'hex').reverse()]), number(2, t));
  const answer = await write(clew, snappy(writeRequest([
    { labels: series('nans', { is: 'stale' }), samples: [[1, t - 1000]], more: [bits('7ff0000000000002')] },
    { labels: series('nans', { is: 'nan' }), samples: [[1, t - 1000]], more: [bits('7ff8000000000001')] },
    { labels: series('nans', { is: 'odd' }), samples: [[1, t - 1000]], more: [bits('fff8dead0000beef')] }])));
  assert.equal(answer.status, 204, answer.text);
  const got = await query(prometheusOf(clew), 'nans', t / 1000);
  assert.deepEqual(got.map((r) => [r.metric.is, r.value[1]]).sort(), [['nan', 'NaN'], ['odd', 'NaN']]);
});

test('retention 0 takes 1970 and before; a leap second is the second after it', async () => {
  const old = await startClew(['--retention', '0']);
  try {
    const answer = await write(old, snappy(writeRequest([{ labels: series('old'), samples: [[1, -4000], [2, 0], [3, 4000]] },
      { labels: series('leap'), samples: [[1, 1483228799500], [2, 1483228800500]] }])));
    assert.equal(answer.status, 204, answer.text);
    assert.equal((await query(prometheusOf(old), 'old', 4))[0].value[1], '3');
    assert.equal((await query(prometheusOf(old), 'old', '-3'))[0].value[1], '1');
    assert.equal((await query(prometheusOf(old), 'leap', '2016-12-31T23:59:59.6Z'))[0].value[1], '1');
    const wrong = await write(old, snappy(writeRequest([{ labels: series('far'), samples: [[1, -9223372036854775807n]] }])));
    assert.equal(wrong.status, 400, 'a time that is no time');
  } finally {
    await old.stop();
  }
});

test('limits of series: who is over them is named, who is there goes on', async () => {
  const small = await startClew(['--series-max', '100', '--series-labels-max', '5']);
  try {
    const t = nowMs(), list = (from, n, at) => Array.from({ length: n }, (_, i) => ({ labels: series('offender', { path: `/p${from + i}`, job: 'x' }), samples: [[1, at]] }));
    assert.equal((await write(small, snappy(writeRequest(list(0, 100, t))))).status, 204);
    const over = await write(small, snappy(writeRequest(list(90, 20, t + 1))));
    assert.equal(over.status, 400);
    assert.match(over.text, /^10: .*series/);
    assert.match(over.text, /offender/);
    assert.match(over.text, /path/);
    assert.equal((await query(prometheusOf(small), 'count(offender)'))[0].value[1], '100');
    const wide = await write(small, snappy(writeRequest([{ labels: series('wide', { a: '1', b: '1', c: '1', d: '1', e: '1' }), samples: [[1, t]] }])));
    assert.equal(wide.status, 400);
    assert.match(wide.text, /label/);
  } finally {
    await small.stop();
  }
});

test('new series in ten minutes, and late samples, as they are configured', async () => {
  const strict = await startClew(['--series-new-max', '10', '--late-window', '0']);
  try {
    const t = nowMs(), many = Array.from({ length: 15 }, (_, i) => ({ labels: series('churning', { pod: `p${i}` }), samples: [[1, t]] }));
    const over = await write(strict, snappy(writeRequest(many)));
    assert.equal(over.status, 400);
    assert.match(over.text, /^5: .*churning/);
    const late = await write(strict, snappy(writeRequest([{ labels: series('churning', { pod: 'p1' }), samples: [[1, t - 1]] }])));
    assert.equal(late.status, 400);
    assert.equal((await query(prometheusOf(strict), 'count(churning)'))[0].value[1], '10');
  } finally {
    await strict.stop();
  }
});

/** A clew with limits, and two tenants of it with tokens of their own: {write, otlp, count} each. */
async function withTenants(limits, body) {
  const dir = temporary('e2e');
  const token = (tenant) => execFileSync(binary, ['token', 'new', tenant, '--role', 'admin', '--tenant', tenant, '--data', join(dir, 'data')], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  const tokens = [token('a'), token('b')], shared = await startClew(limits, dir);
  try {
    await body(...tokens.map((t) => {
      const headers = { Authorization: `Bearer ${t}` };
      return {
        write: (list) => write(shared, snappy(writeRequest(list)), headers),
        otlp: async (metric) => (await post(`${shared.otlp}/v1/metrics`, JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics: [metric] }] }] }), { 'Content-Type': 'application/json', ...headers })).text,
        count: async (selector) => (await (await fetch(`${prometheusOf(shared)}/api/v1/query?${new URLSearchParams({ query: `count(${selector})` })}`, { headers })).json()).data.result[0]?.value[1],
      };
    }));
  } finally {
    assert.deepEqual(await shared.stop(), { code: 0, signal: null });
  }
}
const many = (name, label, from, n, at) => Array.from({ length: n }, (_, i) => ({ labels: series(name, { [label]: `v${from + i}` }), samples: [[1, at]] }));

test('a tenant at its limit of series is refused with its own offenders, and another one is not', () => withTenants(['--series-max', '50', '--series-labels-max', '4'], async (a, b) => {
  const t = nowMs(), over = (name, label) => new RegExp(`^1?\\d: .*over 50 series: most are of metric ${name} \\(50\\), the label with most values is ${label} \\(50\\)`);
  const gauge = (name) => ({ name, gauge: { dataPoints: [{ timeUnixNano: `${t}000000`, asInt: '1' }] } });
  const first = await a.write(many('crowd', 'path', 0, 60, t));
  assert.equal(first.status, 400);
  assert.match(first.text, over('crowd', 'path'));
  assert.match(first.text, /^10: /);
  const { partialSuccess } = JSON.parse(await a.otlp(gauge('one.more')));
  assert.equal(partialSuccess.rejectedDataPoints, '1');
  assert.match(partialSuccess.errorMessage, /over 50 series: most are of metric crowd/);
  assert.equal(await b.otlp(gauge('one.more')), '{}');
  assert.deepEqual((await b.write(many('calm', 'zone', 0, 49, t))).status, 204, 'another tenant has as many of its own');
  assert.equal((await a.write(many('crowd', 'path', 0, 50, t + 1))).status, 204, 'who is there goes on');
  const second = await b.write(many('calm', 'zone', 49, 3, t));
  assert.equal(second.status, 400);
  assert.match(second.text, /^3: .*over 50 series: most are of metric calm \(49\), the label with most values is zone \(49\)/);
  assert.doesNotMatch(second.text, /crowd|path/, 'nobody else is named');
  assert.deepEqual([await a.count('crowd'), await b.count('calm'), await a.count('{__name__=~"calm|one_more"}'), await b.count('one_more')], ['50', '49', undefined, '1']);
}));

test('labels and new series are limited for each tenant alone', () => withTenants(['--series-labels-max', '4', '--series-new-max', '20'], async (a, b) => {
  const t = nowMs(), wide = (n) => [{ labels: series('wide', Object.fromEntries(Array.from({ length: n - 1 }, (_, i) => [`l${i}`, 'x']))), samples: [[1, t]] }];
  const labels = await a.write(wide(5));
  assert.equal(labels.status, 400);
  assert.match(labels.text, /^1: over a limit of the tenant; wide\{.*\}: a series with 5 labels, at most 4\n$/);
  assert.equal((await b.write(wide(4))).status, 204);
  const first = await a.write(many('deploys', 'pod', 0, 30, t));
  assert.equal(first.status, 400);
  assert.match(first.text, /^10: .*over 20 new series in 600 s: most are of metric deploys \(20\), the label with most values is pod \(20\)/);
  assert.equal((await b.write(many('steady', 'zone', 0, 19, t))).status, 204);
  const second = await b.write(many('steady', 'zone', 19, 2, t));
  assert.equal(second.status, 400);
  assert.match(second.text, /^2: .*over 20 new series in 600 s: most are of metric steady/);
  assert.equal((await a.write(many('deploys', 'pod', 0, 20, t + 1))).status, 204);
  assert.deepEqual([await a.count('deploys'), await a.count('wide'), await b.count('steady'), await b.count('wide')], ['20', undefined, '19', '1']);
}));

test('names as they are configured; promoted attributes', async () => {
  const other = await startClew(['--metric-names', 'NoTranslation', '--promote-attribute', 'region', '--promote-attribute', 'service.version']);
  try {
    const { provider } = await sendAllKinds(other, wires['http/protobuf'](other));
    const [counter] = await query(prometheusOf(other), '{"sent"}');
    assert.deepEqual(counter.metric, { __name__: 'sent', ...base, region: 'eu', 'service.version': '1.2.3' });
    await provider.shutdown();
  } finally {
    await other.stop();
  }
  const refused = spawnSync(binary, ['serve', '--metric-names', 'Whatever', '--data', '/nonexistent'], { encoding: 'utf8' });
  assert.notEqual(refused.status, 0);
  assert.match(refused.stderr, /--metric-names.*UnderscoreEscapingWithSuffixes/);
});

// ---- text ---------------------------------------------------------------------------------------------------------------

const importText = async (body, { parameters = '', type = 'text/plain; version=0.0.4', headers = {} } = {}) => {
  const answer = await fetch(`${clew.api}/api/v1/import${parameters}`, { method: 'POST', headers: { 'Content-Type': type, ...headers }, body });
  return { status: answer.status, body: await answer.json() };
};

test('OTLP/JSON on the main port, and where Prometheus takes it', async () => {
  const body = JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: 'json.gauge', gauge: { dataPoints: [{ timeUnixNano: `${nowMs()}000000`, asDouble: 1 }, { timeUnixNano: '1' }] } }] }] }] });
  for (const path of ['/otlp/v1/metrics', '/prometheus/api/v1/otlp/v1/metrics']) {
    const answer = await fetch(`${clew.api}${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
    assert.deepEqual([answer.status, await answer.json()], [200, { partialSuccess: { rejectedDataPoints: '1', errorMessage: '1: older than the retention; metric "json.gauge"' } }]);
  }
  assert.deepEqual(await names('json_gauge'), ['json_gauge']);
});

test('remote write fits into little memory: a body takes what it states', async () => {
  const small = await startClew(['--memory-limit', '64MiB']);
  const figure = async (name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(await (await fetch(`${small.api}/metrics`)).text())[1]);
  try {
    const before = await figure('clew_memory_peak_bytes'), t = nowMs();
    for (let i = 0; i < 20; i++) {
      const answer = await write(small, snappy(writeRequest(Array.from({ length: 500 }, (_, k) => ({ labels: series('little', { k: String(k) }), samples: [[i, t + i]] })))));
      assert.equal(answer.status, 204, answer.text);
    }
    assert.equal((await query(prometheusOf(small), 'sum(count_over_time(little[1m]))', (t + 1000) / 1000))[0].value[1], '10000');
    assert.ok(await figure('clew_memory_peak_bytes') - before < 16 << 20, `${await figure('clew_memory_peak_bytes')} after ${before}`);
  } finally {
    await small.stop();
  }
});

test('the port of Prometheus takes the same at its root', async () => {
  const other = await startClew(['--prometheus', '127.0.0.1:0']);
  try {
    const answer = await fetch(`${other.prometheus}/api/v1/write`, { method: 'POST', headers: { 'Content-Type': TYPE_2, 'Content-Encoding': 'snappy' },
      body: snappy(writeRequest2([{ labels: series('by_port'), samples: [[1, nowMs()]] }])) });
    assert.deepEqual([answer.status, answer.headers.get('x-prometheus-remote-write-samples-written')], [204, '1']);
    const otlp = await fetch(`${other.prometheus}/api/v1/otlp/v1/metrics`, { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: 'x' });
    assert.deepEqual([otlp.status, otlp.headers.get('content-type'), Buffer.from(await otlp.arrayBuffer())[0]], [415, 'application/x-protobuf', 8]);
    assert.equal((await query(other.prometheus, 'by_port')).length, 1);
  } finally {
    await other.stop();
  }
});

test('text and OpenMetrics are imported: labels, times, gzip; all of it or nothing, with line and column', async () => {
  assert.deepEqual(await importText('# TYPE batch_done counter\nbatch_done_total{job="other"} 5\n', { parameters: '?job=cron&instance=h1&label=env%3Dprod' }),
    { status: 200, body: { taken: 1, rejected: 0, exemplars: 0 } });
  assert.deepEqual((await query(prometheusOf(clew), 'batch_done_total'))[0].metric, { __name__: 'batch_done_total', job: 'cron', instance: 'h1', env: 'prod' });
  const seconds = Date.now() / 1000 - 5;
  const open = await importText(`# TYPE om counter\n# UNIT om_bytes bytes\nom_total 1 ${seconds} # {trace_id="x"} 0.5\n# EOF\n`, { type: 'application/openmetrics-text; version=1.0.0' });
  assert.equal(open.status, 200, JSON.stringify(open.body));
  const zipped = await importText(gzipSync('zipped{a="b"} 1\n'), { headers: { 'Content-Encoding': 'gzip' } });
  assert.equal(zipped.status, 200);
  const bad = await importText('fine 1\nbroken{a="b" 1\n');
  assert.equal(bad.status, 400);
  assert.match(bad.body.error.message, /line 2, column 14/);
  assert.deepEqual(await names('{__name__=~"fine|zipped|broken"}'), ['zipped']);
  assert.equal((await importText('m 1\n', { type: 'application/json' })).status, 415);
  assert.equal((await importText('m 1\n', { parameters: '?jobs=x' })).status, 400);
  const own = await (await fetch(`${clew.api}/metrics`)).text();
  assert.equal((await importText(own, { parameters: '?job=clew' })).body.rejected, 0, 'its own figures');
});

test('clew import metrics: files, standard input, pieces, mistakes', async () => {
  const run = (args, input) => new Promise((resolve) => {
    const child = execFile(binary, ['import', 'metrics', ...args, '--server', clew.api], (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr }));
    child.stdin.on('error', () => {}); // one that refuses its arguments does not read
    child.stdin.end(input ?? '');
  });
  const file = join(clew.dir, 'metrics.txt');
  writeFileSync(file, `# TYPE imported gauge\n${Array.from({ length: 120000 }, (_, i) => `imported{row="${i}"} ${i}`).join('\n')}\n`);
  assert.deepEqual(await run([file, '--job', 'files', '--json']), { status: 0, stdout: '{"taken":120000,"rejected":0,"exemplars":0}\n', stderr: '' });
  assert.equal((await query(prometheusOf(clew), 'sum(imported{job="files"})'))[0].value[1], String(120000 * 119999 / 2));
  const types = await getJson(`${prometheusOf(clew)}/api/v1/metadata?metric=imported`);
  assert.equal(types.data.imported[0].type, 'gauge');
  const piped = await run(['-', '--label', 'from=stdin'], 'piped_total 1 1\n# EOF\n'.replace(' 1 1', ` 1 ${Date.now() / 1000}`));
  assert.deepEqual(piped, { status: 0, stdout: 'imported 1 samples and 0 exemplars\n', stderr: '' });
  assert.equal((await query(prometheusOf(clew), 'piped_total'))[0].metric.from, 'stdin');
  const broken = await run(['-'], 'good 1\nbad{ 2\n');
  assert.notEqual(broken.status, 0);
  assert.match(broken.stderr, /line 2, column 6/);
  const late = await run(['-'], 'ancient 1 1000\n');
  assert.notEqual(late.status, 0);
  assert.match(late.stderr, /1 samples were rejected: 1: older than the retention/);
  assert.notEqual((await run(['/nonexistent'])).status, 0);
});
