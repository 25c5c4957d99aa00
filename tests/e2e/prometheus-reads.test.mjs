// Debian's Prometheus as a reader of clew: remote read, and federation.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startClew, until } from './clew.mjs';
import { spawn, temporary } from './processes.mjs';
import { freePort } from './prometheus.mjs';
import { ask, form, remoteWrite } from './promql.mjs';

let clew, prometheus;
const now = Math.floor(Date.now() / 1000);
before(async () => {
  clew = await startClew();
  const samples = (slope) => Array.from({ length: 241 }, (_, i) => [i * slope, (now - (240 - i) * 15) * 1000]);
  await remoteWrite(clew, ['/a', '/b', '/c'].map((route, i) => ({ labels: { __name__: 'hits_total', route, job: 'web' }, samples: samples(i + 1) })));
  await remoteWrite(clew, [{ labels: { __name__: 'heat', instance: 'one', room: 'a "quoted"\nü' }, samples: [[-0.5, now * 1000]] }]);
  const dir = temporary('reader'), port = await freePort(), target = clew.api.replace('http://', '');
  writeFileSync(join(dir, 'prometheus.yml'), `
global: { scrape_interval: 500ms, scrape_timeout: 500ms }
remote_read: [{ url: "${clew.api}/prometheus/api/v1/read", read_recent: true }]
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /prometheus/federate
    params: { 'match[]': ['{__name__=~"heat|hits_total"}'] }
    static_configs: [{ targets: ["${target}"] }]
    metric_relabel_configs: [{ source_labels: [__name__], regex: '(.+)', target_label: __name__, replacement: 'federated_$1' }]
`);
  const child = spawn('prometheus', ['--config.file', join(dir, 'prometheus.yml'), '--storage.tsdb.path', join(dir, 'data'), '--web.listen-address', `127.0.0.1:${port}`], { stdio: 'ignore' });
  prometheus = { url: `http://127.0.0.1:${port}`, async stop() { const gone = new Promise((r) => child.on('exit', r)); child.kill('SIGTERM'); await gone; rmSync(dir, { recursive: true, force: true }); } };
  await until(async () => (await fetch(`${prometheus.url}/-/ready`)).status, (s) => s === 200, 30);
});
after(async () => { await prometheus.stop(); await clew.stop(); });

const theirs = async (path, fields) => (await fetch(`${prometheus.url}/api/v1/${path}?${form(fields)}`)).json();

test('remote read: what Prometheus answers from clew is what clew answers', async () => {
  for (const query of ['hits_total', 'sum by (route) (increase(hits_total[10m]))', 'hits_total{route=~"/[ab]",job!="x"}', 'heat', 'count_over_time(hits_total{route!="/a"}[7m])']) {
    const time = now - 1, mine = (await ask(clew, `/api/v1/query?${form({ query, time: query === 'heat' ? now : time })}`)).body, other = await theirs('query', { query, time: query === 'heat' ? now : time });
    const rows = (x) => x.data.result.map((r) => JSON.stringify([Object.entries(r.metric).sort(), r.value])).sort();
    assert.equal(other.status, 'success', JSON.stringify(other));
    assert.ok(rows(mine).length > 0, query);
    assert.deepEqual(rows(other), rows(mine), query);
  }
  const range = { query: 'rate(hits_total[5m])', start: now - 1807, end: now - 7, step: 60 };
  const mine = (await ask(clew, `/api/v1/query_range?${form(range)}`)).body.data.result, other = (await theirs('query_range', range)).data.result;
  assert.equal(other.length, 3);
  for (const [i, r] of other.entries()) assert.deepEqual([r.metric, r.values.length], [mine[i].metric, mine[i].values.length]);
});

test('federation: samples, labels and times are taken as they are', async () => {
  const found = await until(() => theirs('query', { query: '{__name__=~"federated_.*"}' }), (a) => a.data?.result.length === 4);
  const of = (name) => found.data.result.filter((r) => r.metric.__name__ === name);
  assert.deepEqual(of('federated_heat')[0].metric, { __name__: 'federated_heat', instance: 'one', room: 'a "quoted"\nü', job: 'federate' });
  assert.equal(of('federated_heat')[0].value[1], '-0.5');
  assert.deepEqual(of('federated_hits_total').map((r) => r.value[1]).sort(), ['240', '480', '720']);
  assert.equal(of('federated_hits_total')[0].metric.instance, undefined); // instance="" of clew's text, by honor_labels
  const times = await theirs('query', { query: 'timestamp(federated_heat)' });
  assert.equal(Number(times.data.result[0].value[1]), now);
});

test('exposition types by Accept', async () => {
  const get = async (accept) => {
    const answer = await fetch(`${clew.api}/prometheus/federate?match[]=heat`, { headers: { Accept: accept } });
    return [answer.headers.get('content-type').split(';').slice(0, 2).join(';'), await answer.text()];
  };
  const [plain, text] = await get('*/*');
  assert.equal(plain, 'text/plain; version=0.0.4');
  assert.equal(text, `# TYPE heat untyped\nheat{instance="one",room="a \\"quoted\\"\\nü"} -0.5 ${now * 1000}\n`);
  const [open, openText] = await get('application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1');
  assert.equal(open, 'application/openmetrics-text; version=1.0.0');
  assert.equal(openText, `# TYPE heat unknown\nheat{instance="one",room="a \\"quoted\\"\\nü"} -0.5 ${now}\n# EOF\n`);
  assert.equal((await get('application/openmetrics-text;q=0.3,text/plain;q=0.5'))[0], 'text/plain; version=0.0.4');
});
