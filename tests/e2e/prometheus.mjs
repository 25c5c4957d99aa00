// Samples for the tests of Prometheus's API: sent as text, as remote write, as OTLP.
import assert from 'node:assert/strict';

export const form = (fields) => new URLSearchParams(fields);

/** Sends an exposition to /api/v1/import. */
export async function load(clew, text) {
  const answer = await fetch(`${clew.api}/api/v1/import`, { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: text });
  assert.equal(answer.status, 200, await answer.text());
}

/** Asks Prometheus's API; {status, body}. */
export async function ask(clew, path, init) {
  const answer = await fetch(`${clew.api}/prometheus${path}`, init), text = await answer.text();
  return { status: answer.status, headers: answer.headers, text, body: answer.headers.get('content-type')?.startsWith('application/json') ? JSON.parse(text) : undefined };
}

// ---- protobuf and snappy, as little as remote write needs ----

const varint = (n) => {
  const bytes = [];
  for (n = BigInt.asUintN(64, BigInt(n)); n > 127n; n >>= 7n) bytes.push(Number(n & 127n) | 128);
  return Buffer.from([...bytes, Number(n)]);
};
const bytes = (field, content) => Buffer.concat([varint((field << 3) | 2), varint(content.length), content]);
const text = (field, content) => bytes(field, Buffer.from(content));
const number = (field, n) => Buffer.concat([varint(field << 3), varint(n)]);
const double = (field, v) => {
  const b = Buffer.alloc(8);
  b.writeDoubleLE(v);
  return Buffer.concat([varint((field << 3) | 1), b]);
};
/** A block of literals alone. */
function snappy(content) {
  const parts = [varint(content.length)];
  for (let i = 0; i < content.length; i += 60) {
    const piece = content.subarray(i, i + 60);
    parts.push(Buffer.from([(piece.length - 1) << 2]), piece);
  }
  return Buffer.concat(parts);
}

/** series: [{labels: {name: value}, samples: [[ms, value]], exemplars: [[labels, value, ms]]}]; metadata: [[name, type number, help, unit]] */
export async function remoteWrite(clew, series, metadata = []) {
  const label = (field, [name, value]) => bytes(field, Buffer.concat([text(1, name), text(2, value)]));
  const request = Buffer.concat([
    ...series.map((s) => bytes(1, Buffer.concat([
      ...Object.entries(s.labels).sort(([a], [b]) => (a < b ? -1 : 1)).map((l) => label(1, l)),
      ...s.samples.map(([ms, v]) => bytes(2, Buffer.concat([double(1, v), number(2, ms)]))),
      ...(s.exemplars ?? []).map(([labels, v, ms]) => bytes(3, Buffer.concat([...Object.entries(labels).map((l) => label(1, l)), double(2, v), number(3, ms)]))),
    ]))),
    ...metadata.map(([name, type, help, unit]) => bytes(3, Buffer.concat([number(1, type), text(2, name), text(4, help), text(5, unit)]))),
  ]);
  const answer = await fetch(`${clew.api}/prometheus/api/v1/write`, {
    method: 'POST', body: snappy(request),
    headers: { 'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy', 'X-Prometheus-Remote-Write-Version': '0.1.0' },
  });
  assert.equal(answer.status, 204, await answer.text());
}

/** A native histogram by OTLP: counts of buckets from `offset` on, schema `scale`. */
export async function sendHistogram(clew, name, points) {
  const body = { resourceMetrics: [{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'e2e' } }] }, scopeMetrics: [{ metrics: [{ name,
    exponentialHistogram: { aggregationTemporality: 2, dataPoints: points.map((p) => ({ startTimeUnixNano: `${p.ms - 600000}000000`, timeUnixNano: `${p.ms}000000`,
      count: `${p.counts.reduce((a, b) => a + b, 0) + (p.zero ?? 0)}`, sum: p.sum, scale: p.scale, zeroCount: `${p.zero ?? 0}`,
      positive: { offset: p.offset, bucketCounts: p.counts.map(String) } })) } }] }] }] };
  const answer = await fetch(`${clew.otlp}/v1/metrics`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.text());
}
