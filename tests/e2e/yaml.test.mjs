// Texts from outside that a reader of YAML or JSON could choke on: they hold nobody else, and an end is an end.
import test from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getJson, startClew, until } from './clew.mjs';
import { endLater, temporary } from './processes.mjs';
import { prometheusOf, query, startTarget } from './prometheus.mjs';

const TEXT = 'text/plain; version=0.0.4';
const SECONDS_MAX = 20; // of what took minutes, on a machine that does other things, too

async function startServer(handle) {
  const server = http.createServer(handle);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  endLater(() => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }));
  return `127.0.0.1:${server.address().port}`;
}
const folder = () => temporary('yaml');
const many = (n, line) => Array.from({ length: n }, (_, i) => line(i)).join('');
const within = (what, promise) => Promise.race([promise, new Promise((_, reject) => { setTimeout(() => reject(new Error(`${what}: no end in ${SECONDS_MAX} s`)), SECONDS_MAX * 1000).unref(); })]);
const post = (clew, text) => fetch(`${clew.api}/api/v1/rules/check`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ text }) });

test('files of rules that took minutes are checked while queries are answered, and SIGTERM ends it', { timeout: 120000 }, async () => {
  const clew = await startClew();
  const texts = [
    `groups: [{name: a, rules: []}${' '.repeat(300000)}]`, `groups: [{name: a, rules: []}${'\t'.repeat(300000)}]`, `groups: []${' '.repeat(300000)}`,
    many(40000, (i) => `k${i}: v\n`), many(60000, (i) => `- &k${i} v\n`), `a: &a {x: y}\nb:\n  <<: *a\n${many(20000, (i) => `  k${i}: v\n`)}`,
    `groups:\n- name: a\n  rules:\n  - {record: a, expr: up, labels: {${many(40000, (i) => `k${i}: v, `)}}}\n`, '['.repeat(300000), 'a: "' + 'x'.repeat(1000000),
  ];
  const checks = Promise.all(texts.flatMap((text) => [text, text, text]).map((text) => post(clew, text)));
  await within('a query', getJson(`${clew.api}/prometheus/api/v1/query?query=1`));
  await within('services', getJson(`${clew.api}/api/v1/services`));
  const statuses = (await within('the checks', checks)).map((answer) => answer.status);
  assert.deepEqual([...new Set(statuses)].sort(), [200], `${statuses}`);
  const last = texts.map((text) => post(clew, text).catch(() => undefined));
  const ended = await within('SIGTERM', clew.stop());
  assert.deepEqual(ended, { code: 0, signal: null });
  await Promise.all(last);
});

test('an answer of HTTP discovery that is a megabyte of blanks holds no other job', { timeout: 120000 }, async () => {
  const dir = folder(), file = join(dir, 'p.yml'), target = await startTarget(() => ({ type: TEXT, body: 'a 1\n' }));
  const group = JSON.stringify({ targets: [target.address] }), blanks = ' '.repeat(1 << 20);
  let answers = { '/blanks': [`[${group}${blanks}]`, 'Application/JSON; charset=UTF-8'], '/plain': [`[${group}]`, 'application/json'] };
  const directory = await startServer((request, response) => {
    const [body, type] = answers[request.url];
    response.writeHead(200, { 'Content-Type': type });
    response.end(body);
  });
  const job = (name) => `  - { job_name: ${name}, http_sd_configs: [{ url: 'http://${directory}/${name}', refresh_interval: 1s }] }\n`;
  writeFileSync(file, `global: { scrape_interval: 1s, scrape_timeout: 1s }\nscrape_configs:\n${job('blanks')}${job('plain')}`);
  const clew = await startClew(['--scrape-config', file]), ours = prometheusOf(clew);
  const jobs = async () => (await query(ours, 'up')).filter((r) => r.value[1] === '1').map((r) => r.metric.job).sort().join();
  await until(jobs, (got) => got === 'blanks,plain', SECONDS_MAX);

  // what is no JSON, or of another type, leaves the last list
  for (const [body, type] of [[`[]${blanks}x`, 'application/json'], ['', 'application/json'], ['\ufeff[]', 'application/json'], ['- targets: []', 'application/json'],
    ['[]', 'application/jsonx'], ['[]', 'application/json; charset=latin1'], ['[{"targets": [1]}]', 'application/json']]) {
    let asked = 0; // twice: the first answer has been taken by then
    answers = { ...answers, get '/blanks'() { asked++; return [body, type]; } };
    await until(async () => asked, (n) => n > 1, SECONDS_MAX);
    assert.equal((await getJson(`${ours.url ?? ours}/api/v1/targets`)).data.activeTargets.length, 2, `${body.slice(0, 20)} ${type}`);
  }
  answers = { ...answers, '/blanks': ['[]', 'application/json;charset="utf-8"'] };
  await until(async () => (await getJson(`${ours.url ?? ours}/api/v1/targets`)).data.activeTargets.length, (n) => n === 1, SECONDS_MAX);
  assert.match(clew.errors(), /HTTP discovery: the last good list stays/);
  assert.deepEqual(await within('SIGTERM', clew.stop()), { code: 0, signal: null });
});

test('an emptied file of targets leaves its last list', { timeout: 60000 }, async () => {
  const dir = folder(), file = join(dir, 'p.yml'), list = join(dir, 'a.json'), target = await startTarget(() => ({ type: TEXT, body: 'a 1\n' }));
  writeFileSync(file, `global: { scrape_interval: 1s, scrape_timeout: 1s }\nscrape_configs: [{ job_name: t, file_sd_configs: [{ files: ['${list}'] }] }]\n`);
  writeFileSync(list, JSON.stringify([{ targets: [target.address] }]));
  const clew = await startClew(['--scrape-config', file]), ours = prometheusOf(clew);
  const count = async () => (await getJson(`${ours.url ?? ours}/api/v1/targets`)).data.activeTargets.length;
  await until(count, (n) => n === 1);
  writeFileSync(list, '');
  await until(async () => clew.errors(), (text) => text.includes('file discovery: the last good list stays'));
  assert.equal(await count(), 1);
  writeFileSync(list, '[]\n');
  await until(count, (n) => n === 0);
  await clew.stop();
});
