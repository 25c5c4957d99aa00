// OTLP/JSON and encodings against the whole system: answered in kind, refused with a place, read back equal.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { binary, startClew, getJson } from './clew.mjs';

let clew;
before(async () => { clew = await startClew(); });
after(async () => { assert.deepEqual(await clew.stop(), { code: 0, signal: null }); });

const span = (more) => ({ resourceSpans: [{ scopeSpans: [{ spans: [{ traceId: 'AAAABBBBCCCCDDDDEEEEFFFF00001111', spanId: 'aaaabbbbcccc0001', startTimeUnixNano: `${BigInt(Date.now()) * 1000000n}`, ...more }] }] }] });

/** POST of a body in pieces, so that its length is not announced. */
const postChunked = (body, headers) => new Promise((resolve, reject) => {
  const request = http.request(`${clew.otlp}/v1/traces`, { method: 'POST', headers: { 'Content-Type': 'application/json; charset=utf-8', ...headers } }, (answer) => {
    let text = '';
    answer.on('data', (d) => { text += d; });
    answer.on('end', () => resolve({ status: answer.statusCode, type: answer.headers['content-type'], text }));
  });
  request.on('error', reject);
  for (let at = 0; at < body.length; at += 100) request.write(body.subarray(at, at + 100));
  request.end();
});

test('JSON is answered in JSON, in every encoding, chunked', async () => {
  const body = Buffer.from(JSON.stringify(span()));
  for (const [bytes, headers] of [[body, {}], [body, { 'Content-Encoding': 'identity' }], [gzipSync(body), { 'Content-Encoding': 'gzip' }]]) {
    assert.deepEqual(await postChunked(bytes, headers), { status: 200, type: 'application/json', text: '{}' });
  }
  const zstd = spawnSync('zstd', ['-q', '-c'], { input: body });
  if (!zstd.error) assert.equal((await postChunked(zstd.stdout, { 'Content-Encoding': 'zstd' })).text, '{}');
  const list = await postChunked(body, { 'Content-Encoding': 'gzip, zstd' });
  assert.equal(list.status, 415);
  assert.match(JSON.parse(list.text).message, /a list of Content-Encodings is not taken/);
  const trace = await getJson(`${clew.api}/api/v1/traces/aaaabbbbccccddddeeeeffff00001111?format=otlp`);
  assert.equal(trace.resourceSpans[0].scopeSpans[0].spans[0].spanId, 'aaaabbbbcccc0001');
});

test('what is wrong is named by its place, and partial success counts', async () => {
  for (const [body, place] of [[span({ kind: 'SPAN_KIND_SERVER' }), 'spans[0].kind: expected an integer'],
    [span({ traceId: 'qqqqu7u7zMzd3e7u//8AABERE' }), 'spans[0].traceId: expected 32 hex digits'], [{ resourceSpans: 1 }, 'resourceSpans: expected an array']]) {
    const answer = await postChunked(Buffer.from(JSON.stringify(body)), {});
    assert.equal(answer.status, 400);
    assert.equal(answer.type, 'application/json');
    assert.equal(JSON.parse(answer.text).code, 3);
    assert.ok(JSON.parse(answer.text).message.includes(place), answer.text);
  }
  const partial = await postChunked(Buffer.from(JSON.stringify(span({ spanId: '00' }))), {});
  assert.equal(partial.status, 200);
  assert.equal(JSON.parse(partial.text).partialSuccess.rejectedSpans, '1');
});

test('a load by JSON reads back equal', () => {
  const load = spawnSync(binary, ['load', '--signal', 'both', '--count', '5000', '--encoding', 'json', '--gzip', '--verify', '--json',
    '--otlp', clew.otlp, '--server', clew.api], { encoding: 'utf8' });
  assert.equal(load.status, 0, load.stderr + load.stdout);
});
