// Tokens, roles and tenants with the real binary and the real SDK: what one tenant sends, only that tenant reads.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { binary, startClew, until } from './clew.mjs';
import { log, logs, post, span, traces } from './otlp.mjs';
import { temporary } from './processes.mjs';

const dir = temporary('access');
const data = join(dir, 'data');
const run = (args, env = {}) => {
  const r = spawnSync(binary, args, { encoding: 'utf8', timeout: 60000, env: { ...process.env, ...env } });
  return { code: r.status, out: r.stdout, err: r.stderr };
};
const newToken = (name, role, ...more) => {
  const r = run(['token', 'new', name, '--role', role, '--data', data, ...more]);
  assert.equal(r.code, 0, r.err);
  return r.out.trim();
};
const bearer = (token) => ({ Authorization: `Bearer ${token}` });
const basic = (user, token) => ({ Authorization: `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}` });
const ask = (path, headers = {}, method = 'GET') => fetch(clew.api + path, { method, headers });

let clew, sends, reads, otherSends, otherReads, operates, all;
before(async () => {
  sends = newToken('a-sends', 'ingest', '--tenant', 'a');
  reads = newToken('a-reads', 'read', '--tenant', 'a');
  otherSends = newToken('b-sends', 'ingest', '--tenant', 'b');
  otherReads = newToken('b-reads', 'read', '--tenant', 'b');
  operates = newToken('operates', 'operate', '--tenant', '*');
  all = newToken('all', 'admin', '--tenant', '*');
  clew = await startClew(['--listen', '0.0.0.0:0', '--plain-text', 'listen'], dir);
  clew.api = clew.api.replace('0.0.0.0', '127.0.0.1');
});
after(async () => {
  assert.deepEqual(await clew.stop({ keep: true }), { code: 0, signal: null });
  assert.equal(clew.errors().includes('level=error'), false, clew.errors());
  rmSync(dir, { recursive: true, force: true });
});

test('tokens are shown once, kept as hashes in a file of mode 0600', () => {
  assert.match(all, /^clew_[0-9a-f]{16}_[0-9a-f]{64}$/);
  const text = readFileSync(join(data, 'tokens.json'), 'utf8');
  assert.equal(statSync(join(data, 'tokens.json')).mode & 0o777, 0o600);
  for (const token of [sends, reads, all]) assert.equal(text.includes(token.split('_')[2]), false);
  const list = JSON.parse(run(['token', 'list', '--json', '--data', data]).out);
  assert.deepEqual(list.map((t) => t.name), ['a-sends', 'a-reads', 'b-sends', 'b-reads', 'operates', 'all']);
  assert.equal(run(['token', 'new', 'all', '--role', 'read', '--data', data]).code, 5, 'a name is taken');
  assert.equal(run(['token', 'new', 'x', '--role', 'root', '--data', data]).code, 2);
  assert.equal(run(['token', 'new', 'x', '--role', 'read', '--tenant', '../a', '--data', data]).code, 2);
  assert.equal(run(['token', 'revoke', 'nobody', '--data', data]).code, 3);
});

test('without tokens an address that others reach is refused with a sentence that says what to do', () => {
  const r = run(['serve', '--data', join(dir, 'open'), '--listen', '0.0.0.0:0', '--otlp-http', '127.0.0.1:0', '--otlp-grpc', '127.0.0.1:0']);
  assert.equal(r.code, 2);
  assert.match(r.err, /not a loopback address.*clew token new/);
  const damaged = run(['serve', '--data', join(dir, 'open'), '--listen', '127.0.0.1:0', '--otlp-http', '127.0.0.1:0', '--otlp-grpc', '127.0.0.1:0'], { CLEW_TOKENS: '' });
  assert.equal(damaged.code, 2);
  assert.match(damaged.err, /CLEW_TOKENS/);
});

test('what the SDK sends with a token, its tenant reads and the other one does not', async () => {
  const exporter = new OTLPTraceExporter({ url: `${clew.otlp}/v1/traces`, headers: bearer(sends) });
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const one = provider.getTracer('e2e').startSpan('bought');
  one.end();
  await provider.forceFlush();
  await provider.shutdown();
  const path = `/api/v1/traces/${one.spanContext().traceId}`;
  await until(() => ask(path, bearer(reads)), (r) => r.status === 200);
  assert.equal((await ask(path, basic('grafana', reads))).status, 200);
  assert.equal((await ask(path, bearer(otherReads))).status, 404);
  assert.equal((await ask(path, { ...bearer(operates), 'X-Scope-OrgID': 'a' })).status, 200);
  assert.equal((await ask(path, bearer(operates))).status, 404, 'default has nothing');
  assert.equal((await ask(path, { ...bearer(otherReads), 'X-Scope-OrgID': 'a' })).status, 403);
  assert.equal((await ask(path, bearer(sends))).status, 403);
  assert.equal((await ask(path)).status, 401);
  const shown = run(['trace', one.spanContext().traceId, '--server', clew.api], { CLEW_TOKEN: reads });
  assert.equal(shown.code, 0, shown.err);
  assert.match(shown.out, /bought/);
  writeFileSync(join(dir, 'token'), `${all}\n`);
  const chosen = run(['trace', one.spanContext().traceId, '--server', clew.api, '--token-file', join(dir, 'token'), '--tenant', 'a']);
  assert.equal(chosen.code, 0, chosen.err);
  for (const odd of ['a\nX-Scope-OrgID: b', 'a b', 'x'.repeat(500)]) assert.equal(run(['query', 'traces', '--server', clew.api, '--token', odd]).code, 2);
  const refused = run(['trace', one.spanContext().traceId, '--server', clew.api]);
  assert.equal(refused.code, 4);
  assert.match(refused.err, /needs a token/);
});

test('the load generator sends and reads back with one token', () => {
  const admin = newToken('load', 'admin', '--tenant', 'load');
  return until(async () => run(['load', '--otlp', clew.otlp, '--server', clew.api, '--count', '2000', '--items', '100', '--verify', '--json'], { CLEW_TOKEN: admin }),
    (r) => r.code === 0, 10).then((r) => assert.equal(JSON.parse(r.out).verified?.missing ?? 0, 0));
});

test('a revoked token is refused within a second, its session too', async () => {
  const token = newToken('short', 'admin', '--tenant', 'a');
  await until(() => ask('/api/v1/services', bearer(token)), (r) => r.status === 200, 2);
  const login = await fetch(`${clew.api}/api/v1/login`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ token }) });
  assert.equal(login.status, 200);
  const field = login.headers.get('set-cookie');
  assert.match(field, /^clew_session=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+$/);
  const cookie = { Cookie: field.split(';')[0] };
  assert.equal((await ask('/api/v1/services', cookie)).status, 200);
  assert.equal((await ask('/api/v1/admin/flush', cookie, 'POST')).status, 403, 'no Origin');
  assert.equal((await ask('/api/v1/admin/flush', { ...cookie, Origin: 'http://evil.example' }, 'POST')).status, 403);
  assert.equal((await ask('/api/v1/admin/flush', { ...cookie, Origin: clew.api }, 'POST')).status, 200);
  assert.equal(run(['token', 'revoke', 'short', '--data', data]).code, 0);
  const from = Date.now();
  await until(() => ask('/api/v1/services', bearer(token)), (r) => r.status !== 200, 3); // 401, or 429 after the waits above
  assert.ok(Date.now() - from < 1500, `${Date.now() - from} ms`);
  assert.equal((await ask('/api/v1/services', cookie)).status, 401);
});

test('a token that expires is refused from then on', async () => {
  const token = newToken('brief', 'read', '--tenant', 'a', '--expires', '2s');
  await until(() => ask('/api/v1/services', bearer(token)), (r) => r.status === 200, 2);
  const late = await until(async () => { const r = await ask('/api/v1/services', bearer(token)); return { status: r.status, text: await r.text() }; },
    (r) => r.status === 401, 8);
  assert.match(late.text, /expired/);
});

test('refusals on the OTLP port are google.rpc.Status', async () => {
  const body = traces([span({ trace: 'c'.repeat(32) })]);
  for (const [headers, status, code] of [[{}, 401, 16], [bearer('clew_x'), 401, 16], [bearer(reads), 403, 7], [{ ...bearer(sends), 'X-Scope-OrgID': 'b' }, 403, 7]]) {
    const answer = await post(`${clew.otlp}/v1/traces`, body, headers);
    assert.equal(answer.status, status);
    assert.equal(answer.type, 'application/x-protobuf');
    assert.deepEqual([...answer.data.subarray(0, 2)], [0x08, code]);
  }
  assert.equal((await ask(`/api/v1/traces/${'c'.repeat(32)}`, { ...bearer(all), 'X-Scope-OrgID': 'b' })).status, 404);
});

/** Another clew with the same tokens, from the environment. */
async function startWithTokens() {
  process.env.CLEW_TOKENS = readFileSync(join(data, 'tokens.json'), 'utf8');
  try { return await startClew(); } finally { delete process.env.CLEW_TOKENS; }
}

/** Raw bytes to the main port; the status of the answer. */
const raw = (server, text) => new Promise((resolve, reject) => {
  const url = new URL(server.api);
  const socket = net.connect(url.port, '127.0.0.1', () => socket.write(text));
  let got = '';
  socket.on('data', (d) => { got += d.toString('latin1'); if (/^HTTP\/1.1 \d+/.test(got)) { resolve(Number(got.slice(9, 12))); socket.destroy(); } });
  socket.on('error', reject);
  socket.on('close', () => resolve(0));
});
const getRaw = (server, path, ...fields) => raw(server, `GET ${path} HTTP/1.1\r\nHost: clew.example\r\n${fields.map((f) => `${f}\r\n`).join('')}\r\n`);

test('odd requests by hand: doubled, huge and broken fields, paths', async () => {
  const server = await startWithTokens(); // where nobody has failed yet
  const get = (...asked) => getRaw(server, ...asked);
  const good = `Authorization: Bearer ${reads}`;
  assert.equal(await get('/api/v1/services', good), 200);
  assert.equal(await get('/api/v1/services', `authorization:   bearer ${reads}  `), 200);
  assert.equal(await get('/api/v1/services', good, good), 400);
  assert.equal(await get('/api/v1/services', good, 'X-Scope-OrgID: a', 'X-Scope-OrgID: a'), 400);
  assert.equal(await get('/api/v1/services', good, 'X-Scope-OrgID: a|b'), 400);
  assert.equal(await get('/api/v1/services', good, 'X-Scope-OrgID:'), 400);
  assert.equal(await get('/api/v1/services', `Authorization: Bearer ${'a'.repeat(10240)}`), 401);
  assert.equal(await get('/api/v1/services', `Cookie: clew_session=${'a'.repeat(10240)}`), 401);
  assert.equal(await get('/api/v1/services', `Authorization: Bearer ${reads}\0`), 400);
  assert.equal(await get('/api/v1/services', `Authorization: Bearer\0 ${reads}`), 400);
  assert.equal(await get(`/api/v1/services?token=${reads}`), 401);
  assert.equal(await get('/api/v1/services', `Proxy-Authorization: Bearer ${reads}`), 401);
  for (const path of ['//api/v1/services', '/api/v1//services', '/API/v1/services', '/api/v1/services;x', '/api/v1/%73ervices', '/health/%2e%2e/api/v1/services',
    '/health/../api/v1/services', '/api/v1/services%00', '/api/v1/services/']) {
    const status = await get(path);
    assert.ok(status === 404 || status === 400, `${path}: ${status}`);
    const known = await get(path, good);
    assert.ok(known === 404 || known === 400, `${path}: ${known}`);
  }
  assert.equal(await get('/api/v1/services', good, 'Origin: http://evil.example'), 403);
  assert.equal(await get('/api/v1/services', good, 'Origin: http://clew.example'), 200);
  await server.stop();
});

test('guessing is slowed down with 429, and a good token from the same address is not', async () => {
  const statuses = [];
  for (let i = 0; i < 40; i++) statuses.push((await ask('/api/v1/services', bearer(`clew_${i}`))).status);
  assert.ok(statuses.includes(429));
  assert.equal((await ask('/api/v1/services', bearer(reads))).status, 200);
});

test('every answer has its security fields', async () => {
  for (const path of ['/health', '/api/v1/services', '/nothing', '/%zz%00', `/${'x'.repeat(9000)}`]) { // the last two the server itself refuses
    const r = await ask(path);
    assert.equal(r.headers.get('x-content-type-options'), 'nosniff');
    assert.equal(r.headers.get('cache-control'), 'no-store');
    if (r.status !== 400 && r.status !== 414) assert.equal(r.headers.get('referrer-policy'), 'no-referrer');
    assert.equal(r.headers.get('access-control-allow-origin'), null);
  }
});

test('one tenant is backed up without the rows of the others, and what was administered is written down', async () => {
  assert.equal((await post(`${clew.otlp}/v1/logs`, logs([log({ body: 'word-of-b' })]), bearer(otherSends))).status, 200);
  assert.equal((await post(`${clew.otlp}/v1/logs`, logs([log({ body: 'word-of-a' })]), bearer(sends))).status, 200);
  const admin = newToken('b-admin', 'admin', '--tenant', 'b');
  await until(() => ask('/api/v1/services', bearer(admin)), (r) => r.status === 200, 2);
  assert.equal((await ask(`/api/v1/admin/backup?to=${dir}/stolen`, bearer(admin), 'POST')).status, 403, 'a folder on the server is not a tenant\'s');
  const copy = join(dir, 'copy');
  const made = run(['backup', copy, '--server', clew.api, '--tenant', 'b'], { CLEW_TOKEN: all });
  assert.equal(made.code, 0, made.err);
  const bytes = spawnSync('grep', ['-rlE', 'tenants/a|bought', copy], { encoding: 'utf8' });
  assert.equal(bytes.stdout, '');
  assert.equal(run(['check', '--data', copy]).code, 0);
  assert.equal(run(['restore', copy, '--data', join(dir, 'again')]).code, 0);
  const again = await startClew(['--data', join(dir, 'again')]);
  const count = async (tenant) => (await (await fetch(`${again.api}/api/v1/logs/query?mode=count`, { headers: { 'X-Scope-OrgID': tenant } })).json()).count;
  assert.equal(await count('b'), 1);
  assert.equal(await count('a'), 0);
  await again.stop();
  const lines = readFileSync(join(data, 'audit.jsonl'), 'utf8').trim().split('\n').map((l) => JSON.parse(l));
  const has = (want) => assert.ok(lines.some((l) => Object.entries(want).every(([k, v]) => l[k] === v)), JSON.stringify(want));
  has({ action: 'tokens_in_force' });
  has({ action: 'token_added', token: 'short', tenant: 'a' });
  has({ action: 'token_removed', token: 'short' });
  has({ action: 'call', token: 'b-admin', tenant: 'b', path: '/api/v1/admin/backup', status: 403 });
  has({ action: 'call', token: 'all', tenant: 'b', path: '/api/v1/admin/backup', status: 200 });
  has({ action: 'call', token: 'short', path: '/api/v1/login', status: 200 });
});

test('limits of a file hold by tenant, and exporters are told when to come back', async () => {
  const file = join(dir, 'limits.json');
  writeFileSync(file, '{"tenants":{"a":{"requests_per_second":3}}}');
  const limited = await startClew(['--limits', file]);
  const send = (tenant) => post(`${limited.otlp}/v1/logs`, logs([log()]), { 'X-Scope-OrgID': tenant });
  const answers = [];
  for (let i = 0; i < 30; i++) answers.push(await send('a'));
  const refused = answers.filter((a) => a.status === 429);
  assert.ok(refused.length > 10);
  assert.match(refused[0].text, /tenant a is over its limit of 3 requests a second/);
  assert.ok(Number(refused[0].headers.get('retry-after')) >= 1);
  for (let i = 0; i < 30; i++) assert.equal((await send('b')).status, 200);
  await limited.stop();
  writeFileSync(file, '{"tenants":{"a":{"request":3}}}');
  const wrong = run(['serve', '--data', join(dir, 'x'), '--limits', file, '--listen', '127.0.0.1:0', '--otlp-http', '127.0.0.1:0', '--otlp-grpc', '127.0.0.1:0']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /limits/);
});

test('a page of a listed origin may ask, others may not', async () => {
  const open = await startClew(['--cors-origin', 'https://grafana.example', '--cors-origin', 'http://other.example:3000']);
  const preflight = await fetch(`${open.api}/api/v1/services`, { method: 'OPTIONS', headers: { Origin: 'https://grafana.example', 'Access-Control-Request-Method': 'GET' } });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), 'https://grafana.example');
  assert.match(preflight.headers.get('access-control-allow-headers'), /Authorization/);
  assert.equal((await fetch(`${open.api}/api/v1/services`, { headers: { Origin: 'http://other.example:3000' } })).status, 200);
  const other = await fetch(`${open.api}/api/v1/services`, { headers: { Origin: 'http://other.example' } });
  assert.equal(other.status, 403);
  assert.equal(other.headers.get('access-control-allow-origin'), null);
  await open.stop();
  assert.equal(run(['serve', '--data', join(dir, 'y'), '--cors-origin', '*']).code, 2);
});

test('a listed name may be asked, and a page of it, without tokens and behind a proxy; others stay strangers', async () => {
  const open = await startClew(['--allow-host', 'clew.example', '--allow-host', '[2001:db8::1]']);
  const status = (hostField, ...fields) => Number(spawnSync('curl', ['-s', '-m', '10', '-o', '/dev/null', '-w', '%{http_code}', '-H', `Host: ${hostField}`,
    ...fields.flatMap((f) => ['-H', f]), `${open.api}/api/v1/services`], { encoding: 'utf8' }).stdout);
  assert.equal(status('clew.example'), 200);
  assert.equal(status('CLEW.example:8443', 'Origin: https://clew.example:8443'), 200);
  assert.equal(status('127.0.0.1', 'Origin: https://clew.example'), 200);
  assert.equal(status('[2001:db8::1]:80'), 200);
  assert.equal(status('evil.example'), 403);
  assert.equal(status('evil.clew.example'), 403);
  assert.equal(status('clew.example', 'Origin: https://evil.example'), 403);
  await open.stop();
});

test('--compat-ports opens the usual port of each foreign API on the host of --listen, unless its own option is given', async () => {
  const host = `127.77.${process.pid % 250}.${1 + (Date.now() % 250)}`; /* the port is fixed, so the address is ours */
  const usual = await startClew(['--listen', `${host}:0`, '--compat-ports']);
  assert.equal(usual.jaeger, `http://${host}:16686`);
  assert.equal(usual.prometheus, `http://${host}:9090`);
  assert.equal(usual.ollystack, `http://${host}:8090`);
  assert.deepEqual((await (await fetch(`${usual.ollystack}/api/v1/traces`)).json()).traces, []);
  assert.deepEqual((await (await fetch(`${usual.jaeger}/api/services`)).json()).data, []);
  assert.deepEqual((await (await fetch(`${usual.prometheus}/api/v1/labels`)).json()).data, []);
  const taken = run(['serve', '--data', join(dir, 'taken'), '--listen', `${host}:0`, '--otlp-http', '127.0.0.1:0', '--otlp-grpc', '127.0.0.1:0', '--compat-ports']);
  assert.equal(taken.code, 5);
  assert.match(taken.err, /--jaeger: .*:16686 is in use/);
  const own = await startClew(['--listen', `${host}:0`, '--compat-ports', '--jaeger', '127.0.0.1:0', '--prometheus', '127.0.0.1:0', '--ollystack', '127.0.0.1:0']);
  assert.match(own.jaeger, /^http:\/\/127\.0\.0\.1:/);
  assert.match(own.prometheus, /^http:\/\/127\.0\.0\.1:/);
  const none = await startClew(['--listen', `${host}:0`, '--compat-ports', '--jaeger', '', '--prometheus', '', '--ollystack', '']);
  assert.equal(none.jaeger ?? none.prometheus ?? none.ollystack, undefined);
  for (const c of [usual, own, none]) await c.stop();
});

test('tokens may come from the environment', async () => {
  const container = await startWithTokens();
  assert.equal((await fetch(`${container.api}/api/v1/services`)).status, 401);
  assert.equal((await fetch(`${container.api}/api/v1/services`, { headers: bearer(reads) })).status, 200);
  await container.stop();
});
