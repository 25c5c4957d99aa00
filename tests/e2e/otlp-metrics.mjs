// OTLP metrics, written as OTLP/JSON has them: sent by each transport, and what Prometheus's rules make of them, told here a second time.
import assert from 'node:assert/strict';
import grpc from '@grpc/grpc-js';
import { bytes, fixed64, hex, number, post } from './otlp.mjs';
import { STALE, doubleBits, labelsText } from './prometheus.mjs';

// ---- protobuf, by opentelemetry/proto/{metrics,common,resource}/v1 --------------------------------------------------------

const double = (field, value) => Buffer.concat([Buffer.from([field << 3 | 1]), Buffer.from(doubleBits(Number(value)), 'hex').reverse()]);
const integer = (field, value) => fixed64(field, BigInt.asUintN(64, BigInt(value)));
const packed = (put) => (field, list) => bytes(field, Buffer.concat(list.map((v) => put(1, v).subarray(1))));
const zigzag = (field, value) => number(field, BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n)));
const varint = (field, value) => number(field, BigInt.asUintN(64, BigInt(value)));
const bits = (field, text) => bytes(field, hex(text));

/** Of each message its fields: number, and how it is written: another message by name, or a function. */
const point = { startTimeUnixNano: [2, integer], timeUnixNano: [3, integer] };
const messages = {
  Request: { resourceMetrics: [1, 'ResourceMetrics'] },
  ResourceMetrics: { resource: [1, 'Resource'], scopeMetrics: [2, 'ScopeMetrics'], schemaUrl: [3, bytes] },
  Resource: { attributes: [1, 'KeyValue'] },
  ScopeMetrics: { scope: [1, 'Scope'], metrics: [2, 'Metric'], schemaUrl: [3, bytes] },
  Scope: { name: [1, bytes], version: [2, bytes], attributes: [3, 'KeyValue'] },
  Metric: { name: [1, bytes], description: [2, bytes], unit: [3, bytes], gauge: [5, 'Numbers'], sum: [7, 'Numbers'], histogram: [9, 'Histogram'],
    exponentialHistogram: [10, 'Exponential'], summary: [11, 'Summary'] },
  Numbers: { dataPoints: [1, 'NumberPoint'], aggregationTemporality: [2, number], isMonotonic: [3, number] },
  Histogram: { dataPoints: [1, 'HistogramPoint'], aggregationTemporality: [2, number] },
  Exponential: { dataPoints: [1, 'ExponentialPoint'], aggregationTemporality: [2, number] },
  Summary: { dataPoints: [1, 'SummaryPoint'] },
  NumberPoint: { ...point, attributes: [7, 'KeyValue'], asDouble: [4, double], asInt: [6, integer], exemplars: [5, 'Exemplar'], flags: [8, number] },
  HistogramPoint: { ...point, attributes: [9, 'KeyValue'], count: [4, integer], sum: [5, double], bucketCounts: [6, packed(integer)], explicitBounds: [7, packed(double)],
    exemplars: [8, 'Exemplar'], flags: [10, number], min: [11, double], max: [12, double] },
  ExponentialPoint: { ...point, attributes: [1, 'KeyValue'], count: [4, integer], sum: [5, double], scale: [6, zigzag], zeroCount: [7, integer], positive: [8, 'Buckets'],
    negative: [9, 'Buckets'], flags: [10, number], exemplars: [11, 'Exemplar'], min: [12, double], max: [13, double], zeroThreshold: [14, double] },
  Buckets: { offset: [1, zigzag], bucketCounts: [2, packed(varint)] },
  SummaryPoint: { ...point, attributes: [7, 'KeyValue'], count: [4, integer], sum: [5, double], quantileValues: [6, 'Quantile'], flags: [8, number] },
  Quantile: { quantile: [1, double], value: [2, double] },
  Exemplar: { filteredAttributes: [7, 'KeyValue'], timeUnixNano: [2, integer], asDouble: [3, double], asInt: [6, integer], spanId: [4, bits], traceId: [5, bits] },
  KeyValue: { key: [1, bytes], value: [2, 'AnyValue'] },
  AnyValue: { stringValue: [1, bytes], boolValue: [2, number], intValue: [3, varint], doubleValue: [4, double], arrayValue: [5, 'Array'] },
  Array: { values: [1, 'AnyValue'] },
};

/** A field that is no member of its message is a mistake of the test. */
export function encode(value, name = 'Request') {
  return Buffer.concat(Object.entries(value).flatMap(([key, member]) => {
    const [field, how] = messages[name][key] ?? assert.fail(`${name} has no ${key}`);
    if (typeof how !== 'string') return [how(field, typeof member === 'boolean' ? Number(member) : member)];
    return (Array.isArray(member) ? member : [member]).map((m) => bytes(field, encode(m, how)));
  }));
}

// ---- sending ----------------------------------------------------------------------------------------------------------

const EXPORT = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export';
async function overHttp(clew, body, type) {
  const answer = await post(`${clew.otlp}/v1/metrics`, body, { 'Content-Type': type });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.type, type);
  return answer.data;
}
/** By the name of a transport: sends a request all of which must be taken. */
export const senders = {
  'http/protobuf': async (clew, request) => assert.equal((await overHttp(clew, encode(request), 'application/x-protobuf')).length, 0),
  'http/json': async (clew, request) => assert.equal((await overHttp(clew, JSON.stringify(request), 'application/json')).toString(), '{}'),
  grpc: async (clew, request) => {
    const client = new grpc.Client(new URL(clew.grpc).host, grpc.credentials.createInsecure());
    try {
      const answer = await new Promise((resolve, reject) => client.makeUnaryRequest(EXPORT, (x) => x, (x) => x, encode(request), (e, b) => (e ? reject(e) : resolve(b))));
      assert.equal(answer.length, 0, answer.toString('latin1'));
    } finally {
      client.close();
    }
  },
};

export const attributes = (object) => Object.entries(object).map(([key, v]) => ({ key, value: anyValue(v) }));
function anyValue(v) {
  if (Array.isArray(v)) return { arrayValue: { values: v.map(anyValue) } };
  if (typeof v === 'string') return { stringValue: v };
  if (typeof v === 'boolean') return { boolValue: v };
  return Number.isInteger(v) ? { intValue: String(v) } : { doubleValue: v };
}
export const RESOURCE = { 'service.namespace': 'tests', 'service.name': 'hand', 'service.instance.id': 'i-1', region: 'eu' };
export const SCOPE = { name: 'by.hand', version: '0.1', attributes: attributes({ kind: 'x' }) };
export const requestOf = (metrics, resource = RESOURCE) => ({ resourceMetrics: [{ resource: { attributes: attributes(resource) }, scopeMetrics: [{ scope: SCOPE, metrics }] }] });
export const ns = (ms) => `${BigInt(ms) * 1000000n}`;

// ---- as series --------------------------------------------------------------------------------------------------------
// OpenTelemetry's compatibility/prometheus_and_openmetrics.md, for names and units that the tests use.

const units = { s: 'seconds', ms: 'milliseconds', By: 'bytes', Cel: 'celsius' };
const plain = (text) => text.replace(/[^A-Za-z0-9_]/g, '_');
const valueText = (v) => v.stringValue ?? String(v.boolValue ?? v.intValue ?? v.doubleValue ?? JSON.stringify(v.arrayValue?.values.map((x) => x.stringValue ?? Number(x.intValue ?? x.doubleValue))));
const labelsOf = (list = [], prefix = '') => Object.fromEntries(list.map(({ key, value }) => [prefix + plain(key), valueText(value)]));
const isStale = (p) => (p.flags & 1) === 1;
const ms = (p) => Number(BigInt(p.timeUnixNano) / 1000000n);

function metricName(m) {
  const unit = m.unit === '1' ? (m.gauge ? 'ratio' : '') : units[m.unit] ?? '';
  const words = [...m.name.split(/[^A-Za-z0-9]+/).filter(Boolean), ...(unit ? [unit] : []), ...(m.sum?.isMonotonic ? ['total'] : [])];
  return words.join('_');
}

/** Buckets by Prometheus's index: those that count something; a scale over 8 is brought down to 8. */
function buckets({ offset = 0, bucketCounts = [] } = {}, scale) {
  const made = {};
  bucketCounts.forEach((n, i) => { const at = ((offset + i) >> Math.max(0, scale - 8)) + 1; if (Number(n)) made[at] = (made[at] ?? 0) + Number(n); });
  return made;
}

/** The series of one point but for its labels: [[ending of the name, labels, value]…]: a double as its bits, or a native histogram. */
function partsOf(m, p) {
  const stale = isStale(p), v = (x) => (stale ? STALE : doubleBits(Number(x)));
  if (m.gauge || m.sum) return [['', {}, v(p.asInt ?? p.asDouble)]];
  const totals = [...(p.sum === undefined && !m.summary ? [] : [['_sum', {}, v(p.sum ?? 0)]]), ['_count', {}, v(p.count ?? 0)]];
  if (m.summary) return [...totals, ...(p.quantileValues ?? []).map((q) => ['', { quantile: String(q.quantile) }, v(q.value)])];
  if (m.histogram) {
    let total = 0;
    const below = (p.explicitBounds ?? []).map((le, i) => ['_bucket', { le: String(le) }, v(total += Number(p.bucketCounts[i]))]);
    return [...totals, ...below, ['_bucket', { le: '+Inf' }, v(p.count ?? 0)]];
  }
  const empty = { schema: Math.min(p.scale ?? 0, 8), zeroThreshold: 0, zeroCount: 0, count: 0, sum: STALE, positive: {}, negative: {} };
  return [['', {}, stale ? empty : { ...empty, zeroThreshold: p.zeroThreshold || 1e-128, zeroCount: Number(p.zeroCount ?? 0), count: Number(p.count), sum: doubleBits(p.sum),
    positive: buckets(p.positive, p.scale), negative: buckets(p.negative, p.scale) }]];
}

const bitsValue = (text) => Buffer.from(text, 'hex').readDoubleBE();
function add(a, b) {
  if (typeof a === 'string') return doubleBits(bitsValue(a) + bitsValue(b));
  const both = (x, y) => Object.entries(y).reduce((o, [k, n]) => ({ ...o, [k]: (o[k] ?? 0) + n }), x);
  return { ...a, zeroCount: a.zeroCount + b.zeroCount, count: a.count + b.count, sum: add(a.sum, b.sum), positive: both(a.positive, b.positive), negative: both(a.negative, b.negative) };
}

/** Samples of requests sent one after the other: a map from labelsText to [[ms, value]…], deltas added up. */
export function seriesOf(requests) {
  const made = new Map();
  const put = (labels, at, value, delta) => {
    const key = labelsText(Object.fromEntries(Object.entries(labels).filter(([, v]) => v !== ''))), list = made.get(key) ?? made.set(key, []).get(key);
    list.push([at, delta && list.length ? add(list.at(-1)[1], value) : value]);
  };
  for (const { resource, scopeMetrics } of requests.flatMap((r) => r.resourceMetrics)) {
    const { service_namespace: space, service_name: name, service_instance_id: instance, ...others } = labelsOf(resource.attributes);
    const target = { job: space ? `${space}/${name}` : name, instance: instance ?? '' };
    let latest = 0;
    for (const { scope, metrics } of scopeMetrics) {
      const common = { ...target, otel_scope_name: scope.name, otel_scope_version: scope.version, ...labelsOf(scope.attributes, 'otel_scope_') };
      for (const m of metrics) {
        const kind = m.gauge ?? m.sum ?? m.histogram ?? m.exponentialHistogram ?? m.summary;
        for (const p of kind.dataPoints) {
          latest = Math.max(latest, ms(p));
          for (const [ending, more, value] of partsOf(m, p))
            put({ __name__: metricName(m) + ending, ...labelsOf(p.attributes), ...common, ...more }, ms(p), value, kind.aggregationTemporality === 1 && !isStale(p));
        }
      }
    }
    put({ __name__: 'target_info', ...target, ...others }, latest, doubleBits(1));
  }
  return made;
}
