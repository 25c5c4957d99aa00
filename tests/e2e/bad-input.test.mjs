// Bad input against the whole system: a clear error, nothing lost, nothing leaked.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { gzipSync } from 'node:zlib';
import { readFileSync } from 'node:fs';
import { startClew, getJson, until } from './clew.mjs';
import { attribute, bytes, fixed64, hex, log, logs, message, now, number, post, span, text, traces } from './otlp.mjs';

let clew, spansUrl, logsUrl;
before(async () => { clew = await startClew(); spansUrl = `${clew.otlp}/v1/traces`; logsUrl = `${clew.otlp}/v1/logs`; });
after(async () => { assert.deepEqual(await clew.stop(), { code: 0, signal: null }); });

const hours = (n) => BigInt(n) * 3600000000000n;
const newTrace = (() => { let n = 1; return () => (n++).toString(16).padStart(32, 'a'); })();
const getTrace = (id) => getJson(`${clew.api}/api/v1/traces/${id}`);
const isStatus = (answer, status) => {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.type, 'application/x-protobuf');
  assert.equal(answer.data[0], 0x08, 'google.rpc.Status begins with its code');
};

test('what is not protobuf is 400 with a google.rpc.Status that names the byte', async () => {
  const good = traces([span({ trace: newTrace() })]);
  for (const body of [Buffer.from('hello, this is no protobuf'), good.subarray(0, good.length - 3), Buffer.alloc(1000, 0xff),
    Buffer.concat([Buffer.from([0x0a]), Buffer.alloc(9, 0xff), Buffer.from([0x01])]), Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    Buffer.alloc(20, 0x80)]) {
    const answer = await post(spansUrl, body);
    isStatus(answer, 400);
    assert.match(answer.text, /byte \d+/);
  }
});

test('nesting over 64 levels is refused, 64 MiB hold after decompression, and a body over that is 413', async () => {
  let any = bytes(1, 'deep');
  for (let i = 0; i < 200; i++) any = message(5, message(1, any));
  isStatus(await post(spansUrl, traces([span({ trace: newTrace(), extra: [attribute(9, 'deep', any)] })])), 413);
  isStatus(await post(spansUrl, gzipSync(Buffer.alloc(200 << 20)), { 'Content-Encoding': 'gzip' }), 413);
  const huge = await post(spansUrl, Buffer.alloc((64 << 20) + 1)).catch(() => ({ status: 413, closed: true }));
  assert.equal(huge.status, 413);
});

test('content types, encodings, methods and paths that are not served say what is', async () => {
  const body = traces([span({ trace: newTrace() })]);
  isStatus(await post(spansUrl, body, { 'Content-Type': 'text/plain' }), 415);
  isStatus(await post(spansUrl, body, { 'Content-Encoding': 'br' }), 415);
  isStatus(await post(spansUrl, Buffer.from('no gzip'), { 'Content-Encoding': 'gzip' }), 400);
  const wrongMethod = await fetch(spansUrl);
  assert.equal(wrongMethod.status, 405);
  assert.equal(wrongMethod.headers.get('allow'), 'POST');
  isStatus(await post(`${clew.otlp}/v1/metrics`, body, { 'Content-Type': 'text/plain' }), 415);
  const unknown = await fetch(`${clew.api}/api/v1/trace`);
  assert.equal(unknown.status, 404);
  assert.match(await unknown.text(), /\/api\/v1\/traces/);
  const misspelt = await fetch(`${clew.api}/api/v1/traces?servise=x`);
  assert.equal(misspelt.status, 400);
  assert.match(await misspelt.text(), /service/);
});

test('rows with bad ids or times are refused one by one, and the rest is kept', async () => {
  const trace = newTrace();
  const answer = await post(spansUrl, traces([
    span({ trace }), span({ trace: '00'.repeat(16) }), span({ trace: 'abcd' }), span({ trace, id: '00'.repeat(8) }), span({ trace, id: '1234' }),
    span({ trace, id: '01'.repeat(8), start: now() - hours(24 * 31) }), span({ trace, id: '02'.repeat(8), start: now() + hours(25) }),
  ]));
  assert.equal(answer.status, 200);
  const partial = answer.data.subarray(answer.data[1] & 0x80 ? 3 : 2); // after the tag and length of partial_success
  assert.deepEqual([partial[0], partial[1]], [0x08, 6], 'six spans are rejected');
  assert.match(answer.text, /trace_id|trace id/i);
  assert.equal((await getTrace(trace)).span_count, 1);
});

test('an end before the start, invalid UTF-8 and a duplicate span are kept and shown', async () => {
  const trace = newTrace(), start = now();
  const odd = span({ trace, id: '01'.repeat(8), start, end: start - 5000n, name: Buffer.from([0x62, 0xff, 0x64]) });
  const answer = await post(spansUrl, traces([odd, span({ trace, parent: '01'.repeat(8) })]));
  assert.equal(answer.status, 200);
  assert.match(answer.text, /UTF-8/);
  assert.equal((await post(spansUrl, traces([odd]))).status, 200);
  const got = await getTrace(trace);
  assert.equal(got.span_count, 2);
  assert.equal(got.duplicate_count, 1);
  const shown = got.spans.find((s) => s.span_id === '01'.repeat(8));
  assert.equal(shown.duration_ns, -5000);
  assert.equal(shown.name, 'b\ufffdd');
});

test('a 1 MB value and 10,000 attributes come back whole', async () => {
  const trace = newTrace(), large = 'x'.repeat(1 << 20);
  const many = Array.from({ length: 10000 }, (_, i) => text(9, `key.${i}`, `value ${i}`));
  assert.equal((await post(spansUrl, traces([span({ trace, extra: [text(9, 'large', large)] }), span({ trace, id: '03'.repeat(8), extra: many })]))).status, 200);
  await fetch(`${clew.api}/api/v1/admin/flush`, { method: 'POST' });
  const got = await getTrace(trace);
  const attributes = Object.assign({}, ...got.spans.map((s) => s.attributes));
  assert.equal(attributes.large, large);
  assert.equal(Object.keys(attributes).length, 10001);
  assert.equal(attributes['key.9999'], 'value 9999');
});

test('a trace of 100,000 spans is taken and shown', async () => {
  const trace = newTrace();
  for (let part = 0; part < 10; part++) {
    const spans = Array.from({ length: 10000 }, (_, i) => span({ trace, id: (part * 10000 + i + 1).toString(16).padStart(16, '0'), parent: part + i ? '0'.repeat(15) + '1' : undefined }));
    assert.equal((await post(spansUrl, traces(spans))).status, 200);
  }
  const got = await getTrace(trace);
  assert.equal(got.span_count, 100000);
  assert.equal(got.spans.length, 100000);
});

/** Sends raw bytes and gives what comes back until the server closes or says nothing for `quietMs`. */
function raw(address, data, { end = false, quietMs = 400 } = {}) {
  const { port } = new URL(address);
  return new Promise((resolve) => {
    const s = net.connect(Number(port), '127.0.0.1');
    let out = '', timer;
    const done = (closed) => { clearTimeout(timer); s.destroy(); resolve({ out, closed }); };
    const wait = () => { clearTimeout(timer); timer = setTimeout(() => done(false), quietMs); };
    s.on('data', (d) => { out += d.toString('latin1'); wait(); });
    s.on('close', () => done(true));
    s.on('error', () => {});
    end ? s.end(data) : s.write(data);
    wait();
  });
}

test('request smuggling gets 400 and a closed connection', async () => {
  const tries = {
    'space before colon': 'POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello',
    'bare CR': 'GET /health HTTP/1.1\r\nHost: a\rX: b\r\n\r\n',
    'TE with CL': 'POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\n\r\n',
    'two lengths': 'POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nhello',
    'obs-fold': 'GET /health HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n',
    'chunk size': 'POST /v1/traces HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n',
    'no host': 'GET /health HTTP/1.1\r\n\r\n',
  };
  for (const [name, data] of Object.entries(tries)) {
    const { out, closed } = await raw(clew.otlp, data);
    assert.match(out, /^HTTP\/1\.1 400 /, name);
    assert.equal(out.match(/HTTP\/1\.1 /g).length, 1, `${name}: one answer`);
    assert.ok(closed, `${name}: closed`);
  }
});

test('a half-closed connection still gets its answer', async () => {
  const { out } = await raw(clew.api, 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n', { end: true });
  assert.match(out, /^HTTP\/1\.1 200 /);
});

test('5,000 idle connections cost less than 8 MiB and do not stop others', async () => {
  const { port } = new URL(clew.api);
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${clew.pid}/status`, 'utf8'))[1]);
  const before = rss();
  const sockets = [];
  for (let i = 0; i < 5000; i++) {
    sockets.push(await new Promise((resolve, reject) => { const s = net.connect(Number(port), '127.0.0.1', () => resolve(s)); s.on('error', reject); }));
  }
  assert.equal((await getJson(`${clew.api}/health`)).status, 'healthy');
  const grown = rss() - before;
  sockets.forEach((s) => s.destroy());
  assert.ok(grown < 8192, `${grown} KiB`);
});

test('a slow head is answered 408 and closed', { timeout: 30000 }, async () => {
  const { out, closed } = await raw(clew.otlp, 'POST /v1/traces HTTP/1.1\r\nHost: a\r\n', { quietMs: 15000 });
  assert.match(out, /^HTTP\/1\.1 408 /);
  assert.ok(closed);
});

test('log rows of any time are taken where retention is 0, data of 1970 included', async () => {
  const forever = await startClew(['--retention', '0']);
  assert.equal((await post(`${forever.otlp}/v1/logs`, logs([log({ time: 1000n, body: 'the beginning' })]))).status, 200);
  const got = await getJson(`${forever.api}/api/v1/logs/query?start=1970-01-01T00:00:00Z&end=1970-01-02T00:00:00Z`);
  assert.equal(got.logs.length, 1);
  assert.equal(got.logs[0].body, 'the beginning');
  assert.deepEqual(await forever.stop(), { code: 0, signal: null });
});

test('rows of more than 64 days at once are refused, and say so', async () => {
  const forever = await startClew(['--retention', '0']);
  const days = Array.from({ length: 70 }, (_, i) => span({ trace: newTrace(), start: hours(24 * (i + 1)) }));
  const answer = await post(`${forever.otlp}/v1/traces`, traces(days));
  assert.ok([413, 429, 503].includes(answer.status), `${answer.status}`);
  assert.match(answer.text, /64/);
  await forever.stop();
});
