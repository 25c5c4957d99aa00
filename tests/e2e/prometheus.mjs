// Remote write and remote read by hand, Prometheus and vmagent as senders, and the query API that says what arrived.
import http from 'node:http';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytes, message, number } from './otlp.mjs';
import { getJson, until } from './clew.mjs';
import { endLater, spawn, temporary } from './processes.mjs';

// ---- remote write ---------------------------------------------------------------------------------------------------

const varint = (n) => { const out = []; let v = BigInt.asUintN(64, BigInt(n)); do { out.push(Number(v & 127n) | (v > 127n ? 128 : 0)); v >>= 7n; } while (v); return Buffer.from(out); };
const double = (field, value) => { const b = Buffer.alloc(9); b[0] = field << 3 | 1; b.writeDoubleLE(value, 1); return b; };
export const int64 = (field, value) => Buffer.concat([varint(field << 3), varint(value)]); // negative ones have ten bytes

/** Snappy's block format, without any compression: literals. */
export function snappy(body) {
  const parts = [varint(body.length)];
  for (let at = 0; at < body.length; at += 65536) {
    const piece = body.subarray(at, at + 65536), head = Buffer.alloc(3);
    head[0] = 61 << 2;
    head.writeUInt16LE(piece.length - 1, 1);
    parts.push(head, piece);
  }
  return Buffer.concat(parts);
}

/** series: [{labels: {…} or [[name, value]…], samples: [[value, ms]…], more: [Buffer…]}] */
export const writeRequest = (series) => Buffer.concat(series.map(({ labels, samples = [], more = [] }) => message(1,
  ...(Array.isArray(labels) ? labels : Object.entries(labels)).map(([name, value]) => message(1, bytes(1, name), bytes(2, value))),
  ...samples.map(([value, ms]) => message(2, double(1, value), int64(2, ms))), ...more)));

/** The same of version 2: more: of the TimeSeries message. */
export function writeRequest2(series) {
  const symbols = [''], symbol = (text) => { const at = symbols.indexOf(text); return at >= 0 ? at : symbols.push(text) - 1; };
  const rows = series.map(({ labels, samples = [], more = [] }) => message(5,
    bytes(1, Buffer.concat(Object.entries(labels).flat().map((t) => varint(symbol(t))))),
    ...samples.map(([value, ms]) => message(2, double(1, value), int64(2, ms))), ...more));
  return Buffer.concat([...symbols.map((t) => bytes(4, t)), ...rows]);
}
export const exemplar1 = (field, labels, value, ms) => message(field,
  ...Object.entries(labels).map(([name, v]) => message(1, bytes(1, name), bytes(2, v))), double(2, value), int64(3, ms));

export const TYPE_1 = 'application/x-protobuf';
export const TYPE_2 = 'application/x-protobuf;proto=io.prometheus.write.v2.Request';
export async function write(clew, body, headers = {}) {
  const answer = await fetch(`${clew.api}/prometheus/api/v1/write`, {
    method: 'POST', headers: { 'Content-Type': TYPE_1, 'Content-Encoding': 'snappy', ...headers }, body,
  });
  const written = (kind) => answer.headers.get(`x-prometheus-remote-write-${kind}-written`);
  return { status: answer.status, text: await answer.text(), written: ['samples', 'histograms', 'exemplars'].map(written) };
}

// ---- remote read ----------------------------------------------------------------------------------------------------

/** Snappy's block format unpacked: literals and copies. */
export function unsnappy(block) {
  let at = 0, size = 0;
  for (let shift = 0; ; shift += 7) { const b = block[at++]; size += (b & 127) * 2 ** shift; if (b < 128) break; }
  const out = Buffer.alloc(size);
  let to = 0;
  while (at < block.length) {
    const tag = block[at++], kind = tag & 3;
    if (kind === 0) {
      const more = Math.max(0, (tag >> 2) - 59), length = 1 + (more ? block.readUIntLE(at, more) : tag >> 2);
      to += block.copy(out, to, at + more, at + more + length);
      at += more + length;
    } else {
      const wide = [0, 1, 2, 4][kind], offset = block.readUIntLE(at, wide) + (kind === 1 ? (tag >> 5) * 256 : 0);
      at += wide;
      for (let n = kind === 1 ? (tag >> 2 & 7) + 4 : (tag >> 2) + 1; n > 0; n--, to++) out[to] = out[to - offset];
    }
  }
  if (to !== size) throw new Error(`snappy: ${to} of ${size} bytes`);
  return out;
}

/** A message of protobuf by numbers of fields: [BigInt or Buffer …] each. */
export function fieldsOf(b) {
  const fields = {};
  let at = 0;
  const varint = () => { let v = 0n; for (let shift = 0n; ; shift += 7n) { const c = b[at++]; v |= BigInt(c & 127) << shift; if (c < 128) return v; } };
  while (at < b.length) {
    const key = Number(varint()), size = key & 7;
    let value;
    if (size === 0) value = varint();
    else { const n = size === 1 ? 8 : size === 5 ? 4 : Number(varint()); value = b.subarray(at, at += n); }
    (fields[key >> 3] ??= []).push(value);
  }
  return fields;
}
const packedVarints = (b) => { const out = []; for (let at = 0; at < b.length;) { let v = 0n; for (let shift = 0n; ; shift += 7n) { const c = b[at++]; v |= BigInt(c & 127) << shift; if (c < 128) break; } out.push(v); } return out; };
const signed = (v = 0n) => Number((v >> 1n) ^ -(v & 1n));
/** The bits of a double, as digits: a NaN may lose some of them on its way through a number. */
export const doubleBits = (v) => { const b = Buffer.alloc(8); b.writeDoubleBE(v); return b.toString('hex'); };
export const STALE = '7ff0000000000002';
const bitsOf = (b) => (b ? Buffer.from(b).reverse().toString('hex') : doubleBits(0));

/** One side of a native histogram of integers: counts by index, those that are not zero. */
function bucketsOf(spans = [], [deltas = Buffer.alloc(0)] = []) {
  const counts = packedVarints(deltas), made = {};
  let index = 0, count = 0, k = 0;
  for (const span of spans.map(fieldsOf)) {
    index += signed(span[1]?.[0]);
    for (let n = Number(span[2]?.[0] ?? 0n); n > 0; n--, index++, k++) if ((count += signed(counts[k])) !== 0) made[index] = count;
  }
  if (k !== counts.length) throw new Error(`${counts.length} buckets in spans of ${k}`);
  return made;
}

/** Remote read of all series in [start, end]: a map from labelsText to [[ms, value]…]: a double as its bits, or a native histogram. */
export async function remoteRead(clew, start, end, [type, name, value] = [2, '__name__', '.+']) {
  const request = message(1, int64(1, start), int64(2, end), message(3, number(1, type), bytes(2, name), bytes(3, value)));
  const answer = await fetch(`${clew.api}/prometheus/api/v1/read`, { method: 'POST', headers: { 'Content-Type': TYPE_1, 'Content-Encoding': 'snappy' }, body: snappy(request) });
  const body = Buffer.from(await answer.arrayBuffer());
  if (answer.status !== 200) throw new Error(`${answer.status} ${body}`);
  const [result] = fieldsOf(unsnappy(body))[1];
  return new Map((fieldsOf(result)[1] ?? []).map(fieldsOf).map((series) => {
    const labels = Object.fromEntries(series[1].map(fieldsOf).map((l) => [String(l[1][0]), String(l[2]?.[0] ?? '')]));
    const samples = (series[2] ?? []).map(fieldsOf).map((s) => [Number(BigInt.asIntN(64, s[2]?.[0] ?? 0n)), bitsOf(s[1]?.[0])]);
    const histograms = (series[4] ?? []).map(fieldsOf).map((h) => [Number(h[15][0]), { schema: signed(h[4]?.[0]), zeroThreshold: h[5]?.[0].readDoubleLE() ?? 0, zeroCount: Number(h[6]?.[0] ?? 0n),
      count: Number(h[1]?.[0] ?? 0n), sum: bitsOf(h[3]?.[0]), positive: bucketsOf(h[11], h[12]), negative: bucketsOf(h[8], h[9]) }]);
    return [labelsText(labels), [...samples, ...histograms].sort(([a], [b]) => a - b)];
  }));
}

// ---- what arrived -----------------------------------------------------------------------------------------------------

/** The result of an instant query; `from` is a URL below which api/v1 lies. */
export async function query(from, expression, time, who) {
  const parameters = new URLSearchParams({ query: expression, ...(time === undefined ? {} : { time }) });
  const answer = await getJson(`${from}/api/v1/query?${parameters}`, who);
  if (answer.status !== 'success') throw new Error(JSON.stringify(answer));
  return answer.data.result;
}
export const labelsText = (m) => JSON.stringify(Object.entries(m).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Samples of all series that match in (time - seconds, time], by label set: the window that all versions agree on. */
export async function samplesOf(from, selector, time, seconds, who) {
  const result = await query(from, `${selector}[${seconds}s]`, time, who);
  const inside = (list) => list.filter(([t]) => t > time - seconds);
  return new Map(result.map((r) => [labelsText(r.metric), { values: inside(r.values ?? []), histograms: inside(r.histograms ?? []) }]));
}
export const prometheusOf = (clew) => `${clew.api}/prometheus`;

// ---- senders ------------------------------------------------------------------------------------------------------------

/** A process with a folder of its own, ended by its pid. */
function startProcess(command, args, dir) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stdout.on('data', (d) => { log += d; });
  child.stderr.on('data', (d) => { log += d; });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  return {
    log: () => log,
    async stop() {
      child.kill('SIGTERM');
      await exited;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** What a remote_write section needs where clew wants TLS and a token: {ca file, token}. */
const yamlAccess = (access) => (access ? `
    authorization: { credentials: "${access.token}" }
    tls_config: { ca_file: "${access.caFile}" }` : '');

/** Debian's Prometheus: scrapes `targets` (host:port) each second and sends all of it to `url`. */
export async function startPrometheus({ targets, url, port, access, scrape = '1s', features = 'exemplar-storage,native-histograms' }) {
  const dir = temporary('prometheus');
  writeFileSync(join(dir, 'prometheus.yml'), `
global: { scrape_interval: ${scrape}, scrape_timeout: ${scrape} }
scrape_configs:
  - job_name: e2e
    static_configs: [{ targets: ${JSON.stringify(targets)} }]
remote_write:
  - url: ${url}
    send_exemplars: true
    send_native_histograms: true
    metadata_config: { send_interval: 1s }
    queue_config: { batch_send_deadline: 500ms, min_backoff: 100ms, max_backoff: 1s }${yamlAccess(access)}
`);
  const started = startProcess('prometheus', ['--config.file', join(dir, 'prometheus.yml'), '--storage.tsdb.path', join(dir, 'data'),
    '--web.listen-address', `127.0.0.1:${port}`, '--enable-feature', features], dir);
  await until(async () => (await fetch(`http://127.0.0.1:${port}/-/ready`)).status, (s) => s === 200, 30);
  return { ...started, url: `http://127.0.0.1:${port}`, port };
}

/** Debian's vmagent, which sends remote write of its own make. */
export async function startVmagent({ targets, url, port, access }) {
  const dir = temporary('vmagent');
  writeFileSync(join(dir, 'scrape.yml'), `
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: e2e
    static_configs: [{ targets: ${JSON.stringify(targets)} }]
`);
  const secured = access ? [`-remoteWrite.bearerToken=${access.token}`, `-remoteWrite.tlsCAFile=${access.caFile}`] : [];
  const started = startProcess('vmagent', [`-promscrape.config=${join(dir, 'scrape.yml')}`, `-remoteWrite.url=${url}`, '-remoteWrite.flushInterval=500ms',
    `-remoteWrite.tmpDataPath=${join(dir, 'queue')}`, `-httpListenAddr=127.0.0.1:${port}`, ...secured], dir);
  await until(async () => (await fetch(`http://127.0.0.1:${port}/health`)).status, (s) => s === 200, 30);
  return { ...started, url: `http://127.0.0.1:${port}`, port };
}

/** A target: `expose(accept)` gives {type, body}. */
export async function startTarget(expose) {
  const server = http.createServer((request, response) => {
    const { type, body } = expose(request.headers.accept ?? '');
    response.writeHead(200, { 'Content-Type': type });
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }), forget = endLater(close);
  return { address: `127.0.0.1:${server.address().port}`, stop: () => { forget(); return close(); } };
}

/** A port that nobody listens at now. */
export async function freePort() {
  const server = http.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

// ---- the protobuf exposition, in which native histograms are scraped --------------------------------------------------------

/** io.prometheus.client.MetricFamily, delimited: a native histogram with these deltas from bucket `offset` on. */
export function nativeFamily(name, { count, sum, offset, deltas, schema = 3 }) {
  const zigzag = (n) => (n < 0 ? -2 * n - 1 : 2 * n);
  const histogram = Buffer.concat([number(1, count), double(2, sum), number(5, zigzag(schema)), double(6, 1e-128), number(7, 0),
    message(12, number(1, zigzag(offset)), number(2, deltas.length)), bytes(13, Buffer.concat(deltas.map((d) => varint(zigzag(d)))))]);
  const family = Buffer.concat([bytes(1, name), bytes(2, 'of a test'), number(3, 4), message(4, bytes(7, histogram))]);
  return Buffer.concat([varint(family.length), family]);
}
export const PROTOBUF_EXPOSITION = 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited';
