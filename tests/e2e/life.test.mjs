// The life of a data folder: start, stop, crash, a second process, a newer format, a flipped bit, a full disk, backup, deletion.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary, startClew, getJson, until } from './clew.mjs';
import { log, logs, now, post, span, traces } from './otlp.mjs';
import { temporary } from './processes.mjs';

const run = (...args) => {
  const r = spawnSync(binary, args, { encoding: 'utf8', timeout: 120000 });
  return { code: r.status, out: r.stdout, err: r.stderr };
};
const folder = () => temporary('life');
const files = (dir) => readdirSync(dir, { withFileTypes: true }).flatMap((e) => e.isDirectory() ? files(join(dir, e.name)) : [join(dir, e.name)]);
const parts = (dir) => files(dir).filter((f) => f.endsWith('.part') && !f.includes('/rollups/'));
const flush = (clew) => fetch(`${clew.api}/api/v1/admin/flush`, { method: 'POST' });
const metric = async (clew, name) => {
  const text = await (await fetch(`${clew.api}/metrics`)).text();
  return text.split('\n').filter((l) => l.startsWith(name) && !l.startsWith('#')).reduce((sum, l) => sum + Number(l.split(' ').pop()), 0);
};
const sendSpans = async (clew, n, from = 1) => {
  const ids = Array.from({ length: n }, (_, i) => (from + i).toString(16).padStart(32, 'b'));
  const answer = await post(`${clew.otlp}/v1/traces`, traces(ids.map((trace, i) => span({ trace, name: `op ${i % 7}` }))));
  assert.equal(answer.status, 200);
  return ids;
};
const has = async (clew, id) => (await fetch(`${clew.api}/api/v1/traces/${id}`)).status === 200;

test('SIGTERM drains and leaves nothing to replay; what was acknowledged is there again', async () => {
  const dir = folder();
  let clew = await startClew([], dir);
  const ids = await sendSpans(clew, 100);
  assert.deepEqual(await clew.stop({ keep: true }), { code: 0, signal: null });
  assert.equal(files(join(dir, 'data')).filter((f) => /\.log$/.test(f)).length, 0, 'no log segment is left');
  clew = await startClew([], dir);
  assert.equal(await metric(clew, 'clew_store_replayed'), 0);
  for (const id of ids) assert.ok(await has(clew, id));
  await clew.stop();
});

test('after kill -9 every acknowledged row is there, and check is clean', async () => {
  const dir = folder();
  let clew = await startClew([], dir);
  const ids = await sendSpans(clew, 100);
  await flush(clew);
  ids.push(...await sendSpans(clew, 100, 1000));
  assert.deepEqual(await clew.stop({ signal: 'SIGKILL', keep: true }), { code: null, signal: 'SIGKILL' });
  assert.equal(run('check', '--data', join(dir, 'data')).code, 0);
  clew = await startClew([], dir);
  for (const id of ids) assert.ok(await has(clew, id));
  await clew.stop();
});

test('a second process on the folder is refused with a sentence', async () => {
  const clew = await startClew();
  const second = run('serve', '--data', join(clew.dir, 'data'), '--listen', '127.0.0.1:0', '--otlp-http', '127.0.0.1:0', '--otlp-grpc', '127.0.0.1:0');
  assert.equal(second.code, 5);
  assert.match(second.err, /process/);
  await clew.stop();
});

test('a flipped bit in a part is named, skipped and counted, and the answer says that it is partial', async () => {
  const dir = folder();
  let clew = await startClew([], dir);
  await sendSpans(clew, 5000);
  await clew.stop({ keep: true });
  const [part] = parts(dir), good = readFileSync(part);
  let partial = 0, refused = 0;
  for (const at of [300, Math.floor(good.length / 3), Math.floor(good.length / 2)]) {
    const bad = Buffer.from(good);
    bad[at] ^= 0x10;
    writeFileSync(part, bad);
    const check = run('check', '--data', join(dir, 'data'));
    assert.notEqual(check.code, 0, `check finds byte ${at}`);
    assert.match(check.out, /part/);
    clew = await startClew([], dir);
    const answer = await fetch(`${clew.api}/api/v1/traces?limit=1000&where=nothing+absent`);
    const body = await answer.json();
    if (body.partial) { partial++; assert.match(body.partial_reason, /part/); } else refused++;
    await clew.stop({ keep: true });
  }
  assert.ok(partial >= 1, `${partial} partial, ${refused} not`);
  writeFileSync(part, good);
  assert.equal(run('check', '--data', join(dir, 'data')).code, 0);
  const rollups = files(dir).filter((f) => f.includes('/rollups/'));
  assert.ok(rollups.length >= 1);
  for (const file of rollups) {
    const bad = readFileSync(file);
    bad[300] ^= 0x10;
    writeFileSync(file, bad);
    const check = run('check', '--data', join(dir, 'data'));
    assert.notEqual(check.code, 0);
    assert.match(check.out, /rollups/);
    bad[300] ^= 0x10;
    writeFileSync(file, bad);
  }
  rmSync(dir, { recursive: true });
});

test('deleting by trace and by range: gone from answers at once, from bytes when verified', async () => {
  const clew = await startClew();
  const ids = await sendSpans(clew, 50);
  const word = `unforgettable${Date.now()}`;
  await post(`${clew.otlp}/v1/logs`, logs([log({ body: `${word} one` }), log({ body: 'stays' })]));
  await flush(clew);
  let r = run('delete', '--server', clew.api, '--trace', ids[0], '--yes');
  assert.equal(r.code, 0, r.err);
  assert.ok(!await has(clew, ids[0]) && await has(clew, ids[1]));
  r = run('delete', '--server', clew.api, '--logs', '--start', 'now-1h', '--end', 'now+1h', '--verify', '--yes', '--json');
  assert.equal(r.code, 0, r.err);
  JSON.parse(r.out);
  assert.equal((await getJson(`${clew.api}/api/v1/logs/query`)).logs.length, 0);
  assert.ok(!files(join(clew.dir, 'data')).some((f) => readFileSync(f).includes(word)), 'no byte is left');
  assert.equal(run('delete', '--server', clew.api, '--yes').code, 2, 'without a condition nothing is deleted');
  assert.ok(await has(clew, ids[1]));
  await clew.stop();
});

test('a backup of a running clew is restored and has everything', async () => {
  const dir = folder();
  const clew = await startClew([], dir);
  const ids = await sendSpans(clew, 100);
  await flush(clew);
  ids.push(...await sendSpans(clew, 100, 1000));
  const backup = join(dir, 'backup');
  let r = run('backup', backup, '--server', clew.api);
  assert.equal(r.code, 0, r.err);
  await sendSpans(clew, 10, 5000);
  await clew.stop({ keep: true });
  mkdirSync(join(dir, 'again'));
  r = run('restore', backup, '--data', join(dir, 'again', 'data'));
  assert.equal(r.code, 0, r.err);
  const again = await startClew([], join(dir, 'again'));
  for (const id of ids) assert.ok(await has(again, id));
  await again.stop({ keep: true });
  assert.notEqual(run('restore', backup, '--data', join(dir, 'again', 'data')).code, 0, 'an existing folder is not overwritten');
  rmSync(dir, { recursive: true });
});

test('rows older than retention go', async () => {
  const dir = folder();
  let clew = await startClew(['--retention', '0'], dir);
  await post(`${clew.otlp}/v1/traces`, traces([span({ trace: 'c'.repeat(32), start: now() - 3n * 86400000000000n }), span({ trace: 'd'.repeat(32) })]));
  await clew.stop({ keep: true });
  assert.equal(parts(dir).length, 2);
  clew = await startClew(['--retention', '1d'], dir);
  assert.ok(!await has(clew, 'c'.repeat(32)) && await has(clew, 'd'.repeat(32)));
  await until(async () => parts(dir).length, (n) => n === 1, 30);
  await clew.stop();
});

test('a full disk: writes get 503 with the reason, reads go on, and it recovers by itself', async (t) => {
  const dir = folder();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=160m', 'tmpfs', dir]).status === 0;
  if (!mounted) { t.skip('mounting a small file system needs root'); rmSync(dir, { recursive: true }); return; }
  try {
    const clew = await startClew(['--disk-use-max', '100', '--disk-free-min', '0'], dir);
    const [id] = await sendSpans(clew, 10);
    writeFileSync(join(dir, 'filler'), Buffer.alloc(0));
    spawnSync('dd', ['if=/dev/zero', `of=${join(dir, 'filler')}`, 'bs=1M']);
    let refused = null;
    const noise = (n) => traces(Array.from({ length: 2000 }, (_, i) => span({ trace: (n * 2000 + i + 1).toString(16).padStart(32, 'e'), name: `op ${Math.random()}${'y'.repeat(400)}` })));
    for (let n = 0; n < 200 && !refused; n++) {
      const answer = await post(`${clew.otlp}/v1/traces`, noise(n));
      if (answer.status !== 200) refused = answer;
    }
    assert.equal(refused?.status, 503, refused?.text);
    assert.match(refused.text, /disk|space/i);
    assert.ok(refused.headers.get('retry-after'));
    assert.ok(await has(clew, id), 'reads go on');
    rmSync(join(dir, 'filler'));
    await until(() => post(`${clew.otlp}/v1/traces`, traces([span({ trace: 'f'.repeat(32) })])), (a) => a.status === 200, 20);
    assert.ok(await has(clew, 'f'.repeat(32)));
    assert.deepEqual(await clew.stop({ keep: true }), { code: 0, signal: null });
    assert.equal(run('check', '--data', join(dir, 'data')).code, 0);
  } finally {
    spawnSync('umount', [dir]);
    rmSync(dir, { recursive: true, force: true });
  }
});

test('dump prints every kind of file of the folder', async () => {
  const dir = folder();
  const clew = await startClew([], dir);
  await sendSpans(clew, 20);
  await flush(clew);
  await post(`${clew.otlp}/v1/logs`, logs([log()]));
  await clew.stop({ signal: 'SIGKILL', keep: true });
  for (const file of files(join(dir, 'data'))) {
    const r = run('dump', file);
    assert.equal(r.code, 0, `${file}: ${r.err}`);
    assert.ok(r.out.length > 20, file);
  }
  rmSync(dir, { recursive: true });
});
