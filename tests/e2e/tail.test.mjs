// Logs as they come: GET /api/v1/logs/tail over HTTP/1.1 and 2, and `clew query logs --follow`.
import test from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { once } from 'node:events';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { binary, getJson, startClew, until } from './clew.mjs';
import { spawn } from './processes.mjs';
import { bytes, log, logs, now, number, post, text } from './otlp.mjs';

/** Follows: {events, text(), close()}; events are {type, data}. */
async function follow(clew, query = '', headers = {}) {
  const end = new AbortController();
  const answer = await fetch(`${clew.api}/api/v1/logs/tail${query}`, { headers, signal: end.signal });
  assert.equal(answer.status, 200, await (answer.status === 200 ? '' : answer.text()));
  assert.equal(answer.headers.get('content-type'), 'text/event-stream');
  const events = [];
  let rest = '', over;
  const done = new Promise((resolve) => { over = resolve; });
  (async () => {
    for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + piece).split('\n\n');
      rest = blocks.pop();
      for (const b of blocks) {
        const field = (name) => b.split('\n').find((l) => l.startsWith(`${name}: `))?.slice(name.length + 2);
        if (field('event')) events.push({ type: field('event'), data: JSON.parse(field('data')) });
      }
    }
  })().catch(() => {}).finally(() => over());
  return { events, rows: () => events.filter((e) => e.type === 'log').map((e) => e.data), done, close: () => end.abort() };
}

let clock = 0n;
/** Each record a microsecond after the one before: their order is that of their times. */
const send = (clew, bodies, service = 'raw', headers = {}) =>
  post(`${clew.otlp}/v1/logs`, logs(bodies.map((body) => log({ body, time: (clock = clock + 1000n > now() ? clock + 1000n : now()) })), service), headers).then((a) => assert.equal(a.status, 200));

async function metric(clew, name) {
  const figures = await (await fetch(`${clew.api}/metrics`)).text();
  return Number(figures.match(new RegExp(`^${name} (\\d+)`, 'm'))[1]);
}

/** A clew of the command line: {out(), err(), exit, child}. */
function run(args) {
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '', err = '';
  child.stdout.on('data', (d) => { out += d; });
  child.stderr.on('data', (d) => { err += d; });
  const exit = once(child, 'exit');
  return { out: () => out, err: () => err, exit, child };
}
const has = (ask, ready, seconds) => until(async () => ask(), ready, seconds);

test('two followers with different filters get exactly their rows while load is sent', { timeout: 60000 }, async () => {
  const clew = await startClew();
  const web = await follow(clew, '?service=web'), odd = await follow(clew, '?text=odd'), none = await follow(clew, '?where=body.none=1');
  const load = spawn(binary, ['load', '--signal', 'logs', '--count', '100000', '--otlp', clew.otlp, '--server', clew.api], { stdio: 'ignore' });
  const loaded = once(load, 'exit');
  for (let i = 0; i < 200; i++) await send(clew, [`${i % 2 ? 'odd' : 'even'} number ${i}`], i % 4 < 2 ? 'web' : 'cart');
  await loaded;
  await send(clew, ['odd last'], 'web');
  await has(() => [web, odd].map((f) => f.rows().at(-1)?.body), (last) => last.every((b) => b === 'odd last'));
  const all = [...Array(200).keys()];
  assert.deepEqual(web.rows().map((r) => r.body), [...all.filter((i) => i % 4 < 2).map((i) => `${i % 2 ? 'odd' : 'even'} number ${i}`), 'odd last']);
  assert.deepEqual(odd.rows().map((r) => r.body), [...all.filter((i) => i % 2).map((i) => `odd number ${i}`), 'odd last']);
  assert.equal(none.events.length, 0);
  for (const f of [web, odd]) assert.equal(f.events.filter((e) => e.type === 'lost').length, 0);
  assert.equal(await metric(clew, 'clew_tail_followers'), 3);
  const status = await clew.stop();
  await Promise.all([web.done, odd.done]);
  assert.deepEqual(web.events.at(-1), { type: 'end', data: { reason: 'clew is stopping' } });
  assert.equal(status.code, 0);
});

test('events are by their schema, and the newest records come first, from parts too', { timeout: 60000 }, async () => {
  const clew = await startClew();
  const { components } = await getJson(`${clew.api}/openapi.json`);
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  const closed = JSON.parse(JSON.stringify(components.schemas), (k, v) => (v?.type === 'object' && v.properties && v.additionalProperties === undefined ? { ...v, additionalProperties: false } : v));
  ajv.addSchema({ $id: 'clew', components: { schemas: closed } });
  const validate = ajv.compile({ $ref: 'clew#/components/schemas/LogTailRecord' });
  await send(clew, ['first', 'second']);
  await fetch(`${clew.api}/api/v1/admin/flush`, { method: 'POST' });
  await post(`${clew.otlp}/v1/logs`, logs([log({ body: 'third', extra: [text(6, 'k', 'v'), bytes(9, Buffer.alloc(16, 1)), bytes(10, Buffer.alloc(8, 2)), number(7, 1)] })]));
  const f = await follow(clew, '?limit=2');
  await send(clew, ['fourth']);
  await has(f.rows, (r) => r.length >= 3);
  assert.deepEqual(f.rows().map((r) => r.body), ['second', 'third', 'fourth']);
  for (const r of f.rows()) assert.ok(validate(r), `${JSON.stringify(validate.errors)} ${JSON.stringify(r)}`);
  f.close();
  await has(() => metric(clew, 'clew_tail_followers'), (n) => n === 0);
  await clew.stop();
});

test('history and stream meet without a gap or a repeat while load is sent', { timeout: 60000 }, async () => {
  const clew = await startClew();
  let stop = false, sent = 0;
  const sending = (async () => { while (!stop) await send(clew, [`row ${sent++}`, `row ${sent++}`]); })();
  await has(() => sent, (n) => n > 200);
  for (let i = 0; i < 10; i++) {
    const f = await follow(clew, '?limit=10000&service=raw'), from = sent;
    await has(() => f.rows().length, (n) => n > from + 50);
    const numbers = f.rows().map((r) => Number(r.body.slice(4)));
    assert.equal(new Set(numbers).size, numbers.length, 'a repeat');
    const sorted = [...numbers].sort((a, b) => a - b);
    assert.deepEqual(sorted, [...Array(sorted.length).keys()], 'a gap');
    f.close();
    if (i === 4) await fetch(`${clew.api}/api/v1/admin/flush`, { method: 'POST' });
  }
  stop = true;
  await sending;
  await clew.stop();
});

test('who does not read for ten seconds costs bounded memory and is told what it lost', { timeout: 120000 }, async () => {
  const clew = await startClew(['--memory-limit', '256MiB']);
  const [response] = await once(http.get(`${clew.api}/api/v1/logs/tail`), 'response'); // nobody reads it
  await has(() => metric(clew, 'clew_tail_followers'), (n) => n === 1);
  const anonymous = () => metric(clew, 'clew_process_anonymous_bytes');
  const begun = Date.now();
  const load = run(['load', '--signal', 'logs', '--for', '10s', '--rate', '100', '--otlp', clew.otlp, '--server', clew.api, '--json']);
  let most = 0;
  while (Date.now() < begun + 10000) { most = Math.max(most, await anonymous()); await new Promise((r) => setTimeout(r, 200)); }
  await load.exit;
  const sent = JSON.parse(load.out()).items;
  const lost = await metric(clew, 'clew_tail_lost_rows_total');
  assert.ok(lost > 0 && lost < sent, `${lost} of ${sent}`);
  let answer = '';
  response.setEncoding('latin1').on('data', (d) => { answer += d; });
  const rows = () => answer.split('event: log\n').length - 1;
  const told = () => [...answer.matchAll(/event: lost\ndata: \{"rows":(\d+)\}/g)].reduce((sum, m) => sum + Number(m[1]), 0);
  await has(() => rows() + told(), (n) => n === sent, 30);
  assert.equal(told(), lost);
  console.log(`# ${sent} records, ${lost} lost, at most ${Math.round(most / 1048576)} MiB anonymous`);
  assert.ok(most < 400 * 1048576, `${most}`);
  response.destroy();
  await has(() => metric(clew, 'clew_tail_followers'), (n) => n === 0);
  await clew.stop();
});

test('curl follows over HTTP/2, and its end frees the follower', { timeout: 60000 }, async () => {
  const clew = await startClew();
  const curl = spawn('curl', ['-sN', '--http2-prior-knowledge', `${clew.api}/api/v1/logs/tail?service=raw`], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  curl.stdout.on('data', (d) => { out += d; });
  await has(() => out, (t) => t.startsWith(': clew\n'));
  await send(clew, ['by two']);
  await has(() => out, (t) => t.includes('"body":"by two"'));
  curl.kill('SIGKILL');
  await has(() => metric(clew, 'clew_tail_followers'), (n) => n === 0);
  await clew.stop();
});

test('a revoked token ends its stream', { timeout: 60000 }, async () => {
  const clew = await startClew();
  const make = async (name, role) => {
    const p = run(['token', 'new', name, '--role', role, '--data', `${clew.dir}/data`, '--json']);
    await p.exit;
    return { Authorization: `Bearer ${JSON.parse(p.out()).token}` };
  };
  const reads = await make('reads', 'read'), other = await make('other', 'read'), sends = await make('sends', 'ingest');
  await has(() => fetch(`${clew.api}/api/v1/services`).then((a) => a.status), (s) => s === 401);
  const f = await follow(clew, '', reads), g = await follow(clew, '', other);
  await send(clew, ['seen'], 'raw', sends);
  await has(f.rows, (r) => r.length === 1);
  await run(['token', 'revoke', 'reads', '--data', `${clew.dir}/data`]).exit;
  await has(() => f.events.at(-1).type, (t) => t === 'end', 25);
  await send(clew, ['later'], 'raw', sends);
  await has(g.rows, (r) => r.length === 2);
  assert.equal(f.rows().length, 1);
  g.close();
  await clew.stop();
});

test('--follow prints the newest and then what comes, over restarts of the server, until it is interrupted', { timeout: 60000 }, async () => {
  const port = await new Promise((resolve) => { const s = net.createServer().listen(0, '127.0.0.1', () => { const { port: p } = s.address(); s.close(() => resolve(p)); }); });
  let clew = await startClew(['--listen', `127.0.0.1:${port}`]);
  await send(clew, ['one', 'two', 'three']);
  const lines = run(['query', 'logs', '--follow', '--limit', '2', '--server', clew.api]);
  const json = run(['query', 'logs', '--follow', '--limit', '2', '--service', 'raw', '--json', '--server', clew.api]);
  await has(() => [lines.out(), json.out()], (o) => o.every((t) => t.split('\n').length === 3));
  await send(clew, ['four']);
  await has(() => [lines.out(), json.out()], (o) => o.every((t) => t.split('\n').length === 4));
  await clew.stop({ keep: true });
  await has(() => lines.err(), (t) => /again in \d+ s/.test(t));
  clew = await startClew(['--listen', `127.0.0.1:${port}`], clew.dir);
  await send(clew, ['five']); /* maybe before they are back */
  await has(() => [lines.out(), json.out()], (o) => o.every((t) => t.split('\n').length >= 5));
  await send(clew, ['six']);
  await has(() => [lines.out(), json.out()], (o) => o.every((t) => t.includes('six')));
  const bodies = json.out().trim().split('\n').map((l) => JSON.parse(l).body);
  assert.deepEqual(bodies, ['two', 'three', 'four', 'five', 'six']);
  assert.match(lines.out(), /^\d{4}-\d\d-\d\d .* raw +two\n.* three\n.* four\n.* five\n.* six\n$/);
  assert.match(lines.err(), /the server ends the stream: .*clew is stopping.*\n(.*again in \d+ s\n)+clew: connected again\n/s);
  lines.child.kill('SIGINT');
  json.child.kill('SIGINT');
  assert.deepEqual((await lines.exit), [null, 'SIGINT']);
  await json.exit;
  await has(() => metric(clew, 'clew_tail_followers'), (n) => n === 0);
  const wrong = run(['query', 'logs', '--follow', '--severity', 'error', '--order', 'newest', '--server', clew.api]);
  assert.equal((await wrong.exit)[0], 2);
  assert.match(wrong.err(), /--follow does not go with --order/);
  await clew.stop();
});
