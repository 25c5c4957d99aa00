// clew collect: what it acknowledged reaches the backend, whatever happens to either of them.
import test from 'node:test';
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { execFile } from 'node:child_process';
import { writeFileSync, readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { binary, getJson, startClew, startSecured, until } from './clew.mjs';
import * as otlp from './otlp.mjs';
import { encode } from './otlp-metrics.mjs';
import { exemplarsOf, logsOf, partial, readTraces, retryInfo, spansOf, startBackend, startCollector, startGrpcBackend } from './collect.mjs';
import { temporary } from './processes.mjs';

const OUTAGE_MS = process.env.CLEW_LONG ? 60000 : 5000;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const id = (n, bytes) => n.toString(16).padStart(2 * bytes, '0');
const trace = (n) => id(n + 1, 16);
const one = (n, more = {}) => otlp.traces([otlp.span({ trace: trace(n), id: id(n + 1, 8), name: `s${n}`, ...more })]);
const send = (collector, body, headers) => otlp.post(`${collector.http}/v1/traces`, body, headers);
const counted = (requests) => {
  const seen = new Map();
  for (const r of requests) for (const s of spansOf(r.body)) seen.set(s.id, (seen.get(s.id) ?? 0) + 1);
  return seen;
};
const empty = (collector) => until(() => collector.metric('queue_requests'), (n) => n === 0, 30);

test('what came in goes out byte for byte, set together in batches, by HTTP', async () => {
  const backend = await startBackend(), collector = await startCollector(backend.url, ['--header', 'X-Key: s3cret', '--tenant', 'shop']);
  const unknown = Buffer.from([0xfa, 0x3e, 0x03, 1, 2, 3]); // field 1007 of a request: of a newer OTLP
  const bodies = [one(1), Buffer.concat([one(2, { extra: [otlp.text(9, 'k', 'v'), otlp.text(9, 'k', 'again')] }), unknown]), one(3)];
  for (const [i, b] of bodies.entries())
    assert.equal((await send(collector, i === 1 ? gzipSync(b) : b, i === 1 ? { 'Content-Encoding': 'gzip' } : {})).status, 200);
  await empty(collector);
  const got = Buffer.concat(backend.taken.map((r) => r.body));
  assert.equal(got.length, bodies.reduce((n, b) => n + b.length, 0));
  for (const b of bodies) assert.ok(got.includes(b));
  assert.equal(backend.taken[0].headers['x-key'], 's3cret');
  assert.equal(backend.taken[0].headers['x-scope-orgid'], 'shop');
  assert.equal(backend.taken[0].headers['content-encoding'], 'gzip');
  assert.equal(await collector.metric('received_rows_total', 'transport="http"'), 3);
  assert.equal(await collector.metric('sent_rows_total', 'traces'), 3);
  await collector.stop();
  await backend.stop();
});

test('JSON goes out as protobuf; rows that are none are told and left out', async () => {
  const backend = await startBackend(), collector = await startCollector(backend.url);
  const span = (traceId, name) => ({ traceId, spanId: id(7, 8), name, kind: 2, startTimeUnixNano: '1700000000000000001', endTimeUnixNano: '1700000000000000009',
    attributes: [{ key: 'n', value: { intValue: '9007199254740993' } }], status: { code: 2, message: 'no' } });
  const answer = await fetch(`${collector.http}/v1/traces`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({
    resourceSpans: [{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] }, scopeSpans: [{ spans: [span(trace(5), 'good'), span('00', 'bad')] }] }] }) });
  const said = await answer.json();
  assert.equal(answer.status, 200);
  assert.equal(Number(said.partialSuccess.rejectedSpans), 1);
  await empty(collector);
  const spans = backend.taken.flatMap((r) => spansOf(r.body));
  assert.equal(spans.length, 1);
  assert.equal(spans[0].name, 'good');
  assert.equal(spans[0].resource['service.name'], 'shop');
  assert.equal(spans[0].startTimeUnixNano.toString(), '1700000000000000001');
  assert.equal(spans[0].attributes[0].value.intValue.toString(), '9007199254740993');
  for (const [type, body, status] of [['application/x-protobuf', Buffer.from([10, 200]), 400], ['text/plain', '', 415]])
    assert.equal((await send(collector, body, { 'Content-Type': type })).status, status);
  assert.equal((await fetch(`${collector.http}/v1/traces`)).status, 405);
  await collector.stop();
  await backend.stop();
});

for (const protocol of ['http', 'grpc']) {
  test(`into clew by ${protocol}: all three signals are what was sent`, { timeout: 120000 }, async () => {
    const clew = await startClew(['--retention', '0']), to = protocol === 'grpc' ? clew.grpc : clew.otlp;
    const config = join(temporary('collect'), 'c.yml');
    writeFileSync(config, 'batch: {delay: 0s}\n');
    const collector = await startCollector(to, ['--protocol', protocol, '--config', config]);
    const load = (signal, ...more) => promisify(execFile)(binary, ['load', '--otlp', signal === 'logs' ? collector.grpc : collector.http,
      '--server', clew.api, '--count', '2000', '--items', '100', '--signal', signal, ...(signal === 'logs' ? ['--grpc', '--gzip'] : []), ...more]);
    for (const signal of ['traces', 'logs', 'metrics']) await load(signal, '--seed', '4');
    await empty(collector);
    for (const signal of ['traces', 'logs', 'metrics']) assert.equal(await collector.metric('sent_rows_total', signal), 2000);
    assert.equal(await collector.metric('failed_rows_total'), 0);
    const page = await getJson(`${clew.api}/api/v1/traces?limit=1`);
    assert.equal(page.traces.length, 1);
    await collector.stop();
    await clew.stop();
  });
}

test('a backend that is away under load: every acknowledged span arrives, none twice', { timeout: 180000 }, async () => {
  let backend = await startBackend(), { port, taken } = backend, n = 0, away = false;
  const collector = await startCollector(backend.url, ['--timeout', '2s']);
  const acknowledged = [], until_ = Date.now() + OUTAGE_MS + 4000;
  const client = async () => {
    while (Date.now() < until_) {
      const mine = n++;
      if ((await send(collector, one(mine))).status === 200) acknowledged.push(id(mine + 1, 8));
    }
  };
  const outage = async () => {
    await pause(1000);
    away = true;
    await backend.stop();
    await pause(OUTAGE_MS);
    backend = await startBackend({ port, taken });
    away = false;
  };
  await Promise.all([outage(), client(), client(), client(), client()]);
  assert.ok(!away);
  await empty(collector);
  const seen = counted(taken);
  assert.ok(acknowledged.length > 500, `${acknowledged.length}`);
  assert.equal(acknowledged.filter((s) => !seen.has(s)).length, 0);
  if (process.env.CLEW_LONG) console.log(`# ${acknowledged.length} acknowledged`);
  // a request whose answer the break cut off may come again: the protocol allows it. All others come once.
  const again = [...seen.values()].filter((times) => times > 1).length;
  assert.ok(again <= 4 * 50, `${again} of ${seen.size} came again`);
  assert.ok(await collector.metric('retries_total') >= 1);
  assert.equal(await collector.metric('dropped_rows_total'), 0);
  await collector.stop();
  await backend.stop();
});

test('kill -9 of the collector, over and over: every acknowledged span arrives', { timeout: 120000 }, async () => {
  const backend = await startBackend(), acknowledged = [];
  let collector = await startCollector(backend.url), n = 0;
  for (let life = 0; life < 6; life++) {
    const { http, pid, dir } = collector;
    let alive = true;
    const client = async () => {
      while (alive) {
        const mine = n++;
        try {
          if ((await send({ http }, one(mine))).status === 200) acknowledged.push(id(mine + 1, 8));
        } catch { return; }
      }
    };
    const clients = [client(), client(), client()];
    await pause(300 + 130 * life);
    process.kill(pid, 'SIGKILL');
    await Promise.all(clients);
    alive = false;
    await collector.stop({ keep: true });
    collector = await startCollector(backend.url, [], dir);
  }
  await empty(collector);
  const seen = counted(backend.taken);
  assert.ok(acknowledged.length > 200, `${acknowledged.length}`);
  assert.deepEqual(acknowledged.filter((s) => !seen.has(s)), []);
  await collector.stop();
  await backend.stop();
});

test('statuses: Retry-After is heeded, what is refused is dropped and counted, a partial success is not sent again', { timeout: 60000 }, async () => {
  const answers = [{ status: 429, headers: { 'Retry-After': '3' } }, { status: 200 }, { status: 401 }, { status: 200, body: partial(1, 'too old') }, null, { status: 503 }, { status: 200 }];
  const backend = await startBackend({ answer: (r, i) => (i > answers.length ? { status: 200 } : answers[i - 1]) });
  const collector = await startCollector(backend.url, ['--connections', '1', '--hold', '0s']);
  for (let i = 0; i < 4; i++) {
    await send(collector, one(i));
    await empty(collector);
  }
  assert.ok(backend.all[1].at - backend.all[0].at >= 2900);
  assert.equal(backend.all.length, 7);
  assert.deepEqual([...counted(backend.taken).values()], [1, 1, 1]);
  assert.equal(await collector.metric('failed_rows_total', 'reason="401"'), 1);
  assert.equal(await collector.metric('failed_rows_total', 'reason="partial"'), 1);
  assert.equal(await collector.metric('sent_rows_total', 'traces'), 2);
  assert.equal(await collector.metric('retries_total', 'traces'), 2); // the connection that broke, libcurl itself begins anew
  assert.match(collector.errors(), /the target refuses: dropped.*reason=401/);
  await collector.stop();
  await backend.stop();
});

test('an answer that is cut off is none, wherever it is cut', { timeout: 60000 }, async () => {
  const whole = 'HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n';
  const cuts = [whole.length - 2, 30, 17, 9]; // before the line that ends it; in a field; behind the status; in it
  const backend = await startBackend({ answer: (r, i) => (i > cuts.length ? { status: 200 } : { raw: whole.slice(0, cuts[i - 1]) }) });
  const collector = await startCollector(backend.url, ['--connections', '1']);
  await send(collector, one(0));
  await empty(collector);
  assert.deepEqual([...counted(backend.taken).values()], [1]);
  assert.match(collector.errors(), /the answer ends in its head/);
  await collector.stop();
  await backend.stop();
});

for (const protocol of ['http', 'grpc']) {
  test(`a wrong token or address loses nothing, ${protocol}: held, tried again, counted; dropped only once it is older than --hold`, { timeout: 60000 }, async () => {
    const denials = protocol === 'grpc' ? [{ code: 16 }, { code: 7 }, { code: 5 }, { code: 12 }] : [{ status: 401 }, { status: 403 }, { status: 404 }, { status: 405 }, { status: 308, headers: { Location: 'https://elsewhere.example/' } }];
    const good = protocol === 'grpc' ? {} : { status: 200 };
    let denied = () => denials[backend.all.length % denials.length];
    const answer = () => (denied ? denied() : good), backend = await (protocol === 'grpc' ? startGrpcBackend : startBackend)({ answer });
    const collector = await startCollector(backend.url, ['--protocol', protocol]);
    for (let i = 0; i < 5; i++) await send(collector, one(i));
    await until(() => collector.metric('denied_requests_total', 'traces'), (n) => n >= 3);
    assert.equal(await collector.metric('queue_rows', 'traces'), 5);
    assert.equal(await collector.metric('failed_rows_total'), 0);
    assert.match(collector.errors(), protocol === 'grpc' ? /the target denies.*reason=grpc_/ : /the target denies.*reason=(40[1345]|308)/);
    denied = null;
    await empty(collector);
    assert.deepEqual([...counted(backend.taken).keys()].sort(), [1, 2, 3, 4, 5].map((i) => id(i, 8)));
    await collector.stop();
    denied = () => denials[0];
    const short = await startCollector(backend.url, ['--protocol', protocol, '--hold', '2s']), from = Date.now();
    await send(short, one(7));
    await empty(short);
    assert.ok(Date.now() - from >= 1900);
    assert.equal(await short.metric('failed_rows_total', protocol === 'grpc' ? 'grpc_16' : '401'), 1);
    assert.equal(await short.metric('sent_rows_total'), 0);
    await short.stop();
    await backend.stop();
  });
}

test('gRPC out: what speaks HTTP alone at that address denies, and a connection that ends is begun anew', { timeout: 60000 }, async () => {
  const server = http2.createServer(), sessions = new Set(), got = [];
  let status = 405;
  server.on('session', (s) => sessions.add(s));
  server.on('stream', (stream) => {
    if (status !== 200) return stream.respond({ ':status': status }, { endStream: true });
    got.push(stream.session);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' }, { endStream: true });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const collector = await startCollector(`http://127.0.0.1:${server.address().port}`, ['--protocol', 'grpc', '--connections', '1']);
  await send(collector, one(1));
  await until(() => collector.metric('denied_requests_total', 'traces'), (n) => n >= 1);
  assert.equal(await collector.metric('failed_rows_total'), 0);
  status = 200;
  await empty(collector);
  const retries = await collector.metric('retries_total');
  for (const s of sessions) s.destroy();
  await send(collector, one(2));
  await empty(collector);
  assert.equal(await collector.metric('sent_rows_total', 'traces'), 2);
  assert.equal(await collector.metric('retries_total'), retries);
  assert.notEqual(got[0], got.at(-1));
  await collector.stop();
  for (const s of sessions) s.destroy();
  server.close();
});

test('a token that is mended reaches the backend by SIGHUP, and what was held goes out', { timeout: 60000 }, async () => {
  const clew = await startSecured(), token = join(clew.dir, 'token'), options = ['--tls-ca', join(clew.dir, 'certificate.pem'), '--token-file', token];
  writeFileSync(token, 'clew_wrong\n');
  const collector = await startCollector(clew.otlp, options);
  await send(collector, one(1));
  await until(() => collector.metric('denied_requests_total', 'traces'), (n) => n >= 1);
  writeFileSync(token, '\n'); // half written: no reason to go on without one
  process.kill(collector.pid, 'SIGHUP');
  await until(async () => /all stays as it was.*there is no token in it/.test(collector.errors()), (x) => x);
  writeFileSync(token, `${clew.sends}\n`);
  process.kill(collector.pid, 'SIGHUP');
  await empty(collector);
  assert.equal(await collector.metric('sent_rows_total', 'traces'), 1);
  assert.equal((await getJson(`${clew.api}/api/v1/traces/${trace(1)}`, clew)).spans.length, 1);
  await collector.stop();
  await clew.stop();
});

test('SIGHUP reads the file again: what comes then is treated by it; a bad file is named, and the old one stays', { timeout: 60000 }, async () => {
  const backend = await startBackend(), config = join(temporary('collect'), 'c.yml');
  const say = (rate, more = '') => writeFileSync(config, `resource: [{action: upsert, key: v, value: "${rate}"}]\nbatch: {delay: 0s}\ntail_sampling: {wait: 100ms, keep_errors: true, rate: ${rate}}\n${more}`);
  say(1);
  const collector = await startCollector(backend.url, ['--config', config]);
  const hangUp = async (wanted) => { process.kill(collector.pid, 'SIGHUP'); await until(async () => wanted.test(collector.errors()), (x) => x); };
  const reloaded = (n) => until(() => collector.metric('reloads_total'), (x) => x === n);
  const kept = () => backend.taken.flatMap((r) => spansOf(r.body)).map((s) => `${s.name} ${s.resource.v}`).sort();
  await send(collector, one(1));
  await until(async () => kept(), (k) => k.length === 1);
  say(0);
  await hangUp(/read again/);
  await reloaded(1);
  await send(collector, one(2)); // dropped by the new rate
  await send(collector, one(3, { extra: [otlp.message(15, otlp.number(3, 2))] })); // an error
  await until(async () => kept(), (k) => k.length === 2);
  await until(() => collector.metric('sampled_dropped_spans_total'), (n) => n === 1);
  assert.deepEqual(kept(), ['s1 1', 's3 0']);
  say(1, 'batch: {items: none}\n');
  await hangUp(/not read again: all stays as it was.*c\.yml:4/);
  writeFileSync(config, 'batch: {delay: 0s}\n'); // sampling would end
  await hangUp(/tail_sampling: to begin or end it needs a restart/);
  assert.equal(await collector.metric('reloads_total'), 1);
  await send(collector, one(4));
  await until(() => collector.metric('sampled_dropped_spans_total'), (n) => n === 2);
  say(1); // mended
  await hangUp(/read again/);
  await reloaded(2);
  await send(collector, one(5));
  await until(async () => kept(), (k) => k.length === 3);
  assert.deepEqual(kept(), ['s1 1', 's3 0', 's5 1']);
  assert.equal((await collector.stop()).code, 0);
  await backend.stop();
});

test('SIGHUP under load loses and doubles nothing', { timeout: 60000 }, async () => {
  const backend = await startBackend(), config = join(temporary('collect'), 'c.yml');
  writeFileSync(config, 'resource: [{action: upsert, key: v, value: a}]\ncorrelation: {derive: true}\n');
  const collector = await startCollector(backend.url, ['--config', config]);
  let n = 0, ended = false;
  const client = async () => { while (!ended) assert.equal((await send(collector, one(n++))).status, 200); };
  const clients = [client(), client(), client()];
  for (let i = 1; i <= 40; i++) {
    process.kill(collector.pid, 'SIGHUP');
    await until(() => collector.metric('reloads_total'), (x) => x === i);
  }
  ended = true;
  await Promise.all(clients);
  await empty(collector);
  const seen = counted(backend.taken);
  assert.equal(seen.size, n);
  assert.ok([...seen.values()].every((times) => times === 1));
  await collector.stop();
  await backend.stop();
});

test('one bad request does not take the others of its batch with it', { timeout: 60000 }, async () => {
  const backend = await startBackend({ answer: (r) => ({ status: spansOf(r.body).some((s) => s.name === 's2') ? 400 : 200 }) });
  const collector = await startCollector(backend.url);
  await Promise.all([0, 1, 2, 3, 4].map((i) => send(collector, one(i))));
  await empty(collector);
  assert.deepEqual([...counted(backend.taken).keys()].sort(), [1, 2, 4, 5].map((i) => id(i, 8)));
  assert.equal(await collector.metric('failed_rows_total', 'reason="400"'), 1);
  await collector.stop();
  await backend.stop();
});

test('gRPC out: RetryInfo is heeded, RESOURCE_EXHAUSTED without one is final', { timeout: 60000 }, async () => {
  const answers = [{ code: 14, status: retryInfo(14, 2) }, {}, { code: 8 }, { code: 8, status: retryInfo(8, 1) }, {}, { code: 3 }, { body: partial(1, 'no') }];
  const backend = await startGrpcBackend({ answer: (r, i) => answers[i - 1] ?? {} });
  const collector = await startCollector(backend.url, ['--protocol', 'grpc', '--connections', '1', '--header', 'x-key: s3cret']);
  for (let i = 0; i < 5; i++) {
    await send(collector, one(i));
    await empty(collector);
  }
  assert.equal(backend.all.length, 7);
  assert.ok(backend.all[1].at - backend.all[0].at >= 1900);
  assert.ok(backend.all[4].at - backend.all[3].at >= 900);
  assert.equal(backend.all[0].metadata['x-key'], 's3cret');
  assert.deepEqual([...counted(backend.taken).keys()].sort(), [1, 3, 5].map((i) => id(i, 8)));
  assert.equal(await collector.metric('failed_rows_total', 'reason="grpc_8"'), 1);
  assert.equal(await collector.metric('failed_rows_total', 'reason="grpc_3"'), 1);
  assert.equal(await collector.metric('failed_rows_total', 'reason="partial"'), 1);
  await otlp.post(`${collector.http}/v1/logs`, otlp.logs([otlp.log({ body: 'hi' })]));
  await empty(collector);
  assert.equal(backend.taken.at(-1).kind, 'Logs');
  assert.equal(logsOf(backend.taken.at(-1).body)[0].body.stringValue, 'hi');
  await collector.stop();
  backend.stop();
});

test('a full queue refuses with 429 and Retry-After and is not ready, or drops the oldest and counts them', { timeout: 60000 }, async () => {
  for (const drop of ['none', 'oldest']) {
    const collector = await startCollector('http://127.0.0.1:9', ['--queue-max', '1MiB', '--queue-drop', drop, '--timeout', '1s']);
    const big = one(1, { extra: [otlp.text(9, 'k', 'x'.repeat(40000))] });
    let answer, sent = 0;
    while (sent < 60 && (answer = await send(collector, big)).status === 200) sent++;
    if (drop === 'none') {
      assert.equal(answer.status, 429);
      assert.equal(answer.headers.get('retry-after'), '2');
      assert.ok(sent >= 20 && sent < 27, `${sent}`);
      assert.equal((await fetch(`${collector.self}/ready`)).status, 503);
      assert.equal(await collector.metric('refused_requests_total', 'queue_full'), 1);
    } else {
      assert.equal(sent, 60);
      assert.equal((await fetch(`${collector.self}/ready`)).status, 200);
      assert.equal(await collector.metric('dropped_rows_total', 'queue_full') + await collector.metric('queue_rows', 'traces'), 60);
    }
    assert.ok(await collector.metric('queue_bytes') <= 1 << 20);
    const begun = Date.now();
    await collector.stop({ signal: 'SIGTERM' });
    assert.ok(Date.now() - begun < 16000);
  }
});

test('what waits at the end is there at the next start', { timeout: 60000 }, async () => {
  const away = await startBackend({ answer: () => ({ status: 503 }) });
  const collector = await startCollector(away.url);
  for (let i = 0; i < 20; i++) assert.equal((await send(collector, one(i))).status, 200);
  assert.equal((await collector.stop({ keep: true })).code, 0);
  assert.equal(readdirSync(join(collector.dir, 'queue')).filter((f) => f.endsWith('.seg')).length, 1);
  const backend = await startBackend(), next = await startCollector(backend.url, [], collector.dir);
  await empty(next);
  assert.deepEqual([...counted(backend.taken).values()], Array(20).fill(1));
  await next.stop();
  await backend.stop();
  await away.stop();
});

test('resource attributes: insert, upsert, delete; a mistake in the file is named with its line', async () => {
  const backend = await startBackend(), dir = temporary('collect'), config = join(dir, 'c.yml');
  writeFileSync(config, `resource:
  - {action: insert, key: service.name, value: other}
  - {action: insert, key: cluster, value: eu-1}
  - {action: upsert, key: deployment.environment.name, value: prod}
  - {action: upsert, key: zone, value: 7}
  - {action: delete, key: secret}
`);
  const collector = await startCollector(backend.url, ['--config', config]);
  const resource = otlp.message(1, otlp.text(1, 'service.name', 'shop'), otlp.text(1, 'secret', 'x'), otlp.text(1, 'deployment.environment.name', 'dev'), otlp.text(1, 'secret', 'y'));
  const span = otlp.span({ trace: trace(1) });
  await send(collector, Buffer.concat([otlp.message(1, resource, otlp.message(2, span)), otlp.message(1, otlp.message(2, span))]));
  await empty(collector);
  const got = backend.taken.flatMap((r) => spansOf(r.body));
  assert.deepEqual(got[0].resource, { 'service.name': 'shop', 'deployment.environment.name': 'prod', cluster: 'eu-1', zone: '7' });
  assert.deepEqual(got[1].resource, { 'service.name': 'other', 'deployment.environment.name': 'prod', cluster: 'eu-1', zone: '7' });
  assert.equal(readTraces(backend.taken[0].body).resourceSpans[0].resource.attributes.find((a) => a.key === 'zone').value.intValue.toString(), '7');
  await collector.stop();
  await backend.stop();
  for (const [text, message] of [['batch:\n  itmes: 3\n', /c\.yml:2: .*itmes/], ['resource:\n  - {action: move, key: a}\n', /c\.yml:2: `action`/],
    ['tail_sampling: {rate: 2}\n', /c\.yml:1: a share from 0 to 1/]]) {
    writeFileSync(config, text);
    await assert.rejects(startCollector(backend.url, ['--config', config]), message);
  }
});

test('tail sampling: traces with errors, slow ones and those of a service are kept whole, late spans too; the others are counted', { timeout: 60000 }, async () => {
  const backend = await startBackend(), config = join(temporary('collect'), 'c.yml');
  writeFileSync(config, 'tail_sampling: {wait: 2s, rate: 0, keep_slower_than: 1s, services: {checkout: 1}}\n');
  const collector = await startCollector(backend.url, ['--config', config]);
  const failed = [otlp.message(15, otlp.number(3, 2))];
  let n = 0;
  const span = (t, more) => otlp.span({ trace: trace(t), id: id(++n, 8), parent: 'aa'.repeat(8), ...more });
  const at = otlp.now();
  await send(collector, otlp.traces([span(1), span(2), span(3, { start: at, end: at + 10n }), span(4)], 'shop'));
  await send(collector, otlp.traces([span(1, { extra: failed }), span(3, { start: at + 900000000n, end: at + 1000000000n }), span(5)], 'cart'));
  await send(collector, otlp.traces([span(4)], 'checkout'));
  await until(() => collector.metric('sampled_traces_total'), (x) => x === 5);
  await empty(collector);
  const names = () => backend.taken.flatMap((r) => spansOf(r.body)).map((s) => [Number.parseInt(s.trace, 16) - 1, s.resource['service.name']].join()).sort();
  assert.deepEqual(names(), ['1,cart', '1,shop', '3,cart', '3,shop', '4,checkout', '4,shop']);
  await send(collector, otlp.traces([span(1), span(2)], 'late'));
  await empty(collector);
  await until(async () => names(), (all) => all.includes('1,late'));
  assert.ok(!names().includes('2,late'));
  assert.equal(await collector.metric('sampled_traces_total', 'error'), 1);
  assert.equal(await collector.metric('sampled_traces_total', 'slow'), 1);
  assert.equal(await collector.metric('sampled_traces_total', 'rate'), 1);
  assert.equal(await collector.metric('sampled_dropped_spans_total'), 3);
  assert.equal(await collector.metric('sampled_late_spans_total'), 2);
  await collector.stop();
  await backend.stop();
});

test('a signal that the backend does not take has half of the queue: the others go on', { timeout: 120000 }, async () => {
  let route = 404;
  const backend = await startBackend({ answer: (r) => ({ status: r.path === '/v1/metrics' ? route : 200 }) });
  const config = join(temporary('collect'), 'collect.yml');
  writeFileSync(config, 'batch: {delay: 0s}\n');
  const collector = await startCollector(backend.url, ['--queue-max', '1MiB', '--config', config]);
  const post = async (path, body) => (await fetch(collector.http + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })).status;
  const filler = [{ key: 'filler', value: { stringValue: 'x'.repeat(10_000) } }], now = () => `${Date.now()}000000`;
  const gauge = (i) => post('/v1/metrics', { resourceMetrics: [{ resource: { attributes: filler }, scopeMetrics: [{ metrics: [{ name: 'g', gauge: { dataPoints: [{ timeUnixNano: now(), asDouble: i }] } }] }] }] });
  const span = (i) => post('/v1/traces', { resourceSpans: [{ resource: { attributes: filler }, scopeSpans: [{ spans: [{ traceId: id(i + 1, 16), spanId: id(i + 1, 8), name: 's', startTimeUnixNano: now(), endTimeUnixNano: now() }] }] }] });
  assert.equal(await span(0), 200);
  await until(() => collector.metric('sent_rows_total', 'traces'), (n) => n === 1);
  assert.equal(await gauge(0), 200);
  await until(() => collector.metric('denied_requests_total', 'metrics'), (n) => n >= 1);
  let taken = 1, refused = 0;
  for (let i = 1; i < 300; i++) { // more than the queue holds, of either
    const status = await gauge(i);
    assert.ok(status === 200 || status === 429, `${status}`);
    if (status === 200) taken++;
    else refused++;
    assert.equal(await until(() => span(i), (s) => s === 200), 200);
  }
  assert.ok(taken > 10 && refused > 100, `${taken} ${refused}`);
  await until(() => collector.metric('sent_rows_total', 'traces'), (n) => n === 300);
  assert.equal(await collector.metric('refused_requests_total', 'reason="queue_share",signal="metrics"'), refused);
  assert.equal(await collector.metric('refused_requests_total', 'reason="queue_full"'), 0);
  assert.equal(await collector.metric('queue_held_bytes_max'), 512 * 1024);
  assert.ok(await collector.metric('queue_held_bytes') >= 512 * 1024 && await collector.metric('queue_bytes') < 768 * 1024);
  assert.match(collector.errors(), /has its share of the queue: more of it is refused.*signal=metrics/);
  route = 200; // it is mended: what was taken arrives, and more of it is
  await until(() => collector.metric('sent_rows_total', 'metrics'), (n) => n === taken);
  assert.equal(await gauge(300), 200);
  await empty(collector);
  assert.equal(await collector.metric('queue_held_bytes'), 0);
  await collector.stop();
  await backend.stop();
});

test('tail sampling holds what it has not decided on disk: kill -9 loses none of it', { timeout: 60000 }, async () => {
  const backend = await startBackend(), config = join(temporary('collect'), 'c.yml');
  writeFileSync(config, 'tail_sampling: {wait: 30s, rate: 1}\n');
  const options = ['--config', config], collector = await startCollector(backend.url, options);
  for (let i = 0; i < 30; i++) await send(collector, one(i, { parent: 'aa'.repeat(8) }));
  await until(() => collector.metric('sampling_traces'), (x) => x === 30);
  await collector.stop({ signal: 'SIGKILL', keep: true });
  const next = await startCollector(backend.url, options, collector.dir);
  await until(() => next.metric('sampling_traces'), (x) => x === 30);
  await next.stop(); // an end in order decides what is held
  assert.deepEqual([...counted(backend.taken).values()], Array(30).fill(1));
  await backend.stop();
});

for (const protocol of ['http', 'grpc']) {
  test(`out by TLS with a token, ${protocol}; with another authority everything stays in the queue`, { timeout: 60000 }, async () => {
    const clew = await startSecured(), ca = join(clew.dir, 'certificate.pem'), token = join(clew.dir, 'token');
    writeFileSync(token, `${clew.sends}\n`);
    const to = protocol === 'grpc' ? clew.grpc : clew.otlp, options = ['--protocol', protocol, '--token-file', token];
    const strange = await startCollector(to, options);
    await send(strange, one(1));
    await until(() => strange.metric('retries_total', 'traces'), (n) => n >= 1);
    assert.equal(await strange.metric('queue_rows', 'traces'), 1);
    assert.match(strange.errors(), /the target takes nothing.*certificate/);
    await strange.stop({ signal: 'SIGKILL', keep: true });
    const collector = await startCollector(to, [...options, '--tls-ca', ca], strange.dir);
    await empty(collector);
    assert.equal(await collector.metric('sent_rows_total', 'traces'), 1);
    const found = await getJson(`${clew.api}/api/v1/traces/${trace(1)}`, clew);
    assert.equal(found.spans.length, 1);
    await collector.stop();
    await clew.stop();
  });
}

test('in by TLS; beyond loopback only with it, or in plain text by name', { timeout: 60000 }, async () => {
  const clew = await startSecured(), backend = await startBackend();
  const collector = await startCollector(backend.url, ['--tls-cert', join(clew.dir, 'certificate.pem'), '--tls-key', join(clew.dir, 'key.pem'),
    '--plain-text', 'listen']);
  assert.match(collector.http, /^https:/);
  const outer = await startCollector(collector.http, ['--tls-ca', join(clew.dir, 'certificate.pem')]); // one behind the other
  await send(outer, one(1));
  await empty(outer);
  await empty(collector);
  assert.deepEqual([...counted(backend.taken).values()], [1]);
  for (const c of [outer, collector]) await c.stop();
  await assert.rejects(startCollector(backend.url, ['--otlp-http', '0.0.0.0:0']), /--otlp-http: 0\.0\.0\.0:0 can be reached from other machines/);
  const plain = await startCollector(backend.url, ['--otlp-http', '0.0.0.0:0', '--plain-text', 'otlp-http']);
  await plain.stop();
  await backend.stop();
  await clew.stop();
});

test('correlation: ids that arrived are attributes of rows, and of resources where all rows share one; others are derived only if asked for', { timeout: 60000 }, async () => {
  const dir = temporary('collect'), config = join(dir, 'c.yml');
  for (const derive of [false, true]) {
    const backend = await startBackend();
    writeFileSync(config, `correlation: {derive: ${derive}, prefix: shop}\nbatch: {delay: 0s}\n`);
    const collector = await startCollector(backend.url, ['--config', config]);
    const span = (n, ...extra) => otlp.span({ trace: trace(n), id: id(n + 1, 8), name: `s${n}`, extra });
    const baggage = otlp.text(9, 'baggage', 'a=1,correlation_id=order%2D7;p=2'), header = otlp.text(9, 'http.request.header.x-request-id', 'req-1');
    const plain = otlp.traces([span(0)], 'plain'), mixed = otlp.traces([span(1, baggage), span(2, header), span(3)], 'mixed');
    const alike = otlp.traces([span(4, baggage), span(5, otlp.text(9, 'correlation_id', 'order-7'))], 'alike');
    await send(collector, Buffer.concat([plain, mixed, alike]));
    await otlp.post(`${collector.http}/v1/logs`, otlp.logs([otlp.log({ body: '{"request_id":"r9","m":1}' })]));
    await empty(collector);
    const spans = backend.taken.filter((r) => r.path === '/v1/traces').flatMap((r) => spansOf(r.body));
    const ids = (s) => s.attributes.filter((a) => a.key === 'correlation_id').map((a) => a.value.stringValue).join();
    const made = (n) => (derive ? `shop-${trace(n).slice(16)}` : '');
    assert.deepEqual(Object.fromEntries(spans.map((s) => [s.name, ids(s)])),
      { s0: made(0), s1: 'order-7', s2: 'req-1', s3: made(3), s4: 'order-7', s5: 'order-7' });
    const resources = Object.fromEntries(spans.map((s) => [s.resource['service.name'], s.resource.correlation_id ?? '']));
    assert.deepEqual(resources, { plain: made(0), mixed: '', alike: 'order-7' });
    const [record] = backend.taken.filter((r) => r.path === '/v1/logs').flatMap((r) => logsOf(r.body));
    assert.equal(record.body.stringValue, '{"request_id":"r9","m":1}');
    assert.deepEqual(record.attributes.map((a) => [a.key, a.value.stringValue]), [['correlation_id', 'r9']]);
    assert.equal(await collector.metric('correlated_rows_total', 'baggage'), 2);
    await collector.stop();
    await backend.stop();
  }
});

test('correlation: exemplars of metrics get the id of their resource, their own, or one that is derived', { timeout: 60000 }, async () => {
  const config = join(temporary('collect'), 'c.yml');
  const text = (key, stringValue) => ({ key, value: { stringValue } });
  const exemplar = (n, ...filteredAttributes) => ({ filteredAttributes, timeUnixNano: otlp.now(), asDouble: 1, spanId: id(n, 8), traceId: trace(n) });
  const point = (...exemplars) => ({ timeUnixNano: otlp.now(), exemplars });
  const metrics = [
    { name: 'g', gauge: { dataPoints: [{ ...point(exemplar(1), exemplar(2, text('baggage', 'correlation_id=b7'))), asDouble: 1 }] } },
    { name: 'h', histogram: { aggregationTemporality: 2, dataPoints: [{ ...point(exemplar(3, text('correlation_id', 'stays'))), count: 1, sum: 1, bucketCounts: [1, 0], explicitBounds: [2] }] } }];
  const request = encode({ resourceMetrics: [
    { resource: { attributes: [text('service.name', 'shop')] }, scopeMetrics: [{ metrics }] },
    { resource: { attributes: [text('service.name', 'cart'), text('correlationId', 'of-cart')] }, scopeMetrics: [{ metrics: [metrics[0]] }] }] });
  for (const derive of [false, true]) {
    const backend = await startBackend();
    writeFileSync(config, `correlation: {derive: ${derive}, prefix: shop}\nbatch: {delay: 0s}\n`);
    const collector = await startCollector(backend.url, ['--config', config]);
    await otlp.post(`${collector.http}/v1/metrics`, request);
    await empty(collector);
    const got = backend.taken.filter((r) => r.path === '/v1/metrics').flatMap((r) => exemplarsOf(r.body));
    assert.deepEqual(got.map((e) => e.correlation_id ?? ''), [derive ? `shop-${trace(1).slice(16)}` : '', 'b7', 'stays', 'of-cart', 'of-cart']);
    assert.equal(await collector.metric('correlated_rows_total', 'resource'), 2);
    await collector.stop();
    await backend.stop();
  }
});
