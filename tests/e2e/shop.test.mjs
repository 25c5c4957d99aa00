// The shop as processes, telling clew: one request through all services, faults while it runs, restarts of any part, PostgreSQL and Redis.
import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { getJson, startClew, until } from './clew.mjs';
import { freePort } from './prometheus.mjs';
import { mayPostgres, startPostgres } from './postgres.mjs';
import { spawn } from './processes.mjs';
import { order, promValues, setFaults, shopBinary, spanStats, startShop, tracesOf } from './shop.mjs';

test('one order through all services, by one id', { timeout: 120000 }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'clew-e2e-shop-')), clew = await startClew();
  const shop = await startShop(clew.otlp, { db: join(dir, 'orders.db') });
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
    assert.deepEqual([...new Set(shop.order.lines().filter((l) => l.correlation_id === 'order of ana').map((l) => l.service))], ['order-service']);
  } finally {
    await shop.stop();
    await clew.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});

test('faults while it runs, and restarts of any part', { timeout: 180000 }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'clew-e2e-shop-')), clew = await startClew();
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
