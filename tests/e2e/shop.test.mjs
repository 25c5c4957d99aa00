// The shop as processes, telling clew: one request through all services, faults while it runs, restarts of any part, PostgreSQL and Redis.
import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { getJson, startClew, until } from './clew.mjs';
import { freePort } from './prometheus.mjs';
import { mayPostgres, startPostgres } from './postgres.mjs';
import { spawn, temporary } from './processes.mjs';
import { order, promValues, setFaults, shopBinary, spanStats, startShop, tracesOf } from './shop.mjs';

test('one order through all services, by one id', { timeout: 120000 }, async () => {
  const dir = temporary('e2e-shop'), clew = await startClew();
  const shop = await startShop(clew.otlp, { db: join(dir, 'orders.db'), more: ['--metrics-interval', '0.5'] });
  try {
    const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const answer = await order(shop, 'order of ana', { traceparent: parent, baggage: 'tier=gold' });
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get('x-correlation-id'), 'order of ana');
    const traces = await until(() => tracesOf(clew, 'order of ana'), (t) => t.length === 2 && t.some((x) => x.services.length === 4) && t.every((x) => x.services.length >= 2));
    const main = traces.find((t) => t.trace_id === '4bf92f3577b34da6a3ce929d0e0e4736'), later = traces.find((t) => t !== main);
    assert.ok(main && later);
    assert.deepEqual(main.services.map((s) => s.name).sort(), ['api-gateway', 'inventory-service', 'order-service', 'payment-service']);
    assert.deepEqual(later.services.map((s) => s.name).sort(), ['notification-service', 'order-service']);
    assert.equal(main.error_count, 0);
    const spans = (await getJson(`${clew.api}/api/v1/traces/${later.trace_id}`)).spans;
    const links = spans.flatMap((s) => s.links ?? []);
    assert.equal(links.length, 1);
    assert.equal(links[0].trace_id, main.trace_id);
    const logs = await until(() => getJson(`${clew.api}/api/v1/logs/query?start=now-10m&limit=100&where=${encodeURIComponent('correlation_id=order of ana')}`), (l) => l.logs.length >= 5);
    assert.deepEqual([...new Set(logs.logs.map((l) => l.service))].sort(), ['api-gateway', 'inventory-service', 'notification-service', 'order-service', 'payment-service']);
    assert.ok(logs.logs.every((l) => /^[0-9a-f]{32}$/.test(l.trace_id)));
    const environments = await until(() => getJson(`${clew.api}/api/v1/environments`), (e) => e.environments.length > 0, 90);
    assert.deepEqual(environments.environments.map((e) => e.id), ['production']);
    const services = await until(() => getJson(`${clew.api}/api/v1/catalog/services`), (x) => x.services.length === 5, 90);
    assert.deepEqual(services.services.map((x) => x.id).sort(), ['shop/api-gateway', 'shop/inventory-service', 'shop/notification-service', 'shop/order-service', 'shop/payment-service']);
    for (const [name, services_, least] of [['process_cpu_time_seconds_total', 5, 0.001], ['process_memory_usage_bytes', 5, 1e6], ['process_unix_file_descriptor_count', 5, 8],
      ['process_uptime_seconds', 5, 0.3], ['shop_queue_length', 5, 0], ['http_server_request_duration_milliseconds_count', 5, 1], ['http_server_active_requests', 5, 0],
      ['db_client_operation_duration_seconds_count', 1, 1], ['db_query_duration_milliseconds_count', 1, 1], ['orders_created_total', 1, 1]])
      await until(() => promValues(clew, `sum by (job) (${name}) >= ${least}`), (v) => v.length === services_).catch((e) => assert.fail(`${name}: ${e.message}`));
    assert.deepEqual([...new Set(shop.order.lines().filter((l) => l.correlation_id === 'order of ana').map((l) => l.service))], ['order-service']);
  } finally {
    await shop.stop();
    await clew.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});

test('faults while it runs, and restarts of any part', { timeout: 180000 }, async () => {
  const dir = temporary('e2e-shop'), clew = await startClew();
  const shop = await startShop(clew.otlp, { db: join(dir, 'orders.db') });
  try {
    assert.equal((await order(shop, 'good')).status, 201);
    assert.equal(await setFaults(shop.payment, { latency_ms: 3000 }), 200);
    const from = Date.now();
    assert.equal((await order(shop, 'slow')).status, 201);
    assert.ok(Date.now() - from >= 3000);
    assert.equal(await setFaults(shop.payment, { errors: 1, version: '2.0.0' }), 200);
    assert.equal((await order(shop, 'failed')).status, 402);
    await until(() => tracesOf(clew, 'failed'), (t) => t.length === 1 && t[0].error_count > 0);
    const versions = await until(() => getJson(`${clew.api}/api/v1/attributes/resource.service.version/values?service=payment-service`), (v) => v.values.length === 2);
    assert.deepEqual(versions.values.map((v) => v.value).sort(), ['1.0.0', '2.0.0']);
    assert.equal(await setFaults(shop.payment, { errors: 2 }), 400);
    assert.equal(await setFaults(shop.payment, {}), 200);
    for (const service of shop.all) {
      await service.stop(service === shop.order ? 'SIGKILL' : 'SIGTERM');
      const without = await order(shop, `without ${service.name}`).then((r) => r.status, () => 0);
      assert.equal(without, { 'payment-service': 402, 'inventory-service': 503, 'notification-service': 201, 'order-service': 502, 'api-gateway': 0 }[service.name], service.name);
      await service.start();
      assert.equal((await order(shop, `with ${service.name}`)).status, 201);
    }
    const listed = await (await fetch(`${shop.gateway.url}/api/orders`)).json(); // what was there before the kill
    assert.ok(listed.some((o) => o.correlationId === 'good' && o.status === 'completed'));
  } finally {
    await shop.stop();
    await clew.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});

// ---- each fault, in telemetry ------------------------------------------------------------------------------------------

const MIB = 1 << 20;
const buyAll = async (shop, n, at_once = 8) => {
  const told = {};
  let left = n;
  await Promise.all(Array.from({ length: at_once }, async () => {
    while (left-- > 0) { const s = (await order(shop, '')).status; told[s] = (told[s] ?? 0) + 1; }
  }));
  return told;
};
const metric = (clew, service, name, how = '') => promValues(clew, `${how}${how && '('}${name}{job="shop/${service}"}${how && '[5m])'}`).then((v) => v.reduce((a, b) => Math.max(a, b), 0));
const inAll = (clew, conditions) => spanStats(clew, conditions).then((s) => s.span_count);

/** What each fault does to orders (told), and what of it telemetry has then; `since` are the figures before. */
const matrix = [
  { name: 'latency', of: 'payment', faults: { latency_ms: 2000 }, flag: 'latency_ms=2000', // a slow payment by itself: at most 1,750
    figures: async (clew) => ({ slow: await inAll(clew, { service: 'payment-service', operation: 'POST /process', min_duration: '2s' }) }),
    seen: (told, now, before) => told[201] === 40 && now.slow - before.slow === 40 },
  { name: 'errors', of: 'payment', faults: { errors: 1 }, flag: 'errors=1',
    figures: async (clew) => ({ errors: await inAll(clew, { service: 'payment-service', operation: 'POST /process', status: 'error', where: 'error.type=internal_error' }),
      total: await metric(clew, 'payment-service', 'http_server_error_total') }),
    seen: (told, now, before) => told[402] === 40 && now.errors - before.errors === 40 && now.total - before.total >= 40 },
  { name: 'leak', of: 'inventory', faults: { leak_bytes: MIB }, flag: `leak_bytes=${MIB}`,
    figures: async (clew) => ({ memory: await metric(clew, 'inventory-service', 'process_memory_usage_bytes') }),
    seen: (told, now, before) => told[201] === 40 && now.memory - before.memory >= 38 * MIB },
  { name: 'lock', of: 'gateway', faults: { lock_ms: 150 }, flag: 'lock_ms=150', at_once: 30,
    figures: async (clew) => ({ waited: await metric(clew, 'api-gateway', 'shop_lock_wait_duration_seconds_sum'),
      waiting: await metric(clew, 'api-gateway', 'shop_lock_waiting', 'max_over_time'), queue: await metric(clew, 'api-gateway', 'shop_queue_length', 'max_over_time') }),
    seen: (told, now, before) => told[201] === 40 && now.waited - before.waited > 10 && now.waiting >= 3 && now.queue >= 3 },
  { name: 'down', of: 'order', faults: { down: 'payment-service' }, flag: 'down=payment-service',
    figures: async (clew) => ({ refused: await inAll(clew, { service: 'order-service', kind: 'client', where: ['error.type=connection_error', 'peer.service=payment-service'] }) }),
    seen: (told, now, before) => told[402] === 40 && now.refused - before.refused === 40 },
  { name: 'bad deploy', of: 'order', faults: { version: '1.1.0', errors: 0.5 }, flag: 'version=1.1.0,errors=0.5',
    figures: async (clew) => Object.fromEntries((await spanStats(clew, { service: 'order-service', kind: 'server', by: 'resource.service.version' })).groups
      .filter((g) => g.value).map((g) => [g.value, { all: g.span_count, errors: g.error_count }])),
    seen: (told, now, before) => told[500] === now['1.1.0'].errors - (before['1.1.0']?.errors ?? 0) && now['1.1.0'].all - (before['1.1.0']?.all ?? 0) === 40
      && told[500] >= 6 && told[500] <= 34 && (now['1.0.0']?.errors ?? 0) === (before['1.0.0']?.errors ?? 0) },
];

for (const f of matrix) {
  test(`fault ${f.name}: set while it runs and by flag, seen in telemetry, ended`, { timeout: 180000 }, async () => {
    for (const by_flag of [false, true]) {
      const dir = temporary('e2e-shop'), clew = await startClew();
      try {
        const shop = await startShop(clew.otlp, { db: join(dir, `orders${by_flag}.db`), more: ['--metrics-interval', '0.3'], own: by_flag ? { [f.of]: ['--faults', f.flag] } : {} });
        if (!by_flag) {
          assert.deepEqual(await buyAll(shop, 8), { 201: 8 });
          await settled(clew, f);
        }
        const before = by_flag && f.name === 'leak' ? { memory: 0 } : await f.figures(clew);
        if (!by_flag) assert.equal(await setFaults(shop[f.of], f.faults), 200);
        let told = null;
        const selling = buyAll(shop, 40, f.at_once).then((t) => { told = t; });
        if (f.name === 'lock') { // all its workers hang, and still it answers for itself
          await until(() => metric(clew, 'api-gateway', 'shop_queue_length', 'max_over_time'), (n) => n > 0);
          const from = Date.now();
          assert.equal((await fetch(`${shop.gateway.url}/health`)).status, 200);
          assert.ok(Date.now() - from < 2000);
        }
        await selling;
        await until(() => f.figures(clew), (now) => f.seen(told, now, before)).catch(async (e) => assert.fail(`${e.message}: ${JSON.stringify([told, before, await f.figures(clew)])}`));
        assert.equal(await setFaults(shop[f.of], {}), 200);
        const faulty = await settled(clew, f);
        assert.deepEqual(await buyAll(shop, 10), { 201: 10 });
        const after = await settled(clew, f);
        if (f.name === 'bad deploy') {
          assert.deepEqual(after['1.1.0'], faulty['1.1.0']);
          assert.equal(after['1.0.0'].all, (faulty['1.0.0']?.all ?? 0) + 10);
          assert.equal(after['1.0.0'].errors, faulty['1.0.0']?.errors ?? 0);
        } else if (f.name === 'leak') {
          assert.ok(after.memory - faulty.memory < 5 * MIB);
        } else {
          assert.deepEqual(after, faulty);
        }
        await shop.stop();
      } finally {
        await clew.stop();
        rmSync(dir, { recursive: true, force: true });
      }
    }
  });
}

/** The figures of a fault when all that was told is there: they stay as they are for two tellings of metrics. */
async function settled(clew, f) {
  let before = null, same = 0;
  return until(async () => {
    const all = { figures: await f.figures(clew), spans: await inAll(clew, {}) };
    const memory = all.figures.memory;
    if (memory) all.figures.memory = Math.round(memory / MIB); // it moves a little by itself
    same = JSON.stringify(all) === before ? same + 1 : 0;
    before = JSON.stringify(all);
    if (memory) all.figures.memory = memory;
    await new Promise((r) => setTimeout(r, 400));
    return all;
  }, () => same >= 4, 40).then((all) => all.figures);
}

const mayRedis = spawnSync('sh', ['-c', 'command -v redis-server']).status === 0;
test('with PostgreSQL and Redis, which go and come', { timeout: 180000, skip: !(mayPostgres && mayRedis) && 'PostgreSQL or Redis is not installed' }, async () => {
  const secret = 'of the shop', postgres = await startPostgres('scram-sha-256', secret), port = await freePort();
  const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { stdio: 'ignore' });
  const redisGone = new Promise((r) => redis.once('exit', r));
  const url = `postgresql://watcher:${encodeURIComponent(secret)}@127.0.0.1:${postgres.port}/postgres?sslmode=disable`, clew = await startClew();
  const shop = await startShop(clew.otlp, { db: url, cache: `redis://127.0.0.1:${port}` });
  try {
    assert.equal((await order(shop, 'one')).status, 201);
    const keys = spawnSync('redis-cli', ['-p', String(port), 'keys', '*'], { encoding: 'utf8' }).stdout;
    assert.match(keys, /inventory:1/);
    assert.match(keys, /payment:txn_/);
    assert.equal((await order(shop, 'two')).status, 201);
    const traces = await until(() => tracesOf(clew, 'two'), (t) => t.length === 2);
    const spans = await until(() => Promise.all(traces.map((t) => getJson(`${clew.api}/api/v1/traces/${t.trace_id}`))).then((a) => a.flatMap((t) => t.spans)),
      (s) => s.some((x) => x.name === 'check-item-stock') && s.some((x) => x.name === 'insert order'));
    const text = JSON.stringify(spans);
    assert.match(text, /"cache_hit"[^}]*true/);
    assert.match(text, /"postgresql"/);
    redis.kill('SIGKILL');
    await redisGone;
    assert.equal((await order(shop, 'three')).status, 201); // only slower
    await postgres.kill();
    assert.equal((await order(shop, 'four')).status, 500);
    postgres.start();
    await until(() => order(shop, 'five'), (r) => r.status === 201);
    const listed = await (await fetch(`${shop.gateway.url}/api/orders`)).json();
    assert.deepEqual(listed.filter((o) => o.status === 'completed').map((o) => o.correlationId).sort(), ['five', 'one', 'three', 'two']);
    for (const s of shop.all) assert.ok(!JSON.stringify(s.lines()).includes(secret));
  } finally {
    await shop.stop();
    if (redis.exitCode === null && redis.signalCode === null) redis.kill('SIGKILL');
    await postgres.stop();
    await clew.stop();
  }
});

test('the shop is built', () => assert.ok(existsSync(shopBinary), './dev build makes it'));
