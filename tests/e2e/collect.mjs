// A collector under test, and an OTLP backend that is not clew: an HTTP and a gRPC server that read requests with protobufjs, by definitions written
// down here from opentelemetry-proto.
import http from 'node:http';
import { gunzipSync } from 'node:zlib';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { binary } from './clew.mjs';
import { endLater, spawn, temporary } from './processes.mjs';

const definitions = protobuf.parse(`syntax = "proto3";
message ArrayValue { repeated AnyValue values = 1; }
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; ArrayValue array_value = 5; bytes bytes_value = 7; } }
message KeyValue { string key = 1; AnyValue value = 2; }
message Resource { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }
message Scope { string name = 1; string version = 2; repeated KeyValue attributes = 3; }
message Status { string message = 2; int32 code = 3; }
message Span { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9; Status status = 15; }
message ScopeSpans { Scope scope = 1; repeated Span spans = 2; string schema_url = 3; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; string schema_url = 3; }
message Traces { repeated ResourceSpans resource_spans = 1; }
message LogRecord { fixed64 time_unix_nano = 1; int32 severity_number = 2; AnyValue body = 5; repeated KeyValue attributes = 6; bytes trace_id = 9; }
message ScopeLogs { Scope scope = 1; repeated LogRecord log_records = 2; }
message ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2; }
message Logs { repeated ResourceLogs resource_logs = 1; }
message Exemplar { repeated KeyValue filtered_attributes = 7; fixed64 time_unix_nano = 2; double as_double = 3; bytes span_id = 4; bytes trace_id = 5; }
message NumberPoint { fixed64 time_unix_nano = 3; double as_double = 4; repeated Exemplar exemplars = 5; }
message HistogramPoint { fixed64 time_unix_nano = 3; fixed64 count = 4; repeated Exemplar exemplars = 8; }
message Gauge { repeated NumberPoint data_points = 1; }
message Histogram { repeated HistogramPoint data_points = 1; }
message Metric { string name = 1; Gauge gauge = 5; Histogram histogram = 9; }
message ScopeMetrics { repeated Metric metrics = 2; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
message Metrics { repeated ResourceMetrics resource_metrics = 1; }
message Partial { int64 rejected = 1; string error_message = 2; }
message Response { Partial partial_success = 1; }
message Duration { int64 seconds = 1; int32 nanos = 2; }
message RetryInfo { Duration retry_delay = 1; }
message Any { string type_url = 1; bytes value = 2; }
message RpcStatus { int32 code = 1; string message = 2; repeated Any details = 3; }
`).root;
const type = (name) => definitions.lookupType(name);

export const readTraces = (bytes) => type('Traces').decode(bytes);
export const spansOf = (bytes) => readTraces(bytes).resourceSpans.flatMap((r) => r.scopeSpans.flatMap((s) => s.spans.map((span) => ({
  ...span, trace: Buffer.from(span.traceId).toString('hex'), id: Buffer.from(span.spanId).toString('hex'), resource: attributesOf(r.resource) }))));
export const attributesOf = (r) => Object.fromEntries((r?.attributes ?? []).map((a) => [a.key, a.value?.[a.value.value]?.toString()]));
export const logsOf = (bytes) => type('Logs').decode(bytes).resourceLogs.flatMap((r) => r.scopeLogs.flatMap((s) => s.logRecords));
/** Attributes of each exemplar, in order. */
export const exemplarsOf = (bytes) => type('Metrics').decode(bytes).resourceMetrics.flatMap((r) => r.scopeMetrics.flatMap((s) => s.metrics))
  .flatMap((m) => (m.gauge ?? m.histogram).dataPoints).flatMap((p) => p.exemplars).map((e) => attributesOf({ attributes: e.filteredAttributes }));
export const partial = (rejected, message) => Buffer.from(type('Response').encode({ partialSuccess: { rejected, errorMessage: message } }).finish());
export const retryInfo = (code, seconds) => Buffer.from(type('RpcStatus').encode({ code, message: 'later', details: [{
  typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value: type('RetryInfo').encode({ retryDelay: { seconds } }).finish() }] }).finish());

/** A running collector on free ports: {http, grpc, self, dir, metrics(), stop()}. */
export async function startCollector(to, options = [], dir = temporary('collect')) {
  const child = spawn(binary, ['collect', '--to', to, '--data', join(dir, 'queue'), '--listen', '127.0.0.1:0', '--otlp-http', '127.0.0.1:0',
    '--otlp-grpc', '127.0.0.1:0', '--json', ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (d) => { errors += d; });
  const exited = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })));
  const line = await new Promise((resolve, reject) => {
    let out = '';
    child.stdout.on('data', (d) => { out += d; if (out.includes('\n')) resolve(out.split('\n')[0]); });
    exited.then(() => reject(new Error(`the collector did not start: ${errors}`)));
  });
  const ready = JSON.parse(line);
  return {
    http: ready.otlp_http, grpc: ready.otlp_grpc, self: ready.listen, dir, pid: child.pid, errors: () => errors,
    /** A figure: its samples of all labels together, or those whose labels have the given text. */
    async metric(name, labels = '') {
      const text = await (await fetch(`${ready.listen}/metrics`)).text();
      return text.split('\n').filter((l) => l.startsWith(`clew_collect_${name}`) && /[{ ]/.test(l[13 + name.length]) && l.includes(labels))
        .reduce((sum, l) => sum + Number(l.split(' ').at(-1)), 0);
    },
    async stop({ signal = 'SIGTERM', keep = false } = {}) {
      child.kill(signal);
      const status = await exited;
      if (!keep) rmSync(dir, { recursive: true, force: true });
      return status;
    },
  };
}

/** A backend by HTTP. `answer(request)` gives {status, headers, body}, null to break the connection, or {raw}: these bytes, and then it breaks;
 *  requests answered with 200 are kept. */
export async function startBackend({ port = 0, answer = () => ({ status: 200 }), taken = [] } = {}) {
  const all = [], sockets = new Set();
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on('data', (d) => parts.push(d));
    request.on('end', () => {
      const raw = Buffer.concat(parts), body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
      const one = { path: request.url, headers: request.headers, body, at: Date.now() };
      all.push(one);
      const a = answer(one, all.length);
      if (!a) return request.socket.destroy();
      if (a.raw) return request.socket.end(a.raw);
      if (a.status === 200) taken.push(one);
      response.writeHead(a.status, { 'Content-Type': 'application/x-protobuf', ...a.headers }).end(a.body ?? '');
    });
  });
  server.on('connection', (s) => { sockets.add(s); s.on('close', () => sockets.delete(s)); });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  const stop = () => new Promise((resolve) => { server.close(resolve); for (const s of sockets) s.destroy(); });
  endLater(stop);
  return { url: `http://127.0.0.1:${server.address().port}`, port: server.address().port, taken, all, stop };
}

const services = [['trace', 'Trace'], ['logs', 'Logs'], ['metrics', 'Metrics']]
  .map(([p, s]) => [s, `/opentelemetry.proto.collector.${p}.v1.${s}Service/Export`]);
/** The same by gRPC, with grpc-js: `answer` gives {} or {code, details, trailers}. */
export async function startGrpcBackend({ answer = () => ({}) } = {}) {
  const all = [], taken = [], server = new grpc.Server({ 'grpc.max_receive_message_length': 64 << 20 });
  const same = (b) => b;
  for (const [kind, path] of services) {
    server.addService({ Export: { path, requestStream: false, responseStream: false, requestSerialize: same, requestDeserialize: same,
      responseSerialize: same, responseDeserialize: same } }, { Export: (call, done) => {
      const one = { kind, body: call.request, metadata: call.metadata.getMap(), at: Date.now() };
      all.push(one);
      const a = answer(one, all.length);
      if (!a.code) {
        taken.push(one);
        return done(null, a.body ?? Buffer.alloc(0));
      }
      const metadata = new grpc.Metadata();
      if (a.status) metadata.set('grpc-status-details-bin', a.status);
      return done({ code: a.code, details: a.details ?? 'no', metadata });
    } });
  }
  const port = await new Promise((resolve, reject) => server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(),
    (e, p) => (e ? reject(e) : resolve(p))));
  const stop = () => { server.forceShutdown(); };
  endLater(stop);
  return { url: `http://127.0.0.1:${port}`, all, taken, stop };
}
