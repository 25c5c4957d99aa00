// clew scrapes what a prometheus.yml names: beside Debian's Prometheus (2.42) with the same file, and targets that come, go and misbehave.
import test from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import https from 'node:https';
import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, createGzip, gzipSync } from 'node:zlib';
import { binary, getJson, startClew, until } from './clew.mjs';
import { endLater, spawn, temporary } from './processes.mjs';
import { freePort, labelsText, prometheusOf, query, startTarget } from './prometheus.mjs';

const TEXT = 'text/plain; version=0.0.4';

async function startNode(port) {
  const node = spawn('prometheus-node-exporter', ['--web.listen-address', `127.0.0.1:${port}`], { stdio: 'ignore' });
  await until(async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).status, (s) => s === 200, 30);
  return node;
}

/** Debian's Prometheus on a file as it is. */
async function startPrometheusOn(file, dir, port, around = []) {
  const [command, ...rest] = [...around, 'prometheus','--config.file', file, '--storage.tsdb.path', join(dir, 'prometheus'), '--web.listen-address', `127.0.0.1:${port}`];
  const child = spawn(command, rest, { stdio: 'ignore' });
  await until(async () => (await fetch(`http://127.0.0.1:${port}/-/ready`)).status, (s) => s === 200, 30);
  return { url: `http://127.0.0.1:${port}`, child };
}

/** A server that does with each request what `handle` says. */
async function startServer(handle) {
  const server = http.createServer(handle);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  endLater(() => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }));
  return `127.0.0.1:${server.address().port}`;
}

const folder = () => temporary('scrape');
const targetsOf = async (url) => (await getJson(`${url}/api/v1/targets`)).data;
const seriesOf = async (url) => new Map((await query(url, '{job=~".+"}')).map((r) => [labelsText(r.metric), Number(r.value[1])]));

/** `le` and `quantile` are normalised at the scrape since 3.0. */
const asNow = (text) => labelsText(Object.fromEntries(JSON.parse(text).map(([k, v]) => [k, (k === 'le' || k === 'quantile') && /^-?\d+$/.test(v) ? `${v}.0` : v])));

test('one prometheus.yml gives the same series on Prometheus and on clew', { timeout: 120000 }, async () => {
  const dir = folder(), nodePort = await freePort(), port = await freePort(), file = join(dir, 'prometheus.yml');
  await startNode(nodePort);
  const push = await startTarget(() => ({ type: TEXT, body: 'pushed{job="batch",instance=""} 7\nplain{host="a"} 1\nold 3 1000\n' }));
  const kinds = await startTarget(() => ({ type: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
    body: '# TYPE paid counter\n# HELP paid Of a test.\npaid_total{how="card"} 5\n# TYPE wait_seconds histogram\nwait_seconds_bucket{le="0.5"} 1\nwait_seconds_bucket{le="1"} 2\nwait_seconds_bucket{le="+Inf"} 3\nwait_seconds_sum 4\nwait_seconds_count 3\n# EOF\n' }));
  writeFileSync(join(dir, 'targets.json'), JSON.stringify([{ targets: [kinds.address], labels: { shard: 'one', __meta_zone: 'z' } }]));
  writeFileSync(file, `
global: { scrape_interval: 1s, scrape_timeout: 1s, external_labels: { not: stored } }
rule_files: []
scrape_configs:
  - job_name: node
    static_configs: [{ targets: ['127.0.0.1:${nodePort}'], labels: { env: prod } }]
    metric_relabel_configs:
      - { source_labels: [__name__], regex: 'node_scrape_.*|go_.*', action: drop }
      - { source_labels: [__name__, mode], regex: 'node_cpu_seconds_total;(.*)', target_label: kind, replacement: 'cpu-$1' }
      - { regex: 'device', action: labeldrop }
  - job_name: push
    honor_labels: true
    static_configs: [{ targets: ['${push.address}'] }]
  - job_name: shadow
    static_configs: [{ targets: ['${push.address}'], labels: { host: target } }]
    metrics_path: /other
    params: { a: ['x y', 'z'], module: [one] }
  - job_name: kinds
    file_sd_configs: [{ files: ['targets.json'] }]
    relabel_configs:
      - { action: labelmap, regex: '__meta_(zone)' }
      - { source_labels: [__meta_filepath], regex: '.*/(.*)', target_label: file }
      - { source_labels: [__address__], modulus: 8, action: hashmod, target_label: hash }
      - { source_labels: [shard, zone], separator: '-', target_label: instance }
  - job_name: dead
    static_configs: [{ targets: ['127.0.0.1:1'] }]
  - job_name: dropped
    static_configs: [{ targets: ['127.0.0.1:1', '127.0.0.1:2'] }]
    relabel_configs: [{ source_labels: [__address__], regex: '.*:1', action: drop }]
`);
  execFileSync('promtool', ['check', 'config', file]);
  execFileSync(binary, ['scrape', 'check', file]);
  const prometheus = await startPrometheusOn(file, dir, port), clew = await startClew(['--scrape-config', file]), ours = prometheusOf(clew);
  const up = async (url) => (await query(url, 'count by (job) (scrape_samples_scraped)')).length;
  await until(() => up(prometheus.url), (n) => n === 6);
  await until(() => up(ours), (n) => n === 6);
  await new Promise((r) => setTimeout(r, 3000)); // a few scrapes of each

  const theirs = new Map([...await seriesOf(prometheus.url)].map(([k, v]) => [asNow(k), v])), mine = await seriesOf(ours);
  assert.deepEqual([...mine.keys()].filter((k) => !theirs.has(k)), [], 'only of clew');
  assert.deepEqual([...theirs.keys()].filter((k) => !mine.has(k)), [], 'only of Prometheus');
  assert.ok(mine.size > 300, `${mine.size} series`);
  const far = [];
  for (const [k, v] of mine) {
    const w = theirs.get(k), wanders = /"node_|"process_|"go_|"scrape_duration|"promhttp_/.test(k);
    if (wanders ? Math.abs(v - w) > 0.5 * Math.max(Math.abs(v), Math.abs(w)) + 1e3 : v !== w && !(Number.isNaN(v) && Number.isNaN(w))) far.push([k, v, w]);
  }
  assert.ok(far.length <= mine.size / 50, `values: ${JSON.stringify(far.slice(0, 5))} of ${far.length}`);
  assert.deepEqual(far.filter(([k]) => !/"node_|"process_|"go_/.test(k)), []);

  const [a, b] = [await targetsOf(prometheus.url), await targetsOf(ours)];
  const shape = (t) => t.activeTargets.map((x) => JSON.stringify([x.scrapePool, x.scrapeUrl, x.health, x.labels, x.scrapeInterval, x.scrapeTimeout, x.discoveredLabels])).sort();
  assert.deepEqual(shape(b), shape(a));
  assert.deepEqual(b.droppedTargets.map((t) => t.discoveredLabels), a.droppedTargets.map((t) => t.discoveredLabels));
  assert.deepEqual((await getJson(`${ours}/api/v1/scrape_pools`)).data.scrapePools.sort(), ['dead', 'dropped', 'kinds', 'node', 'push', 'shadow']);
  const said = async (url) => (await getJson(`${url}/api/v1/targets/metadata?${new URLSearchParams({ match_target: '{job="kinds"}' })}`)).data.map((m) => [m.metric, m.type, m.help, m.unit]).sort();
  const of3 = (list) => list.filter(([name]) => !name.startsWith('scrape_') && name !== 'up');
  assert.deepEqual(of3(await said(ours)), of3(await said(prometheus.url)).map(([n, t, h, u]) => [n, t, h, u]));
  await clew.stop();
});

test('compressed bodies are whole or fail, and long labels are matched, as on Prometheus', { timeout: 120000 }, async () => {
  const dir = folder(), file = join(dir, 'p.yml'), whole = gzipSync('a 1\n'), flushed = await new Promise((resolve) => {
    const stream = createGzip(), parts = [];
    stream.on('data', (d) => parts.push(d));
    stream.write('a 1\n');
    stream.flush(constants.Z_SYNC_FLUSH, () => resolve(Buffer.concat(parts)));
  });
  const long = 'a'.repeat(5000);
  const bodies = {
    whole: ['gzip', whole], members: ['gzip', Buffer.concat([whole, gzipSync('b 2\n')])], flushed: ['gzip', flushed], cut: ['gzip', whole.subarray(0, -8)],
    empty: ['gzip', Buffer.alloc(0)], junk: ['gzip', Buffer.concat([whole, Buffer.from('x')])], br: ['br', Buffer.from('abc')], other: ['br', Buffer.from('a 1\n')], identity: ['identity', Buffer.from('a 1\n')],
    long: ['identity', Buffer.from(`rx{l="${long}b"} 1\nrx{l="${long}c"} 2\n`)],
  };
  const target = await startServer((request, response) => {
    const [encoding, body] = bodies[request.url.slice(1)];
    response.writeHead(200, { 'Content-Type': TEXT, 'Content-Encoding': encoding, 'Content-Length': body.length });
    response.end(body);
  });
  writeFileSync(file, `
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
${Object.keys(bodies).map((name) => `  - { job_name: ${name}, metrics_path: /${name}, static_configs: [{ targets: ['${target}'] }]${name === 'long' ? ", metric_relabel_configs: [{ source_labels: [l], regex: '(a|aa)+b', target_label: z, replacement: hit }, { source_labels: [l], regex: '(a|aa)+c', action: drop }]" : ''} }`).join('\n')}
`);
  const prometheus = await startPrometheusOn(file, dir, await freePort()), clew = await startClew(['--scrape-config', file]), ours = prometheusOf(clew);
  const up = async (url) => Object.fromEntries((await query(url, 'up')).map((r) => [r.metric.job, r.value[1]]));
  const n = Object.keys(bodies).length, theirs = await until(() => up(prometheus.url), (got) => Object.keys(got).length === n);
  assert.deepEqual(await until(() => up(ours), (got) => Object.keys(got).length === n), theirs);
  assert.deepEqual(theirs, { whole: '1', members: '1', flushed: '0', cut: '0', empty: '0', junk: '0', br: '0', other: '1', identity: '1', long: '1' });
  const rows = async (url) => (await query(url, '{__name__=~"a|b|rx"}')).map((r) => [labelsText(r.metric), r.value[1]]).sort();
  assert.deepEqual(await rows(ours), await rows(prometheus.url));
  const replaced = async (url) => (await query(url, 'label_replace(rx, "y", "hit", "l", "(a|aa)+b")')).map((r) => r.metric.y);
  assert.deepEqual(await replaced(ours), ['hit']);
  const asked = await fetch(`${ours}/api/v1/query?${new URLSearchParams({ query: 'label_replace(rx, "y", "hit", "l", "(a{0,90}){0,90}[cd]")' })}`);
  assert.equal(asked.status, 422); // over every limit: not "no match"
  assert.match((await asked.json()).error, /label_replace\(\): the expression takes too long/);
  const preflight = await fetch(`${ours}/api/v1/query`, { method: 'OPTIONS' });
  assert.equal(preflight.status, 204);
  assert.equal((await fetch(`${prometheus.url}/api/v1/query`, { method: 'OPTIONS' })).status, 204);
  await clew.stop();
});

test('targets come by files, die, and come back', { timeout: 120000 }, async () => {
  const dir = folder(), file = join(dir, 'p.yml'), list = join(dir, 'list.json');
  let body = 'a{x="1"} 1\n';
  const first = await startTarget(() => ({ type: TEXT, body })), second = await startTarget(() => ({ type: TEXT, body: 'b 2\n' }));
  writeFileSync(list, JSON.stringify([{ targets: [first.address], labels: { instance: 'first' } }]));
  writeFileSync(file, `
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: t
    file_sd_configs: [{ files: ['list.json'] }]
`);
  const clew = await startClew(['--scrape-config', file]), ours = prometheusOf(clew);
  const now = async () => Object.fromEntries((await query(ours, '{__name__=~"a|b|up"}')).map((r) => [`${r.metric.__name__} ${r.metric.instance}`, r.value[1]]));
  const becomes = (want) => until(now, (got) => JSON.stringify(Object.entries(got).sort()) === JSON.stringify(Object.entries(want).sort()));
  await becomes({ 'a first': '1', 'up first': '1' });

  writeFileSync(list, JSON.stringify([{ targets: [first.address], labels: { instance: 'first' } }, { targets: [second.address], labels: { instance: 'second' } }]));
  await becomes({ 'a first': '1', 'up first': '1', 'b second': '2', 'up second': '1' });
  writeFileSync(list, '[{"targets": ["'); // half written: nothing changes
  await new Promise((r) => setTimeout(r, 2500));
  assert.deepEqual(await now(), { 'a first': '1', 'up first': '1', 'b second': '2', 'up second': '1' });

  body = 'a{x="1"} 1\nnonsense'; // the scrape fails: up 0, and its series have ended
  await becomes({ 'up first': '0', 'b second': '2', 'up second': '1' });
  const failed = (await targetsOf(ours)).activeTargets.find((t) => t.labels.instance === 'first');
  assert.equal(failed.health, 'down');
  assert.match(failed.lastError, /line 2/);
  body = 'a{x="1"} 3\n';
  await becomes({ 'a first': '3', 'up first': '1', 'b second': '2', 'up second': '1' });
  await second.stop(); // it dies
  await becomes({ 'a first': '3', 'up first': '1', 'up second': '0' });
  writeFileSync(`${list}.new`, JSON.stringify([{ targets: [first.address], labels: { instance: 'first' } }]));
  renameSync(`${list}.new`, list); // it is taken out: nothing of it is left
  await becomes({ 'a first': '3', 'up first': '1' });

  const told = async () => (await getJson(`${ours}/api/v1/notifications`)).data.map((n) => n.text);
  assert.deepEqual(await told(), []);
  writeFileSync(file, `${readFileSync(file)}  - { job_name: bad, colour: red }\n`); // a job with a fault is left out, and named
  const [part] = await until(told, (list) => list.length === 1);
  assert.match(part, /^Configuration is taken without what is wrong in it: .*p\.yml:6: field colour not found/);
  writeFileSync(file, `${readFileSync(file)}  - { job_name: none, static_configs: [{ targets: ['127.0.0.1:1'] }], relabel_configs: [{ target_label: __scheme__, replacement: ftp }] }\n`);
  const [, none] = await until(told, (list) => list.length === 2); // a target that cannot be made
  assert.equal(none, 'Job none names 1 target that cannot be scraped, first "127.0.0.1:1": unsupported scheme: "ftp"');
  writeFileSync(file, 'global: ['); // a file that got bad
  await until(async () => (await (await fetch(`${clew.api}/metrics`)).text()), (t) => /^clew_scrape_config_last_reload_successful 0$/m.test(t));
  assert.equal((await getJson(`${ours}/api/v1/status/runtimeinfo`)).data.reloadConfigSuccess, false);
  assert.match((await getJson(`${ours}/api/v1/notifications`)).data[0].text, /^Configuration reload has failed: .*p\.yml:\d+: /);
  assert.deepEqual(await now(), { 'a first': '3', 'up first': '1' });
  const began = Date.now();
  await clew.stop();
  assert.ok(Date.now() - began < 2000, `${Date.now() - began} ms to stop`);
});

test('hostile targets hold nobody else, and no memory', { timeout: 120000 }, async () => {
  const dir = folder(), file = join(dir, 'p.yml'), much = Buffer.alloc(1 << 20, 'x');
  const flood = (response) => { const more = () => { while (!response.destroyed && response.write(much)); }; response.on('drain', more); more(); };
  const hostile = await startServer((request, response) => {
    const head = (fields = {}) => response.writeHead(200, { 'Content-Type': TEXT, ...fields });
    const manners = {
      '/hang': () => {},
      '/half': () => { head(); response.write('a 1\n'); },
      '/flood': () => { head(); flood(response); },
      '/gigabyte': () => { head({ 'Content-Length': 2 ** 30 }); flood(response); },
      '/lie': () => { head({ 'Content-Length': 100 }); response.write('a 1\n'); setTimeout(() => response.destroy(), 50); },
      '/cut': () => { response.socket.end(`HTTP/1.1 200 OK\r\nContent-Type: ${TEXT}\r\nContent-Le`); },
      '/circle': () => { response.writeHead(302, { Location: '/circle' }); response.end(); },
      '/page': () => { response.writeHead(200, { 'Content-Type': 'text/html' }); response.end('<html>'); },
      '/many': () => { head(); for (let i = 0; i < 20000; i++) response.write(`many{i="${i}"} 1\n`); response.end(); },
    };
    manners[request.url]();
  });
  const good = await startTarget(() => ({ type: TEXT, body: 'good 1\n' }));
  const paths = ['hang', 'half', 'flood', 'gigabyte', 'lie', 'cut', 'circle', 'page', 'many'];
  writeFileSync(file, `
global: { scrape_interval: 1s, scrape_timeout: 1s, body_size_limit: 8MB, sample_limit: 1000 }
scrape_configs:
${paths.map((p) => `  - { job_name: ${p}, metrics_path: /${p}, static_configs: [{ targets: ['${hostile}'] }] }`).join('\n')}
  - { job_name: good, static_configs: [{ targets: ['${good.address}'] }] }
`);
  const clew = await startClew(['--scrape-config', file, '--memory-limit', '256MiB']), ours = prometheusOf(clew);
  await new Promise((r) => setTimeout(r, 6000));
  const up = Object.fromEntries((await query(ours, 'up')).map((r) => [r.metric.job, r.value[1]]));
  assert.deepEqual(up, { ...Object.fromEntries(paths.map((p) => [p, '0'])), good: '1' });
  assert.ok(Number((await query(ours, 'count_over_time(good[5s])'))[0].value[1]) >= 4);
  assert.deepEqual(await query(ours, '{__name__=~"a|many"}'), []);
  const resident = Number((await (await fetch(`${clew.api}/metrics`)).text()).match(/^clew_process_resident_memory_bytes (\d+)|^process_resident_memory_bytes (\d+)/m)?.slice(1).find(Boolean));
  assert.ok(resident < 400e6, `${resident} bytes`);
  const errors = Object.fromEntries((await targetsOf(ours)).activeTargets.map((t) => [t.scrapePool, t.lastError]));
  assert.match(errors.hang, /not done after 1000 ms/);
  assert.match(errors.flood, /over 8388608 bytes|not done/);
  assert.match(errors.cut, /the answer ends in its head/);
  assert.match(errors.many, /sample limit exceeded/);
  assert.match(errors.page, /unsupported Content-Type/);
  await clew.stop();
});

test('targets by HTTP and DNS; TLS, names, secrets, a proxy, redirects', { timeout: 120000 }, async () => {
  const dir = folder(), file = join(dir, 'p.yml'), key = join(dir, 'key.pem'), certificate = join(dir, 'certificate.pem'), asked = [];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', certificate,
    '-subj', '/CN=target', '-addext', 'subjectAltName=DNS:target.example', '-days', '2'], { stdio: 'ignore' });
  const handle = (who) => (request, response) => {
    asked.push({ who, url: request.url, host: request.headers.host, authorization: request.headers.authorization });
    response.writeHead(200, { 'Content-Type': TEXT });
    response.end(`said{by="${who}"} 1\n`);
  };
  const plain = await startServer(handle('plain')), secure = https.createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, handle('secure'));
  await new Promise((resolve) => secure.listen(0, '127.0.0.1', resolve));
  endLater(() => new Promise((resolve) => { secure.closeAllConnections(); secure.close(resolve); }));
  const tls = `127.0.0.1:${secure.address().port}`, proxy = await startServer(handle('proxy')), other = plain.replace('127.0.0.1', 'localhost');
  const away = await startServer((request, response) => { response.writeHead(302, { Location: `http://${other}/away` }); response.end(); });
  let list = [{ targets: [plain], labels: { from: 'http' } }];
  const directory = await startServer((request, response) => {
    const good = request.headers.authorization === 'Basic dTpw';
    response.writeHead(good ? 200 : 401, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(list));
  });
  writeFileSync(join(dir, 'token'), 'secret\n');
  writeFileSync(file, `
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: http
    http_sd_configs: [{ url: 'http://${directory}/list', refresh_interval: 1s, basic_auth: { username: u, password: p } }]
    relabel_configs: [{ source_labels: [__meta_url], regex: '.*(/list)', target_label: list }]
  - job_name: dns
    dns_sd_configs: [{ names: [localhost], type: A, port: ${plain.split(':')[1]} }]
    relabel_configs: [{ source_labels: [__meta_dns_name], target_label: name }]
  - job_name: named
    scheme: https
    tls_config: { ca_file: certificate.pem, server_name: target.example }
    authorization: { credentials_file: token }
    static_configs: [{ targets: ['${tls}'] }]
  - job_name: wrong-name
    scheme: https
    tls_config: { ca_file: certificate.pem }
    static_configs: [{ targets: ['${tls}'] }]
  - job_name: unknown
    scheme: https
    static_configs: [{ targets: ['${tls}'] }]
  - job_name: believed
    scheme: https
    tls_config: { insecure_skip_verify: true }
    static_configs: [{ targets: ['${tls}'] }]
  - job_name: proxied
    proxy_url: http://${proxy}
    static_configs: [{ targets: ['far.example:8080'] }]
  - job_name: away
    authorization: { credentials: only-for-me }
    static_configs: [{ targets: ['${away}'] }]
`);
  const clew = await startClew(['--scrape-config', file]), ours = prometheusOf(clew);
  const up = async () => Object.fromEntries((await query(ours, 'up')).map((r) => [r.metric.job, r.value[1]]));
  await until(up, (got) => Object.keys(got).length === 8);
  assert.deepEqual(await up(), { http: '1', dns: '1', named: '1', 'wrong-name': '0', unknown: '0', believed: '1', proxied: '1', away: '1' });
  const labels = Object.fromEntries((await query(ours, 'up')).map((r) => [r.metric.job, r.metric]));
  assert.equal(labels.http.from, 'http');
  assert.equal(labels.http.list, '/list');
  assert.equal(labels.dns.name, 'localhost');
  assert.equal(labels.named.instance, tls);
  const of = (who, test = () => true) => asked.find((a) => a.who === who && test(a));
  assert.equal(of('secure', (a) => a.authorization)?.authorization, 'Bearer secret');
  assert.equal(of('secure', (a) => a.authorization)?.host, tls);
  assert.equal(of('proxy').url, 'http://far.example:8080/metrics');
  assert.equal(of('plain', (a) => a.url === '/away').authorization, undefined, 'a secret went to another host');
  const why = Object.fromEntries((await targetsOf(ours)).activeTargets.map((t) => [t.scrapePool, t.lastError]));
  assert.match(why['wrong-name'], /certificate|target.example|subject/i);
  list = []; // the directory names none any more
  await until(up, (got) => !('http' in got));
  await clew.stop();
});

/** dnsmasq on an address of the loopback, and a command that lets another see it as the system's DNS; null: this machine does not let us. */
function nameServer(dir, address) {
  const file = join(dir, 'resolv.conf'), around = ['unshare', '-m', 'sh', '-c', 'mount --bind "$0" /etc/resolv.conf && exec "$@"', file];
  writeFileSync(file, `nameserver ${address}\noptions timeout:1 attempts:1\n`);
  try { execFileSync(around[0], [...around.slice(1), 'true'], { stdio: 'ignore' }); } catch { return null; }
  let child = null, gone = null;
  return {
    around,
    async start(records) {
      child = spawn('dnsmasq', ['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--bind-interfaces', '--user=root', '--pid-file=',
        `--listen-address=${address}`, '--local=/test/', '--host-record=one.shop.test,127.0.0.1', ...records], { stdio: 'ignore' });
      gone = new Promise((resolve) => child.on('exit', resolve));
      await until(async () => execFileSync(around[0], [...around.slice(1), 'getent', 'ahostsv4', 'one.shop.test'], { encoding: 'utf8' }), (text) => text.includes('127.0.0.1'));
    },
    async stop() { child.kill(); await gone; },
  };
}

test('records of DNS give the targets that they give Prometheus', { timeout: 120000 }, async (t) => {
  const dir = folder(), file = join(dir, 'p.yml'), dns = nameServer(dir, '127.94.0.1');
  if (!dns) return t.skip('a mount of its own is not allowed here');
  const target = await startTarget(() => ({ type: TEXT, body: 'a 1\n' })), port = target.address.split(':')[1];
  const records = [`--srv-host=_web._tcp.shop.test,one.shop.test,${port},0,0`, '--srv-host=_web._tcp.shop.test,other.shop.test,81,1,0', '--mx-host=shop.test,one.shop.test,10',
    `--dns-rr=shop.test,2,${Buffer.from('\x03one\x04shop\x04test\0', 'latin1').toString('hex')}`];
  await dns.start(records);
  const job = (name, more) => `  - { job_name: ${name}, dns_sd_configs: [{ refresh_interval: 1s, ${more} }] }\n`;
  const text = `global: { scrape_interval: 1s, scrape_timeout: 1s }\nscrape_configs:\n${job('srv', 'names: [_web._tcp.shop.test]')}${job('mx', `names: [shop.test], type: MX, port: ${port}`)}`
    + `${job('a', `names: [one.shop.test], type: A, port: ${port}`)}${job('none', `names: [none.shop.test, _none._tcp.shop.test], type: SRV`)}`;
  writeFileSync(file, text);
  writeFileSync(join(dir, 'ours.yml'), text + job('ns', `names: [shop.test], type: NS, port: ${port}`)); // not in 2.42 yet
  const prometheus = await startPrometheusOn(file, dir, await freePort(), dns.around), clew = await startClew(['--scrape-config', join(dir, 'ours.yml')], dir, dns.around), ours = prometheusOf(clew);
  const found = async (url) => (await targetsOf(url)).activeTargets.map((x) => labelsText(x.discoveredLabels)).filter((x) => !x.includes('"job","ns"')).sort();
  const theirs = await until(() => found(prometheus.url), (list) => list.length === 4);
  assert.deepEqual(await until(() => found(ours), (list) => list.length === 4), theirs);
  assert.equal(theirs.filter((text) => text.includes('"__meta_dns_srv_record_target","other.shop.test."')).length, 1);
  const up = async () => Object.fromEntries((await query(ours, 'up')).map((r) => [`${r.metric.job} ${r.metric.instance.split(':')[0]}`, r.value[1]]));
  await until(up, (got) => got['srv one.shop.test'] === '1' && got['mx one.shop.test'] === '1' && got['ns one.shop.test'] === '1' && got['a 127.0.0.1'] === '1' && got['srv other.shop.test'] === '0');
  await dns.stop(); // nobody answers: what was there stays
  const refreshed = () => clew.errors().includes('the last good list stays');
  await until(async () => refreshed(), (yes) => yes, 30);
  assert.deepEqual(await found(ours), theirs);
  await dns.start(records.slice(2)); // the services are gone
  for (const url of [prometheus.url, ours]) await until(() => found(url), (list) => list.length === 2, 30);
  await dns.stop();
  await clew.stop();
});

test('rules of redaction hold for what is scraped', { timeout: 60000 }, async () => {
  const dir = folder(), file = join(dir, 'p.yml'), rules = join(dir, 'rules.yml');
  const target = await startTarget(() => ({ type: TEXT, body: 'paid{card="4111111111111111",shop="a"} 1\n' }));
  writeFileSync(rules, 'redact: [{ do: mask, key: card, in: [point] }]\n');
  writeFileSync(file, `global: { scrape_interval: 1s, scrape_timeout: 1s }\nscrape_configs: [{ job_name: t, static_configs: [{ targets: ['${target.address}'], labels: { instance: i } }] }]\n`);
  const clew = await startClew(['--scrape-config', file, '--redact', rules]);
  const [paid] = await until(() => query(prometheusOf(clew), 'paid'), (list) => list.length > 0);
  assert.deepEqual(paid.metric, { __name__: 'paid', card: '[redacted]', shop: 'a', job: 't', instance: 'i' });
  await clew.stop();
});

test('targets are shown to their tenant alone', { timeout: 60000 }, async () => {
  const dir = folder(), file = join(dir, 'p.yml'), target = await startTarget(() => ({ type: TEXT, body: 'a 1\n' }));
  const token = (tenant) => execFileSync(binary, ['token', 'new', tenant, '--role', 'read', '--tenant', tenant, '--data', join(dir, 'data')], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  writeFileSync(file, `global: { scrape_interval: 1s, scrape_timeout: 1s }\nscrape_configs: [{ job_name: t, static_configs: [{ targets: ['${target.address}'] }] }]\n`);
  const tokens = { default: token('default'), shop: token('shop') }, clew = await startClew(['--scrape-config', file], dir);
  const ask = async (tenant, path) => (await (await fetch(`${prometheusOf(clew)}/api/v1/${path}`, { headers: { Authorization: `Bearer ${tokens[tenant]}` } })).json()).data;
  await until(() => ask('default', 'targets'), (d) => d.activeTargets.length === 1);
  assert.deepEqual((await ask('default', 'scrape_pools')).scrapePools, ['t']);
  assert.deepEqual((await ask('shop', 'targets')).activeTargets, []);
  assert.deepEqual((await ask('shop', 'scrape_pools')).scrapePools, []);
  await clew.stop({ keep: true });
});

test('scrape check says what promtool says', () => {
  const dir = folder(), job = (text) => `scrape_configs:\n  - job_name: a\n${text.split('\n').map((l) => `    ${l}`).join('\n')}\n`;
  const files = [
    '', 'global: {scrape_interval: 10s}\n', job('static_configs: [{targets: [a:1], labels: {b: c}}]'),
    job('basic_auth: {username: u, password_file: f}'), job('file_sd_configs: [{files: [a.json, b*.yml]}]'), job('scrape_interval: 1m30s'),
    job('dns_sd_configs: [{names: [a], type: A, port: 80}]'), job('relabel_configs: [{action: labelmap, regex: __meta_(.+)}]'), job('params: {a: [b, c]}'),
    job('relabel_configs: [{source_labels: [a], regex: "(?i:x)|\\\\d+", action: keep}]'), job('body_size_limit: 10MB'), job('authorization: {type: Token, credentials: x}'),
    job('honor_labels: yes\nhonor_timestamps: Off'), job('relabel_configs: []'), job('static_configs: []'), job('params: {a: []}'), job('metric_relabel_configs: [{regex: a, action: LabelDrop}]'),
    job('static_configs: [{targets: []}]'), job('tls_config: {insecure_skip_verify: true}'), job('static_configs: [{targets: ["a:1"], labels: {b: 1}}]'), job('scheme: https'), job('sample_limit: 5'),
    job('sample_limit: 0x10'), job('sample_limit: 1.0'), job('sample_limit: 1_000'), job('sample_limit: 017'), job('sample_limit: 1e3'), job('body_size_limit: 1.5MB'), job('body_size_limit: 1GB512MB'), job('body_size_limit: 1KiB'),
    job('relabel_configs: [{source_labels: [a], target_label: "${1}x", replacement: ""}]'),
    // wrong ones
    'scrape_configs:\n-\n', job('static_configs:\n-'), job('relabel_configs:\n-'), job('metric_relabel_configs:\n-'), job('relabel_configs: [{action: "", target_label: x}]'),
    job('relabel_configs: [{action: labelkeep, regex: a, modulus: 8}]'), job('relabel_configs: [{action: labeldrop, regex: a, replacement: b}]'), job('params: x'), job('honor_labels: "yes"'),
    job('relabel_configs: [{action: dropequal, source_labels: [a]}]'), job('relabel_configs: [{action: labelmap, regex: a, replacement: ""}]'), job('sample_limit: -1'), job('sample_limit: x'), job('sample_limit: "5"'), job('sample_limit: 1e30'), job('body_size_limit: 1mB'), job('body_size_limit: 1.5.5MB'),
    job('file_sd_configs: [{files: ["a*/b.json"]}]'), job('file_sd_configs: [{files: ["a.json"], refresh_interval: x}]'), job('http_sd_configs: [{url: "http://"}]'), job('http_sd_configs: [{url: a}]'),
    job('dns_sd_configs: [{names: [a], type: X}]'), job('relabel_configs: [{source_labels: a, target_label: b}]'), job('static_configs: {targets: [a]}'), job('static_configs: [{targets: a}]'),
    job('tls_config: {cert_file: f}'), job('basic_auth: {user: u}'), job('metrics_path: [a]'), 'global: {external_labels: {a: b}, nothing: 1}\n', 'global: {scrape_interval: 0.5s}\n', '- a\n',
    'scrape_config: []\n', 'global: {scrape_interval: 1s, scrape_timeout: 2s}\n', job('scrape_interval: 1s\nscrape_timeout: 2s'), job('colour: red'), job('scrape_interval: 1.5s'),
    job('scrape_interval: soon'), `${job('honor_labels: true')}  - job_name: a\n`, 'scrape_configs: [{honor_labels: true}]\n', job('relabel_configs: [{action: drop, regex: "("}]'),
    job('relabel_configs: [{action: hashmod, target_label: a}]'), job('relabel_configs: [{action: replaces}]'), job('relabel_configs: [{source_labels: [a]}]'),
    job('relabel_configs: [{action: labeldrop, source_labels: [a]}]'), job('relabel_configs: [{target_label: a, regex: "(?=x)"}]'), job('bearer_token: a\nbearer_token_file: b'),
    job('bearer_token: a\nbasic_auth: {username: u}'), job('authorization: {type: basic}'), job('basic_auth: {username: u, password: p, password_file: f}'),
    job('static_configs: [{target: [a]}]'), job('static_configs: [{targets: ["http://a/b"]}]'), job('file_sd_configs: [{files: [a.txt]}]'), job('file_sd_configs: [{files: []}]'),
    job('dns_sd_configs: [{names: [a], type: A}]'), job('dns_sd_configs: [{names: [], type: SRV}]'), job('http_sd_configs: [{url: "ftp://a"}]'), job('http_sd_configs: [{}]'),
    job('body_size_limit: 100'), job('honor_labels: perhaps'), job('relabel_configs: [{action: keepequal, source_labels: [a], target_label: b, regex: x}]'),
    job('relabel_configs: [{action: lowercase, source_labels: [a], target_label: b, replacement: x}]'), 'a: [\n',
  ];
  const verdict = (command, args) => { try { execFileSync(command, args, { stdio: 'pipe' }); return true; } catch { return false; } };
  const differ = [];
  files.forEach((text, i) => {
    const file = join(dir, `${i}.yml`);
    writeFileSync(file, text);
    writeFileSync(join(dir, 'f'), 'secret');
    writeFileSync(join(dir, 'a.json'), '[]');
    const theirs = verdict('promtool', ['check', 'config', file]), mine = verdict(binary, ['scrape', 'check', file]);
    if (theirs !== mine) differ.push({ text, promtool: theirs, clew: mine });
  });
  assert.deepEqual(differ, []);
});
