// TLS of the whole system: curl, openssl s_client, clew's own client and the real SDK at the other end. Certificates are made here.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import https from 'node:https';
import tls from 'node:tls';
import { spawnSync } from 'node:child_process';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { context, trace } from '@opentelemetry/api';
import { NodeTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base';
import { binary, startClew, until } from './clew.mjs';
import { temporary } from './processes.mjs';

const dir = temporary('tls');
const at = (name) => join(dir, name);
const run = (program, args, options = {}) => spawnSync(program, args, { encoding: 'utf8', timeout: 20000, ...options });
function openssl(...args) {
  const done = run('openssl', args);
  assert.equal(done.status, 0, done.stderr);
}
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
function makeAuthority(name) {
  openssl('req', '-x509', ...newKey, '-keyout', at(`${name}.key`), '-out', at(`${name}.crt`), '-subj', `/CN=${name}`, '-days', '30');
}
function makePair(name, authority, names, subject = `/CN=${name}`) {
  openssl('req', ...newKey, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`), '-subj', subject);
  writeFileSync(at(`${name}.ext`), `subjectAltName=${names}\n`);
  openssl('x509', '-req', '-in', at(`${name}.csr`), '-CA', at(`${authority}.crt`), '-CAkey', at(`${authority}.key`), '-CAcreateserial',
    '-days', '20', '-extfile', at(`${name}.ext`), '-out', at(`${name}.crt`));
}

before(() => {
  makeAuthority('ca');
  makeAuthority('other');
  makePair('server', 'ca', 'DNS:localhost,IP:127.0.0.1');
  makePair('agent', 'ca', 'DNS:agent.example');
  makePair('stranger', 'other', 'DNS:stranger.example');
});
after(() => rmSync(dir, { recursive: true, force: true }));

const pair = (name = 'server') => ['--tls-cert', at(`${name}.crt`), '--tls-key', at(`${name}.key`)];

/** One request on a connection of its own, or by the agent given: {status, text, serial}. */
const ask = (url, options = {}) => new Promise((resolve, reject) => {
  const request = https.get(url, { ca: readFileSync(at('ca.crt')), agent: false, ...options }, (answer) => {
    const serial = answer.socket.getPeerCertificate().serialNumber;
    let text = '';
    answer.on('data', (d) => { text += d; });
    answer.on('end', () => resolve({ status: answer.statusCode, text, serial }));
    answer.on('error', reject);
  });
  request.on('error', reject);
});

test('spans of the SDK come over https', async () => {
  const clew = await startClew(pair());
  assert.match(clew.otlp, /^https:/);
  const exporter = new OTLPTraceExporter({
    url: `${clew.otlp}/v1/traces`, compression: CompressionAlgorithm.GZIP, httpAgentOptions: { ca: readFileSync(at('ca.crt')), keepAlive: true },
  });
  const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
  const tracer = provider.getTracer('tls');
  const root = tracer.startSpan('root');
  const ids = [root.spanContext().spanId];
  for (let i = 0; i < 50; i++) {
    const child = tracer.startSpan(`child ${i}`, { attributes: { i } }, trace.setSpan(context.active(), root));
    ids.push(child.spanContext().spanId);
    child.end();
  }
  root.end();
  await provider.forceFlush();
  const answer = await ask(`${clew.api}/api/v1/traces/${root.spanContext().traceId}?format=otlp`);
  const got = JSON.parse(answer.text).resourceSpans.flatMap((r) => r.scopeSpans.flatMap((s) => s.spans.map((span) => span.spanId)));
  assert.deepEqual(got.sort(), ids.sort());
  await provider.shutdown();
  assert.deepEqual(await clew.stop(), { code: 0, signal: null });
});

test('curl and s_client get TLS 1.2 and 1.3 with ALPN, and nothing older', async () => {
  const clew = await startClew(pair());
  const { host } = new URL(clew.api);
  const curl = (...args) => run('curl', ['-sS', '-v', '--http1.1', `${clew.api}/health`, ...args]);
  for (const [version, name] of [['1.2', 'TLSv1.2'], ['1.3', 'TLSv1.3']]) {
    const done = curl('--cacert', at('ca.crt'), `--tlsv${version}`, '--tls-max', version);
    assert.equal(done.status, 0, done.stderr);
    assert.match(done.stderr, new RegExp(`SSL connection using ${name} / (ECDHE-ECDSA-AES128-GCM-SHA256|TLS_AES_128_GCM_SHA256)`));
    assert.match(done.stderr, /ALPN: server accepted http\/1\.1/);
    assert.match(done.stdout, /healthy/);
  }
  for (const port of [clew.api, clew.otlp, clew.grpc])
    for (const [option, version] of [['--http1.1', '1.1'], ['--http2', '2']]) // what ALPN agreed upon
      assert.equal(run('curl', ['-s', option, '--cacert', at('ca.crt'), '-o', at('answer'), '-w', '%{http_code} %{http_version}', `${port}/health`]).stdout, `200 ${version}`);
  assert.equal(curl().status, 60, 'an unknown authority');
  assert.equal(curl('--cacert', at('ca.crt'), '--tls-max', '1.1', '--ciphers', 'DEFAULT@SECLEVEL=0').status, 35);
  const client = (args, input) => run('openssl', ['s_client', '-connect', host, '-CAfile', at('ca.crt'), ...args], { input });
  assert.match(client(['-tls1_3'], '').stdout, /Verify return code: 0 \(ok\)/);
  assert.match(client(['-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0'], '').stdout + client(['-tls1_1'], '').stderr, /Cipher is \(NONE\)/);
  assert.match(client(['-tls1_2'], 'R\n').stderr, /no renegotiation/);
  assert.doesNotMatch(client(['-tls1_3'], 'Q\n').stdout, /New Session Ticket/i);
  assert.match(run('curl', ['-sS', '-i', clew.api.replace('https', 'http')]).stdout, /^HTTP\/1\.1 400 [^]*this port speaks TLS/);
  assert.deepEqual(await clew.stop(), { code: 0, signal: null });
});

test('a listener of --plain-text stays plain, and closes on TLS', async () => {
  const clew = await startClew([...pair(), '--plain-text', 'otlp-http']);
  assert.match(clew.api, /^https:/);
  assert.match(clew.otlp, /^http:/);
  assert.equal((await fetch(`${clew.otlp}/health`)).status, 200);
  await assert.rejects(ask(`${clew.otlp.replace('http', 'https')}/health`));
  await until(async () => clew.errors(), (log) => /speaks TLS to a plain-text port/.test(log));
  assert.deepEqual(await clew.stop(), { code: 0, signal: null });
});

test('clients show certificates where they are asked to', async () => {
  const clew = await startClew([...pair(), '--tls-client-ca', at('ca.crt')]);
  const url = `${clew.api}/health`;
  const as = (name) => ({ cert: readFileSync(at(`${name}.crt`)), key: readFileSync(at(`${name}.key`)) });
  assert.equal((await ask(url, as('agent'))).status, 200);
  await assert.rejects(ask(url));
  await assert.rejects(ask(url, as('stranger')));
  const query = (...args) => run(binary, ['query', 'traces', '--server', clew.api, '--tls-ca', at('ca.crt'), ...args]);
  assert.equal(query(...pair('agent')).status, 0);
  assert.match(query().stderr, /certificate required/);
  assert.deepEqual(await clew.stop(), { code: 0, signal: null });
});

test('the command line asks and loads over https, and says what it does not believe', async () => {
  const clew = await startClew(pair());
  const load = run(binary, ['load', '--otlp', clew.otlp, '--server', clew.api, '--tls-ca', at('ca.crt'), '--count', '2000', '--verify', '--json']);
  assert.equal(load.status, 0, load.stderr);
  assert.equal(JSON.parse(load.stdout).items, 2000);
  const query = (...args) => run(binary, ['query', 'traces', '--server', clew.api, ...args]);
  assert.equal(query('--tls-ca', at('ca.crt')).status, 0);
  assert.equal(query('--insecure').status, 0);
  assert.equal(run(binary, ['query', 'traces'], { env: { ...process.env, CLEW_SERVER: clew.api, CLEW_TLS_CA: at('ca.crt') } }).status, 0);
  for (const args of [[], ['--tls-ca', at('other.crt')]]) {
    const refused = query(...args);
    assert.equal(refused.stdout, '');
    assert.match(refused.stderr, /127\.0\.0\.1:\d+.*certificate: subject CN=server; names DNS:localhost IP:127\.0\.0\.1; issuer CN=ca;.*--tls-ca FILE/);
  }
  assert.deepEqual(await clew.stop(), { code: 0, signal: null });
});

test('plain text beyond loopback, and half a pair, are refused before anything starts', async () => {
  const serve = (...args) => {
    const done = run(binary, ['serve', '--data', at('data'), '--listen', '127.0.0.1:0', '--otlp-http', '127.0.0.1:0', '--otlp-grpc', '127.0.0.1:0', ...args]);
    assert.notEqual(done.status, 0);
    return done.stderr;
  };
  assert.equal(run(binary, ['token', 'new', 'anybody', '--role', 'admin', '--data', at('data')]).status, 0);
  assert.match(serve('--listen', '0.0.0.0:0'), /--listen: 0\.0\.0\.0:\d+ can be reached .*--tls-cert and --tls-key.*--plain-text listen/);
  assert.match(serve('--otlp-http', '0.0.0.0:0'), /--plain-text otlp-http/);
  for (const secured of [pair(), ['--plain-text', 'listen'], ['--plain-text', 'all']]) {
    const clew = await startClew(['--listen', '0.0.0.0:0', ...secured], dir);
    assert.deepEqual(await clew.stop({ keep: true }), { code: 0, signal: null });
  }
  assert.match(serve('--tls-cert', at('server.crt')), /--tls-cert: needs --tls-key/);
  assert.match(serve('--tls-cert', at('server.crt'), '--tls-key', at('agent.key')), /key values mismatch/);
  assert.match(serve('--tls-cert', at('server.crt'), '--tls-key', at('none.key')), /none\.key/);
  assert.match(serve('--tls-client-ca', at('ca.crt')), /needs --tls-cert/);
  assert.match(serve('--plain-text', 'otlp'), /listen, otlp-http, otlp-grpc, jaeger, prometheus, ollystack, or all/);
  assert.match(serve(...pair(), '--tls-cert', `otlp-http=${at('agent.crt')}`), /TLS of --otlp-http: .*mismatch/);
});

test('a new certificate is taken under load, a broken one is not, and no request fails', { timeout: 60000 }, async () => {
  makePair('live', 'ca', 'IP:127.0.0.1');
  makePair('next', 'ca', 'IP:127.0.0.1');
  const clew = await startClew(pair('live'));
  const first = (await ask(`${clew.api}/health`)).serial;
  let stop = false, asked = 0;
  const failed = [], serials = new Set();
  const kept = new https.Agent({ keepAlive: true, maxSockets: 4 });
  const worker = async (agent) => {
    while (!stop) {
      try {
        const answer = await ask(`${clew.api}/health`, { agent });
        assert.equal(answer.status, 200);
        asked++;
        if (!agent) serials.add(answer.serial);
      } catch (e) {
        failed.push(e);
      }
    }
  };
  const workers = [false, false, kept, kept].map(worker);
  renameSync(at('next.crt'), at('live.crt')); /* a moment without its key: refused, then taken */
  renameSync(at('next.key'), at('live.key'));
  await until(async () => serials, (s) => [...s].some((serial) => serial !== first), 30);
  writeFileSync(at('live.crt'), 'no certificate');
  await until(async () => clew.errors(), (log) => /changed TLS files are not usable.*holds no certificate/.test(log), 30);
  const before = asked;
  await until(async () => asked, (n) => n > before + 20);
  stop = true;
  await Promise.all(workers);
  kept.destroy();
  assert.deepEqual(failed, []);
  const metrics = (await ask(`${clew.api}/metrics`)).text;
  const expires = Number(/^clew_tls_certificate_expires_seconds (\d+)$/m.exec(metrics)[1]) - Date.now() / 1000;
  assert.ok(expires > 19 * 86400 && expires < 20 * 86400 + 60, `${expires} s`);
  assert.deepEqual(await clew.stop(), { code: 0, signal: null });
});

test('a body cut off without close_notify is gone, and holds no stop', async () => {
  const clew = await startClew(pair());
  const { port } = new URL(clew.api);
  const open = tls.connect({ port, host: '127.0.0.1', ca: readFileSync(at('ca.crt')) });
  open.on('error', () => {});
  await new Promise((resolve) => open.once('secureConnect', resolve));
  open.write('POST /otlp/v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1000\r\n\r\nhalf');
  open.destroy(); /* without close_notify */
  await until(() => ask(`${clew.api}/metrics`), (a) => /^clew_http_connections 1$/m.test(a.text));
  assert.deepEqual(await clew.stop(), { code: 0, signal: null });
});
