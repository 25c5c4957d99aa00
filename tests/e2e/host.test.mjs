// Built-in sources against what they stand in for: Debian's node exporter on this machine, nginx, Redis and PostgreSQL on loopback.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { startClew, until } from './clew.mjs';
import { freePort, prometheusOf, query as ask } from './prometheus.mjs';
import { mayPostgres, startPostgres } from './postgres.mjs';
import { endLater, spawn, temporary } from './processes.mjs';

const has = (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
const WATCHING = ['--host-metrics', 'off', '--host-interval', '1s'];

const query = (clew, expression) => ask(prometheusOf(clew), expression);
const typesOf = async (clew) => (await (await fetch(`${clew.api}/prometheus/api/v1/metadata`)).json()).data;

/** {name → {labels as text → value}}; of labels without those of the scrape, and without empty ones. */
function byName(result) {
  const names = new Map();
  for (const { metric, value } of result) {
    const { __name__: name, job, instance, ...labels } = metric;
    if (!names.has(name)) names.set(name, new Map());
    names.get(name).set(textOf(labels), Number(value[1]));
  }
  return names;
}
const textOf = (labels) => JSON.stringify(Object.entries(labels).filter(([, v]) => v !== '').sort());

/** The same of an exposition: {names, types}. */
function exposition(text) {
  const names = new Map(), types = new Map();
  for (const line of text.split('\n')) {
    const type = line.match(/^# TYPE (\S+) (\S+)/), sample = line.match(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/);
    if (type) types.set(type[1], type[2]);
    if (!sample) continue;
    const labels = {};
    for (const [, key, value] of (sample[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[key] = value.replace(/\\(["\\])/g, '$1').replace(/\\n/g, '\n');
    if (!names.has(sample[1])) names.set(sample[1], new Map());
    names.get(sample[1]).set(textOf(labels), Number(sample[3]));
  }
  return { names, types };
}

// ---- the host --------------------------------------------------------------------------------------------------------------

// What the node exporter says on this machine and clew does not.
const NOT_HERE = [
  [/^node_exporter_build_info$/, 'of the exporter itself; clew has clew_build_info'],
  [/^node_scrape_collector_/, 'of the exporter itself: how its collectors fared'],
  [/^node_textfile_/, 'of the exporter itself: files that others write for it; clew takes those by `clew import metrics`'],
  [/^node_timex_/, 'needs a system call that the service unit refuses (adjtimex, of the clock)'],
  [/^node_time_zone_offset_seconds$/, 'the zone of the process, not of the machine'],
  [/^node_selinux_/, 'only says that there is none here; not built'],
];
// What may be anything at another moment, and what moves, but stays of a size.
const MOMENTARY = /^node_(procs_|sockstat_|netstat_Tcp_CurrEstab|memory_(Dirty|Writeback)|disk_io_now|udp_queues|arp_entries|nf_conntrack_entries$)/;
const RESTLESS = /^node_(boot_time|load|entropy|memory_(?!MemTotal|SwapTotal|CommitLimit|VmallocTotal|Hugepagesize)|filefd_allocated|filesystem_(avail|free|files_free))/;

test('what Debian\'s node exporter says of this machine, clew says by the same names', { timeout: 60000, skip: !has('prometheus-node-exporter') }, async () => {
  const port = await freePort();
  const exporter = spawn('prometheus-node-exporter', [`--web.listen-address=127.0.0.1:${port}`], { stdio: 'ignore' });
  const scrape = async () => exposition(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
  await until(scrape, ({ names }) => names.size > 100);
  const clew = await startClew(['--host-metrics', 'on', '--host-interval', '1s']);
  try {
    const round = async () => (await query(clew, 'timestamp(node_time_seconds{job="node"})'))[0]?.value[1] ?? 0;
    await until(round, (t) => Number(t) > 0);
    // a scrape before a round of clew's and one after: what only grows lies between
    const before = await scrape(), now = Date.now() / 1000;
    await until(round, (t) => Number(t) > now);
    const ours = byName(await query(clew, '{job="node"}')), after = await scrape(), types = await typesOf(clew);
    const theirs = [...after.names].filter(([name]) => name.startsWith('node_'));
    const missing = theirs.map(([name]) => name).filter((name) => !ours.has(name) && !NOT_HERE.some(([pattern]) => pattern.test(name)));
    assert.deepEqual(missing, []);
    for (const [pattern] of NOT_HERE) assert.ok(![...ours.keys()].some((name) => pattern.test(name)), `${pattern}: clew has it`);
    assert.deepEqual([...ours.keys()].filter((name) => !after.names.has(name)), [], 'names that the exporter does not know');
    let compared = 0;
    for (const [name, series] of theirs) {
      if (!ours.has(name)) continue;
      assert.deepEqual([...ours.get(name).keys()].sort(), [...series.keys()].sort(), name);
      const type = after.types.get(name);
      assert.equal(types[name][0].type, type === 'untyped' ? 'unknown' : type, name);
      for (const [labels, high] of series) {
        const value = ours.get(name).get(labels), low = before.names.get(name)?.get(labels) ?? high;
        const grows = type === 'counter' || name === 'node_time_seconds' || /^node_(vmstat_|netstat_)/.test(name);
        if (MOMENTARY.test(name)) assert.ok(value >= 0, `${name}${labels}: ${value}`);
        else if (RESTLESS.test(name)) assert.ok(value >= Math.min(low, high) / 4 - 64 && value <= Math.max(low, high) * 4 + 4096 * 4096, `${name}${labels}: ${low} ${value} ${high}`);
        else if (grows) assert.ok(value >= low - 1e-6 * high && value <= high + 1e-6 * high, `${name}${labels}: ${low} ${value} ${high}`);
        else assert.ok(Math.abs(value - high) <= 1e-9 * Math.abs(high), `${name}${labels}: ${value} ${high}`);
        compared++;
      }
    }
    assert.ok(compared > 250, `${compared} series`);
  } finally {
    await clew.stop();
    exporter.kill();
  }
});

test('control groups, clew itself, and their end', { timeout: 60000 }, async () => {
  const clew = await startClew(['--host-metrics', 'on', '--host-interval', '1s', '--host-instance', 'here']);
  try {
    const root = await until(() => query(clew, 'container_last_seen{id="/"}'), (r) => r.length === 1);
    assert.deepEqual(root[0].metric, { __name__: 'container_last_seen', id: '/', instance: 'here', job: 'cadvisor' });
    assert.ok(Math.abs(Number(root[0].value[1]) - Date.now() / 1000) < 10);
    const own = await until(() => query(clew, 'clew_build_info{job="clew",instance="here"}'), (r) => r.length === 1);
    assert.equal(own[0].value[1], '1');
    const scraped = exposition(await (await fetch(`${clew.api}/metrics`)).text());
    const stored = byName(await query(clew, '{job="clew"}')), types = await typesOf(clew);
    const names = [...scraped.names.keys()].filter((name) => !name.startsWith('clew_tenant_'));
    assert.deepEqual([...stored.keys()].sort(), names.sort());
    for (const name of names) assert.equal(types[name][0].type, scraped.types.get(name), name);
  } finally {
    await clew.stop();
  }
});

const memory = ['/sys/fs/cgroup/memory', '/sys/fs/cgroup'].find((dir) => existsSync(join(dir, 'cgroup.procs')));
const mayMake = (() => {
  const dir = join(memory ?? '/nonexistent', `clew-e2e-try-${process.pid}`);
  try { mkdirSync(dir); } catch { return false; }
  rmdirSync(dir);
  return true;
})();

test('a group that goes takes its series with it by stale markers', { timeout: 60000, skip: !mayMake && 'no control group can be made here' }, async () => {
  const id = `clew-e2e-${process.pid}`, dir = join(memory, id);
  mkdirSync(dir);
  const remove = () => { if (existsSync(dir)) rmdirSync(dir); };
  endLater(remove);
  const clew = await startClew(['--host-metrics', 'on', '--host-interval', '1s']);
  try {
    await until(() => query(clew, `container_last_seen{id="/${id}"}`), (r) => r.length === 1);
    remove();
    // long before the five minutes after which a series is over without
    await until(() => query(clew, `{id="/${id}"}`), (r) => r.length === 0, 15);
    assert.equal((await query(clew, 'container_last_seen{id="/"}')).length, 1);
  } finally {
    await clew.stop();
    remove();
  }
});

// ---- services -----------------------------------------------------------------------------------------------------------------

const values = (result) => Object.fromEntries(result.map(({ metric, value }) => [metric.__name__, Number(value[1])]));

test('nginx by its stub_status', { timeout: 60000, skip: !has('nginx') && 'nginx is not installed' }, async () => {
  const dir = temporary('e2e-nginx'), port = await freePort();
  writeFileSync(join(dir, 'nginx.conf'), `daemon off; master_process off; pid ${dir}/pid; error_log ${dir}/log; events {}
    http { access_log off; client_body_temp_path ${dir}/b; proxy_temp_path ${dir}/p; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
    server { listen 127.0.0.1:${port}; location /status { stub_status; } location / { return 200 "hello"; } } }`);
  const nginx = spawn('nginx', ['-c', join(dir, 'nginx.conf'), '-p', dir], { stdio: 'ignore' });
  const clew = await startClew([...WATCHING, '--watch', `nginx=http://127.0.0.1:${port}/status`]);
  try {
    await until(() => query(clew, 'nginx_up == 1'), (r) => r.length === 1);
    for (let i = 0; i < 5; i++) await (await fetch(`http://127.0.0.1:${port}/`)).text();
    await until(() => query(clew, `nginx_http_requests_total{instance="127.0.0.1:${port}"} >= 6`), (r) => r.length === 1);
    const got = values(await query(clew, '{job="nginx"}'));
    assert.deepEqual(Object.keys(got).sort(), ['nginx_connections_accepted', 'nginx_connections_active', 'nginx_connections_handled',
      'nginx_connections_reading', 'nginx_connections_waiting', 'nginx_connections_writing', 'nginx_http_requests_total', 'nginx_up']);
    assert.ok(got.nginx_connections_accepted >= got.nginx_connections_handled && got.nginx_connections_active >= 1);
    const types = await typesOf(clew);
    assert.equal(types.nginx_http_requests_total[0].type, 'counter');
    assert.equal(types.nginx_connections_active[0].type, 'gauge');
    nginx.kill();
    await until(() => query(clew, 'nginx_up{job="nginx"} == 0'), (r) => r.length === 1);
    await until(() => query(clew, 'nginx_connections_active'), (r) => r.length === 0);
  } finally {
    await clew.stop();
    nginx.kill();
    rmSync(dir, { recursive: true, force: true });
  }
});

test('Redis by INFO, with a password that is nowhere to be seen', { timeout: 60000, skip: !has('redis-server') && 'redis-server is not installed' }, async () => {
  const dir = temporary('e2e-redis'), port = await freePort(), secret = 'not for anybody';
  writeFileSync(join(dir, 'password'), `${secret}\n`);
  writeFileSync(join(dir, 'redis.conf'), `port ${port}\nbind 127.0.0.1\ndir ${dir}\nsave ""\nrequirepass "${secret}"\n`);
  const redis = spawn('redis-server', [join(dir, 'redis.conf')], { stdio: 'ignore' });
  const clew = await startClew([...WATCHING, '--watch', `redis=127.0.0.1:${port}?password_file=${join(dir, 'password')}`]);
  try {
    await until(() => query(clew, 'redis_up == 1'), (r) => r.length === 1);
    const cli = (...args) => execFileSync('redis-cli', ['-p', String(port), ...args], { env: { ...process.env, REDISCLI_AUTH: secret }, encoding: 'utf8' });
    cli('SET', 'a', '1');
    cli('SET', 'b', '1', 'EX', '1000');
    await until(() => query(clew, 'redis_db_keys{db="db0"} == 2'), (r) => r.length === 1);
    const got = values(await query(clew, '{job="redis"}')), info = cli('INFO');
    assert.equal(got.redis_db_keys_expiring, 1);
    assert.equal(got.redis_connected_clients, 1);
    assert.ok(got.redis_commands_processed_total >= 3 && got.redis_memory_used_bytes > 100000);
    assert.ok(got.redis_uptime_in_seconds <= Number(info.match(/uptime_in_seconds:(\d+)/)[1]));
    const named = (await query(clew, 'redis_instance_info'))[0].metric;
    assert.equal(named.redis_version, info.match(/redis_version:(\S+)/)[1]);
    assert.equal(named.role, 'master');
    writeFileSync(join(dir, 'password'), 'another');
    await until(() => query(clew, 'redis_up == 0'), (r) => r.length === 1);
    await until(() => query(clew, 'redis_db_keys'), (r) => r.length === 0);
    assert.match(clew.errors(), /a watched service is down.*WRONGPASS/);
    assert.ok(!clew.errors().includes(secret));
  } finally {
    await clew.stop();
    redis.kill();
    rmSync(dir, { recursive: true, force: true });
  }
});

for (const method of ['scram-sha-256', 'md5', 'trust', 'password'])
  test(`PostgreSQL, ${method}`, { timeout: 90000, skip: !mayPostgres && 'PostgreSQL is not installed' }, async () => {
    const secret = 'päss word', postgres = await startPostgres(method, secret);
    const clew = await startClew([...WATCHING, '--watch', `postgres=watcher@127.0.0.1:${postgres.port}/postgres?password_file=${join(postgres.dir, 'password')}`]);
    try {
      if (method === 'password') { // in plain text: never sent
        await until(() => query(clew, 'pg_up == 0'), (r) => r.length === 1);
        await until(async () => clew.errors(), (text) => /a way to authenticate that clew has not \(3\)/.test(text));
        return;
      }
      await until(() => query(clew, 'pg_up == 1'), (r) => r.length === 1);
      const got = byName(await query(clew, '{job="postgres"}'));
      assert.equal(got.get('pg_settings_max_connections').get('[]'), 37);
      assert.equal(got.get('pg_settings_shared_buffers_bytes').get('[]') % 8192, 0);
      const databases = [...got.get('pg_stat_database_xact_commit').keys()].map((l) => Object.fromEntries(JSON.parse(l)).datname);
      assert.deepEqual(databases.sort(), ['postgres', 'template0', 'template1']);
      assert.ok(got.get('pg_database_size_bytes').get('[["datname","postgres"]]') > 1e6);
      assert.equal(got.get('pg_stat_activity_count').get('[["datname","postgres"],["state","active"]]'), 1);
      const types = await typesOf(clew);
      assert.equal(types.pg_stat_database_xact_commit[0].type, 'counter');
      assert.equal(types.pg_stat_database_numbackends[0].type, 'gauge');
      if (method === 'trust') return;
      writeFileSync(join(postgres.dir, 'password'), 'another');
      await until(() => query(clew, 'pg_up == 0'), (r) => r.length === 1);
      assert.match(clew.errors(), /password authentication failed/);
      assert.ok(!clew.errors().includes(secret) && !clew.errors().includes('another'));
    } finally {
      await clew.stop();
      await postgres.stop();
    }
  });

// Servers that hang, end in the middle, lie about sizes, or say too much.
const HOSTILE = {
  silent: () => {},
  closes: (socket) => socket.end(),
  garbage: (socket) => socket.end(Buffer.alloc(4096, 0xff)),
  endless: (socket) => { const more = () => { while (!socket.destroyed && socket.write(Buffer.alloc(65536, 'x'))); }; socket.on('drain', more); more(); },
  drips: (socket) => { const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write('$')), 100); socket.on('close', () => clearInterval(timer)); },
  huge: (socket) => socket.write('$999999999999999\r\nredis_version:1\r\n'),
  negative: (socket) => socket.write('$-1\r\n'),
  'a huge message': (socket) => socket.write(Buffer.from([0x52, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])),
  'a short message': (socket) => socket.write(Buffer.from([0x52, 0, 0, 0, 0])),
  'iterations without end': (socket) => { let n = 0; socket.on('data', (d) => {
    const message = (what, body) => { const b = Buffer.alloc(9 + body.length); b.write('R'); b.writeUInt32BE(8 + body.length, 1); b.writeUInt32BE(what, 5); b.write(body, 9); socket.write(b); };
    if (n++ === 0) message(10, 'SCRAM-SHA-256\0\0');
    else message(11, `${/r=([^,]*)/.exec(d.toString())[0]}x,s=AAAA,i=2000000000`);
  }); },
  'who does not know the password': (socket) => { let n = 0; socket.on('data', (d) => {
    const message = (what, body) => { const b = Buffer.alloc(9 + body.length); b.write('R'); b.writeUInt32BE(8 + body.length, 1); b.writeUInt32BE(what, 5); b.write(body, 9); socket.write(b); };
    if (n++ === 0) message(10, 'SCRAM-SHA-256\0\0');
    else if (n === 2) message(11, `${/r=([^,]*)/.exec(d.toString())[0]}x,s=AAAA,i=4096`);
    else message(0, '');
  }); },
};

test('services that are none are down, and nothing else is', { timeout: 120000 }, async () => {
  const options = [...WATCHING], servers = [];
  for (const [, behave] of Object.entries(HOSTILE)) {
    const server = net.createServer((socket) => { socket.on('error', () => {}); behave(socket); });
    await new Promise((r) => server.listen(0, '127.0.0.1', r));
    servers.push(server);
    endLater(() => server.close());
  }
  const ports = servers.map((s) => s.address().port);
  for (const port of ports.slice(0, 7)) options.push('--watch', `redis=127.0.0.1:${port}`);
  for (const port of [...ports.slice(0, 5), ...ports.slice(7)]) options.push('--watch', `postgres=127.0.0.1:${port}`);
  for (const port of ports.slice(0, 5)) options.push('--watch', `nginx=http://127.0.0.1:${port}/`);
  const clew = await startClew(options);
  try {
    await until(() => query(clew, 'nginx_up'), (r) => r.length === 5, 60);
    const all = await query(clew, '{__name__=~".+"}');
    assert.deepEqual([...new Set(all.map((s) => s.metric.__name__))].sort(), ['nginx_up', 'pg_up', 'redis_up']);
    assert.equal(all.length, 7 + 9 + 5);
    assert.ok(all.every((s) => s.value[1] === '0'));
    const rss = Number(readFileSync(`/proc/${clew.pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]);
    assert.ok(rss < 64 * 1024, `${rss} kB`);
    assert.equal((await clew.stop()).code, 0);
  } finally {
    await clew.stop();
    for (const server of servers) server.close();
  }
});
