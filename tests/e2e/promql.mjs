// Questions to Prometheus's API, and the samples that they are asked about.
import assert from 'node:assert/strict';
import { bytes, message, number } from './otlp.mjs';
import { exemplar1, snappy, write, writeRequest } from './prometheus.mjs';

export const form = (fields) => new URLSearchParams(fields);

/** Sends an exposition to /api/v1/import. */
export async function load(clew, text) {
  const answer = await fetch(`${clew.api}/api/v1/import`, { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: text });
  assert.equal(answer.status, 200, await answer.text());
}

/** Asks Prometheus's API: {status, headers, text, body}. */
export async function ask(clew, path, init) {
  const answer = await fetch(`${clew.api}/prometheus${path}`, init), text = await answer.text();
  const json = answer.headers.get('content-type')?.startsWith('application/json');
  return { status: answer.status, headers: answer.headers, text, body: json ? JSON.parse(text) : undefined };
}

/** series: [{labels, samples: [[value, ms]], exemplars: [[labels, value, ms]]}]; metadata: [[name, type, help]] */
export async function remoteWrite(clew, series, metadata = []) {
  const rows = series.map(({ labels, samples, exemplars = [] }) => ({ labels: Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)), samples, more: exemplars.map((x) => exemplar1(3, ...x)) }));
  const said = metadata.map(([name, type, help]) => message(3, number(1, type), bytes(2, name), bytes(4, help)));
  const answer = await write(clew, snappy(Buffer.concat([writeRequest(rows), ...said])));
  assert.equal(answer.status, 204, answer.text);
}

/** Native histograms by OTLP: counts of buckets from `offset` on, schema `scale`. */
export async function sendHistogram(clew, name, points) {
  const body = { resourceMetrics: [{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'e2e' } }] }, scopeMetrics: [{ metrics: [{ name,
    exponentialHistogram: { aggregationTemporality: 2, dataPoints: points.map((p) => ({ startTimeUnixNano: `${p.ms - 600000}000000`, timeUnixNano: `${p.ms}000000`,
      count: `${p.counts.reduce((a, b) => a + b, 0) + (p.zero ?? 0)}`, sum: p.sum, scale: p.scale, zeroCount: `${p.zero ?? 0}`,
      positive: { offset: p.offset, bucketCounts: p.counts.map(String) } })) } }] }] }] };
  const answer = await fetch(`${clew.otlp}/v1/metrics`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.text());
}
