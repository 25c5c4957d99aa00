// The real OpenTelemetry JS SDK (http/protobuf, http/json and gRPC, gzip): what it sends is what clew gives back.
import test from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import grpc from '@grpc/grpc-js';
import { SpanKind, SpanStatusCode, TraceFlags, context, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { NodeTracerProvider, BatchSpanProcessor, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPTraceExporter as JsonTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPLogExporter as JsonLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPLogExporter as GrpcLogExporter } from '@opentelemetry/exporter-logs-otlp-grpc';
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base';
import { startClew, startSecured, getJson, until } from './clew.mjs';

const resource = resourceFromAttributes({
  'service.name': 'e2e-shop', 'service.version': '1.2.3', 'deployment.environment.name': 'test', 'process.pid': 4711, 'tags': ['a', 'b'],
});
const gzip = CompressionAlgorithm.GZIP;

const spanAttributes = {
  text: 'grüße, 世界 🙂', empty: '', yes: true, no: false, int: 42, negative: -7, big: 9007199254740991, double: 0.25,
  tiny: 5e-324, strings: ['x', 'y'], ints: [1, 2, 3], doubles: [1.5, 2.5], bools: [true, false], none: [],
};

/** An AnyValue of OTLP/JSON as a plain value. */
function plain(v) {
  if (v === undefined || v === null) return null;
  if ('stringValue' in v) return v.stringValue;
  if ('boolValue' in v) return v.boolValue;
  if ('intValue' in v) return Number(v.intValue);
  if ('doubleValue' in v) return Number(v.doubleValue);
  if ('bytesValue' in v) return Buffer.from(v.bytesValue, 'base64');
  if ('arrayValue' in v) return (v.arrayValue.values ?? []).map(plain);
  if ('kvlistValue' in v) return Object.fromEntries((v.kvlistValue.values ?? []).map((kv) => [kv.key, plain(kv.value)]));
  return null;
}
const plainAttributes = (list) => Object.fromEntries((list ?? []).map((kv) => [kv.key, plain(kv.value)]));
const nanos = ([s, n]) => (BigInt(s) * 1000000000n + BigInt(n)).toString();

/** What the SDK meant to send, in the shape of OTLP/JSON's reading below. */
const sentSpan = (s) => ({
  traceId: s.spanContext().traceId, spanId: s.spanContext().spanId, parent: s.parentSpanContext?.spanId ?? '',
  state: s.spanContext().traceState?.serialize() ?? '', name: s.name, kind: s.kind + 1, start: nanos(s.startTime), end: nanos(s.endTime),
  attributes: { ...s.attributes }, status: s.status.code, message: s.status.message ?? '',
  events: s.events.map((e) => ({ time: nanos(e.time), name: e.name, attributes: { ...e.attributes } })),
  links: s.links.map((l) => ({ traceId: l.context.traceId, spanId: l.context.spanId, attributes: { ...l.attributes } })),
  resource: { ...s.resource.attributes }, scope: `${s.instrumentationScope.name}@${s.instrumentationScope.version ?? ''}`,
});

function gotSpans(otlp) {
  return otlp.resourceSpans.flatMap((rs) => rs.scopeSpans.flatMap((ss) => ss.spans.map((s) => ({
    traceId: s.traceId, spanId: s.spanId, parent: s.parentSpanId ?? '', state: s.traceState ?? '', name: s.name, kind: s.kind,
    start: s.startTimeUnixNano, end: s.endTimeUnixNano, attributes: plainAttributes(s.attributes), status: s.status?.code ?? 0,
    message: s.status?.message ?? '',
    events: (s.events ?? []).map((e) => ({ time: e.timeUnixNano, name: e.name, attributes: plainAttributes(e.attributes) })),
    links: (s.links ?? []).map((l) => ({ traceId: l.traceId, spanId: l.spanId, attributes: plainAttributes(l.attributes) })),
    resource: plainAttributes(rs.resource.attributes), scope: `${ss.scope.name}@${ss.scope.version ?? ''}`,
  }))));
}
const byId = (spans) => Object.fromEntries(spans.map((s) => [s.spanId, s]));

/** A processor that remembers ended spans and hands them on. */
class Remember {
  constructor(next) { this.next = next; this.spans = []; }
  onStart(span, ctx) { this.next.onStart(span, ctx); }
  onEnd(span) { this.spans.push(span); this.next.onEnd(span); }
  forceFlush() { return this.next.forceFlush(); }
  shutdown() { return this.next.shutdown(); }
}

/** The SDK's gRPC exporter gives up at the first error; OTLP wants UNAVAILABLE tried again, when its RetryInfo says. */
class Patient {
  constructor(next) { this.next = next; this.waits = []; }
  export(items, done) {
    this.next.export(items, (result) => {
      if (result.error?.code !== 14) return done(result);
      const info = result.error.metadata.get('grpc-status-details-bin')[0];
      const at = info.indexOf('google.rpc.RetryInfo');
      assert.ok(at > 0, 'UNAVAILABLE comes with RetryInfo');
      this.waits.push(info[info.length - 1]); // the last field of all: Duration.seconds
      return setTimeout(() => this.export(items, done), 1000 * this.waits.at(-1));
    });
  }
  forceFlush() { return this.next.forceFlush?.(); }
  shutdown() { return this.next.shutdown(); }
}

/** What an exporter needs besides the address where clew wants TLS and a token. */
const http = ({ ca, sends }) => (ca ? { headers: { Authorization: `Bearer ${sends}` }, httpAgentOptions: { ca, keepAlive: true } } : {});
function overGrpc({ ca, sends }) {
  if (!ca) return {};
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${sends}`);
  return { metadata, credentials: grpc.credentials.createSsl(ca) };
}

/** How the SDK speaks: each test runs once with each. */
const wires = {
  'http/protobuf': {
    traces: (clew, options) => new OTLPTraceExporter({ url: `${clew.otlp}/v1/traces`, compression: gzip, ...http(clew), ...options }),
    logs: (clew) => new OTLPLogExporter({ url: `${clew.otlp}/v1/logs`, compression: gzip, ...http(clew) }),
  },
  'http/json': {
    traces: (clew, options) => new JsonTraceExporter({ url: `${clew.otlp}/v1/traces`, compression: gzip, ...http(clew), ...options }),
    logs: (clew) => new JsonLogExporter({ url: `${clew.otlp}/v1/logs`, compression: gzip, ...http(clew) }),
  },
  grpc: {
    traces: (clew, options) => new Patient(new GrpcTraceExporter({ url: clew.grpc, compression: gzip, ...overGrpc(clew), ...options })),
    logs: (clew) => new GrpcLogExporter({ url: clew.grpc, compression: gzip, ...overGrpc(clew) }),
  },
};
const onEachWire = (name, body) => Object.entries(wires).forEach(([wire, w]) => test(`${wire}: ${name}`, { timeout: 60000 }, () => body(w)));
/** And once more with TLS and tokens. */
const onEachWireAndSecured = (name, body) => {
  onEachWire(name, (wire) => body(wire, startClew));
  onEachWire(`${name}, by TLS with a token`, (wire) => body(wire, startSecured));
};

function tracing(clew, wire, timeoutMillis = 10000) {
  const exporter = wire.traces(clew, { timeoutMillis });
  const memory = new Remember(new BatchSpanProcessor(exporter, { scheduledDelayMillis: 50, exportTimeoutMillis: 60000 }));
  const provider = new NodeTracerProvider({ resource, spanProcessors: [memory] });
  return { provider, memory, tracer: provider.getTracer('e2e.tracer', '0.9') };
}

onEachWireAndSecured('spans of the SDK come back equal, with every attribute type, events and links', async (wire, start) => {
  const clew = await start();
  const { provider, memory, tracer } = tracing(clew, wire);
  const elsewhere = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: TraceFlags.SAMPLED };
  const root = tracer.startSpan('GET /orders', {
    kind: SpanKind.SERVER, attributes: spanAttributes, links: [{ context: elsewhere, attributes: { why: 'retry', n: 2 } }],
  });
  const inside = trace.setSpan(context.active(), root);
  for (let i = 0; i < 20; i++) {
    const child = tracer.startSpan(`SELECT ${i}`, { kind: SpanKind.CLIENT, attributes: { i, 'db.system': 'postgresql' } }, inside);
    child.addEvent('row', { number: i, text: `row ${i}` });
    if (i % 5 === 0) {
      child.recordException(new Error(`boom ${i}`));
      child.setStatus({ code: SpanStatusCode.ERROR, message: `failed ${i}` });
    }
    child.end();
  }
  root.setStatus({ code: SpanStatusCode.OK });
  root.end();
  await provider.forceFlush();
  const otlp = await getJson(`${clew.api}/api/v1/traces/${root.spanContext().traceId}?format=otlp`, clew);
  assert.equal(memory.spans.length, 21);
  assert.deepEqual(byId(gotSpans(otlp)), byId(memory.spans.map(sentSpan)));
  const services = await getJson(`${clew.api}/api/v1/services`, clew);
  assert.match(JSON.stringify(services), /e2e-shop/);
  await provider.shutdown();
  assert.deepEqual(await clew.stop(), { code: 0, signal: null });
});

onEachWireAndSecured('log records of the SDK come back equal, with bodies and attributes of every type', async (wire, start) => {
  const clew = await start();
  const exporter = wire.logs(clew);
  const provider = new LoggerProvider({ resource, processors: [new SimpleLogRecordProcessor({ exporter })] });
  const logger = provider.getLogger('e2e.logger', '3.1');
  const nested = { list: [1, 'two', { three: 3.5 }], map: { deep: { deeper: true } }, nothing: null };
  const bodies = ['plain text', '', { event: 'paid', ...nested }, ['a', 1, false], 17, 2.5, true, new Uint8Array([0, 1, 255])];
  bodies.forEach((body, i) => logger.emit({
    body, severityNumber: [SeverityNumber.DEBUG, SeverityNumber.INFO, SeverityNumber.WARN, SeverityNumber.ERROR][i % 4], severityText: `S${i}`,
    attributes: { number: i, nested, bytes: new Uint8Array([i, 254]), ...spanAttributes }, eventName: i % 2 ? 'thing.happened' : undefined,
  }));
  await provider.forceFlush();
  const otlp = await until(() => getJson(`${clew.api}/api/v1/logs/query?service=e2e-shop&format=otlp&limit=100`, clew),
    (a) => a.resourceLogs?.flatMap((r) => r.scopeLogs.flatMap((s) => s.logRecords)).length === bodies.length);
  const records = otlp.resourceLogs.flatMap((r) => r.scopeLogs.flatMap((s) => s.logRecords));
  const find = (i) => records.find((r) => r.severityText === `S${i}`);
  bodies.forEach((body, i) => {
    const record = find(i), expected = body instanceof Uint8Array ? Buffer.from(body) : body;
    assert.deepEqual(plain(record.body), expected, `body ${i}`);
    assert.deepEqual(plainAttributes(record.attributes), { number: i, nested, bytes: Buffer.from([i, 254]), ...spanAttributes });
    assert.equal(record.severityNumber, [5, 9, 13, 17][i % 4]);
    assert.equal(record.eventName ?? '', i % 2 ? 'thing.happened' : '');
  });
  assert.equal(otlp.resourceLogs[0].scopeLogs[0].scope.name, 'e2e.logger');
  await provider.shutdown();
  assert.deepEqual(await clew.stop(), { code: 0, signal: null });
});

/** Holds the memory budget by bodies that never end: each connection sends all but the last byte of 5 MiB. */
function fillBudget(otlp, connections) {
  const { port } = new URL(otlp);
  const size = 5 << 20;
  const sockets = Array.from({ length: connections }, () => {
    const s = net.connect(Number(port), '127.0.0.1');
    s.on('error', () => {});
    s.write(`POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: ${size}\r\n\r\n`);
    s.write(Buffer.alloc(size - 1));
    return s;
  });
  return () => sockets.forEach((s) => s.destroy());
}

onEachWire('refused for 5 s by a full memory budget, everything arrives afterwards', async (wire) => {
  const clew = await startClew(['--memory-limit', '16MiB']);
  const release = fillBudget(clew.otlp, 3);
  const { provider, memory, tracer } = tracing(clew, wire, 60000);
  try {
    await until(async () => {
      const probe = await fetch(`${clew.otlp}/v1/traces`, { method: 'POST', headers: { 'Content-Type': 'application/x-protobuf' }, body: new Uint8Array(2 << 20) });
      return { status: probe.status, retry: probe.headers.get('retry-after') };
    }, (a) => a.status === 429 && Number(a.retry) >= 1);
    const root = tracer.startSpan('patient');
    const inside = trace.setSpan(context.active(), root);
    const filler = 'x'.repeat(8000);
    for (let i = 0; i < 300; i++) tracer.startSpan(`child ${i}`, { attributes: { i, noise: `${filler}${Math.random()}` } }, inside).end();
    root.end();
    const flushed = provider.forceFlush();
    await new Promise((r) => setTimeout(r, 5000)); // the five seconds of the promise: real time is what is tested here
    const pending = await fetch(`${clew.api}/api/v1/traces/${root.spanContext().traceId}`);
    assert.equal(pending.status, 404, 'nothing had arrived while the budget was full');
    release();
    await flushed;
    const otlp = await getJson(`${clew.api}/api/v1/traces/${root.spanContext().traceId}?format=otlp`);
    assert.deepEqual(byId(gotSpans(otlp)), byId(memory.spans.map(sentSpan)));
    await provider.shutdown();
  } finally {
    release();
    await clew.stop();
  }
});
