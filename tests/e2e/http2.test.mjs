// HTTP/2 and gRPC of a running clew, asked by other people's clients: curl, nghttp, h2load, grpc-js.
import test from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { execFileSync } from 'node:child_process';
import grpc from '@grpc/grpc-js';
import { startClew, getJson } from './clew.mjs';
import { span, traces, log, logs } from './otlp.mjs';

const run = (program, ...args) => execFileSync(program, args, { encoding: 'utf8', timeout: 60000 });
const EXPORT = (signal) => `/opentelemetry.proto.collector.${signal.toLowerCase()}.v1.${signal}Service/Export`;

function client(address, options = {}) {
  const c = new grpc.Client(new URL(address).host, grpc.credentials.createInsecure(), options);
  const call = (path, body, { deadline = 10000, ...options } = {}, metadata = new grpc.Metadata()) => new Promise((resolve) => {
    c.makeUnaryRequest(path, (x) => x, (x) => x, body, metadata, { deadline: Date.now() + deadline, ...options }, (e, message) =>
      resolve(e ? { code: e.code, details: e.details, metadata: e.metadata } : { code: 0, message }));
  });
  const watch = (path, body) => {
    const stream = c.makeServerStreamRequest(path, (x) => x, (x) => [...x], body);
    const messages = [];
    const first = new Promise((resolve) => stream.on('data', (m) => { messages.push(m); resolve(); }));
    const end = new Promise((resolve) => stream.on('error', (e) => resolve({ messages, code: e.code, details: e.details })));
    return { first, end, cancel: () => stream.cancel() };
  };
  return { call, watch, close: () => c.close() };
}

test('curl speaks every version to every port', async () => {
  const clew = await startClew();
  try {
    for (const address of [clew.api, clew.otlp, clew.grpc])
      for (const [option, version] of [['--http1.0', '1.1'], ['--http1.1', '1.1'], ['--http2', '1.1'], ['--http2-prior-knowledge', '2']])
        assert.equal(run('curl', '-s', '-m', '10', option, '-o', '/dev/null', '-w', '%{http_code} %{http_version}', `${address}/health`), `200 ${version}`);
    const missing = run('curl', '-s', '-m', '10', '--http2-prior-knowledge', '-w', ' %{http_code}', `${clew.api}/api/v1/trace`);
    assert.match(missing, /"kind":"not_found".* 404$/);
  } finally { await clew.stop(); }
});

test('nghttp posts a body of many frames, and h2load asks 20,000 times without an error', async () => {
  const clew = await startClew();
  try {
    const body = traces(Array.from({ length: 3000 }, (_, i) => span({ id: (i + 1).toString(16).padStart(16, '0') })));
    const answer = execFileSync('nghttp', ['-v', '-d', '-', '-H', ':method: POST', '-H', 'content-type: application/x-protobuf', `${clew.otlp}/v1/traces`],
      { input: body, encoding: 'utf8', timeout: 30000 });
    assert.match(answer, /:status: 200/);
    const trace = await getJson(`${clew.api}/api/v1/traces/${'11'.repeat(16)}?format=otlp`);
    assert.equal(trace.resourceSpans.flatMap((r) => r.scopeSpans.flatMap((s) => s.spans)).length, 3000);
    const load = run('h2load', '-n', '20000', '-c', '8', '-m', '64', `${clew.api}/health`);
    assert.match(load, /20000 done, 20000 succeeded, 0 failed, 0 errored/);
  } finally { await clew.stop(); }
});

test('gRPC calls are taken and refused in its own words', async () => {
  const clew = await startClew();
  const { call, close } = client(clew.grpc);
  try {
    assert.deepEqual(await call(EXPORT('Trace'), traces([span()])), { code: 0, message: Buffer.alloc(0) });
    assert.equal((await call(EXPORT('Logs'), logs([log()]))).code, 0);
    assert.equal((await call(EXPORT('Trace'), Buffer.alloc(0))).code, 0, 'an empty request is a success');
    const partial = await call(EXPORT('Trace'), traces([span({ trace: '00'.repeat(16) }), span({ id: '33'.repeat(8) })]));
    assert.equal(partial.code, 0);
    assert.match(partial.message.toString('latin1'), /trace/);
    const bad = await call(EXPORT('Trace'), Buffer.from('no protobuf'));
    assert.equal(bad.code, grpc.status.INVALID_ARGUMENT);
    assert.match(bad.details, /protobuf/);
    assert.equal((await call(EXPORT('Metrics'), Buffer.alloc(0))).code, 0);
    assert.equal((await call('/no.such.Service/Call', Buffer.alloc(0))).code, grpc.status.UNIMPLEMENTED);
    const large = await call(EXPORT('Trace'), Buffer.alloc(65 << 20));
    assert.equal(large.code, grpc.status.RESOURCE_EXHAUSTED);
    assert.deepEqual(large.metadata.get('grpc-status-details-bin'), [], 'nothing to retry');
    const found = await getJson(`${clew.api}/api/v1/traces/${'11'.repeat(16)}?format=otlp`);
    assert.equal(found.resourceSpans.flatMap((r) => r.scopeSpans.flatMap((s) => s.spans)).length, 2);
  } finally { close(); await clew.stop(); }
});

test('messages of 8 MiB in gzip, on all three ports at once', async () => {
  const clew = await startClew();
  const clients = [clew.grpc, clew.otlp, clew.api].map((address) => client(address, { 'grpc.default_compression_algorithm': 2 }));
  try {
    const spans = (k) => Array.from({ length: 20000 }, (_, i) => span({ trace: `${k}`.repeat(32), id: (i + 1).toString(16).padStart(16, '0'), name: 'x'.repeat(350) }));
    const answers = await Promise.all(clients.map(({ call }, k) => call(EXPORT('Trace'), traces(spans(k + 1)), { deadline: 30000 })));
    assert.deepEqual(answers.map((a) => a.code), [0, 0, 0]);
  } finally { clients.forEach((c) => c.close()); await clew.stop(); }
});

/** Raw frames over a socket: what comes back until the server closes, as [type, payload]. */
function talk(address, ...parts) {
  const { port } = new URL(address);
  return new Promise((resolve, reject) => {
    const s = net.connect(Number(port), '127.0.0.1');
    const chunks = [];
    s.on('data', (d) => chunks.push(d));
    s.on('error', reject);
    s.on('close', () => {
      const frames = [];
      for (let b = Buffer.concat(chunks); b.length >= 9; b = b.subarray(9 + b.readUIntBE(0, 3))) frames.push([b[3], b.subarray(9, 9 + b.readUIntBE(0, 3))]);
      resolve(frames);
    });
    s.write(Buffer.concat(['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ...parts].map((p) => Buffer.from(p))));
  });
}
const frame = (type, flags, stream, payload = Buffer.alloc(0)) => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};
const GET = Buffer.concat([Buffer.from([0x82, 0x84, 0x86, 0x41, 9]), Buffer.from('localhost')]);
const settings = frame(4, 0, 0);

test('floods end with GOAWAY ENHANCE_YOUR_CALM, and clew goes on', { timeout: 60000 }, async () => {
  const clew = await startClew();
  const floods = {
    'rapid reset': Array.from({ length: 5000 }, (_, i) => Buffer.concat([frame(1, 5, 2 * i + 1, GET), frame(3, 0, 2 * i + 1, Buffer.from([0, 0, 0, 8]))])),
    ping: Array.from({ length: 5000 }, () => frame(6, 0, 0, Buffer.alloc(8))),
    settings: Array.from({ length: 5000 }, () => settings),
    continuation: [frame(1, 0, 1, GET), ...Array.from({ length: 5000 }, () => frame(9, 0, 1))],
  };
  try {
    for (const [name, frames] of Object.entries(floods)) {
      const got = await talk(clew.api, settings, ...frames);
      const last = got.at(-1);
      assert.equal(last[0], 7, `${name}: GOAWAY is the last frame`);
      assert.equal(last[1].readUInt32BE(4), 11, `${name}: ENHANCE_YOUR_CALM`);
    }
    assert.equal(run('curl', '-s', '-m', '10', '--http2-prior-knowledge', '-o', '/dev/null', '-w', '%{http_code}', `${clew.api}/health`), '200');
  } finally { await clew.stop(); }
});

test('health is checked, and watched until clew stops', { timeout: 30000 }, async () => {
  const clew = await startClew();
  const { call, close, watch } = client(clew.grpc);
  assert.deepEqual(await call('/grpc.health.v1.Health/Check', Buffer.alloc(0)), { code: 0, message: Buffer.from([8, 1]) });
  assert.equal((await call('/grpc.health.v1.Health/Check', Buffer.from([10, 1, 120]))).code, grpc.status.NOT_FOUND);
  const watched = [watch('/grpc.health.v1.Health/Watch', Buffer.alloc(0)), watch('/grpc.health.v1.Health/Watch', Buffer.from([10, 1, 120]))];
  for (const w of watched) await w.first;
  const left = watch('/grpc.health.v1.Health/Watch', Buffer.alloc(0));
  await left.first;
  left.cancel();
  assert.deepEqual(await clew.stop(), { code: 0, signal: null });
  const [known, unknown] = await Promise.all(watched.map((w) => w.end));
  assert.deepEqual(known, { messages: [[8, 1], [8, 2]], code: grpc.status.UNAVAILABLE, details: 'clew is stopping' });
  assert.deepEqual(unknown.messages, [[8, 3]]);
  close();
});

test('a stopping clew says GOAWAY and is gone at once', async () => {
  const clew = await startClew();
  const { call, close } = client(clew.grpc);
  assert.equal((await call(EXPORT('Trace'), traces([span()]))).code, 0);
  const begun = Date.now();
  assert.deepEqual(await clew.stop(), { code: 0, signal: null });
  assert.ok(Date.now() - begun < 1500, 'an idle connection holds nothing up');
  close();
});
