// A question of PromQL ends when its time is over or who asked has gone, and never keeps others waiting: CPU of the process tells.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { binary, startClew } from './clew.mjs';

const HZ = 100;
const cpuSeconds = (pid) => { const f = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' '); return (Number(f[11]) + Number(f[12])) / HZ; };
let clew;
before(async () => {
  clew = await startClew();
  execFileSync(binary, ['load', '--signal', 'metrics', '--instances', '100', '--count', '500000', '--otlp', clew.otlp], { stdio: 'ignore' });
});
after(() => clew.stop());

const now = () => Math.floor(Date.now() / 1000);
const long = { // each would take far longer than it may
  'samples of one series, again and again': { query: 'quantile_over_time(0.5, vector(1)[60d:1s])', start: 0, end: 100000, step: 10 },
  'deviations of one series': { query: 'stddev_over_time(vector(1)[24h:1s])', start: 0, end: 100000, step: 10 },
  'a slope of one series': { query: 'deriv(vector(time())[24h:1s])', start: 0, end: 100000, step: 10 },
  'an expression that explodes, on every label': { query: `count(label_replace({__name__=~"shop_.*"}, "x", "$1", "instance", "((a|s|h|o|p|-|[0-9a-z])+)+$"))`, start: now() - 3600, end: now(), step: 1 },
  'every pair of sub-steps': { query: 'max_over_time(sum(rate(shop_requests_total[5m]))[1h:1s])', start: now() - 3600, end: now(), step: 1 },
};

const ask = (form, agent) => {
  const body = new URLSearchParams(form).toString();
  return new Promise((resolve, reject) => {
    const request = http.request(`${clew.api}/prometheus/api/v1/query_range`, { agent, method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': Buffer.byteLength(body) } }, (answer) => {
      let text = '';
      answer.on('data', (d) => { text += d; });
      answer.on('end', () => resolve({ status: answer.statusCode, text }));
    });
    request.on('error', reject);
    request.end(body);
    ask.last = request;
  });
};

for (const [name, form] of Object.entries(long)) {
  test(`${name}: its time is over`, { timeout: 30000 }, async () => {
    const begin = Date.now();
    const { status, text } = await ask({ ...form, timeout: '1s' });
    assert.ok(Date.now() - begin < 4000, `took ${Date.now() - begin} ms: ${text.slice(0, 200)}`);
    if (status !== 200) assert.match(text, /"errorType":"(timeout|execution)"/);
  });

  test(`${name}: who asked has gone`, { timeout: 30000 }, async () => {
    const gone = ask({ ...form, timeout: '25s' }).catch(() => 'gone');
    await sleep(700);
    ask.last.destroy();
    await gone;
    await sleep(1500);
    const before = cpuSeconds(clew.pid);
    await sleep(2000);
    const used = cpuSeconds(clew.pid) - before;
    assert.ok(used < 0.5, `${used} s of CPU in 2 s after the client had gone`);
  });
}

test('while every worker has a long question, short ones and writes go on within its time', { timeout: 60000 }, async () => {
  const form = { ...long['samples of one series, again and again'], timeout: '3s' };
  const busy = Array.from({ length: 8 }, () => ask(form).catch(() => 'gone'));
  await sleep(200);
  const begin = Date.now();
  const short = await fetch(`${clew.api}/prometheus/api/v1/query?query=1%2B1`);
  assert.equal(short.status, 200);
  const write = await fetch(`${clew.api}/api/v1/import`, { method: 'POST', headers: { 'Content-Type': 'text/plain; version=0.0.4' }, body: 'ends_total 1\n' });
  assert.ok(write.ok, await write.text());
  assert.ok(Date.now() - begin < 14000, `${Date.now() - begin} ms`);
  await Promise.all(busy);
});

test('SIGTERM ends what runs', { timeout: 30000 }, async () => {
  const other = await startClew();
  const body = new URLSearchParams(long['samples of one series, again and again']).toString();
  const running = fetch(`${other.api}/prometheus/api/v1/query_range`, { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body }).catch(() => 'gone');
  await sleep(500);
  const begin = Date.now();
  assert.equal((await other.stop()).code, 0);
  assert.ok(Date.now() - begin < 10000, `${Date.now() - begin} ms`);
  await running;
});
