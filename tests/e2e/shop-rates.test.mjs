// Over 5,000 orders through the shop's processes, once with a real PostgreSQL and a real Redis and once with neither: what customers are told is what
// telemetry shows, the faults that are built in have their rates, and both shops have the same.
import test from 'node:test';
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { getJson, startClew, until } from './clew.mjs';
import { freePort } from './prometheus.mjs';
import { mayPostgres, startPostgres } from './postgres.mjs';
import { spawn, temporary } from './processes.mjs';
import { promValues, spanStats, startShop } from './shop.mjs';

const ORDERS = 5700, LISTS = 5100, CUSTOMERS = 120, SIGMAS = 4.5; // by chance once in 150,000 comparisons
const kinds = {
  payments: { rate: 0.05, all: { service: 'payment-service', operation: 'process-payment' }, where: 'payment_status=declined' },
  slow_payments: { rate: 0.1, all: { service: 'payment-service', operation: 'process-payment', where: 'payment_status=completed' }, where: 'slow_payment=true' },
  checks: { rate: 0.03, all: { service: 'inventory-service', operation: 'check-inventory' }, where: 'error.type=unavailable' },
  emails: { rate: 0.02, all: { service: 'notification-service', operation: 'send-email' }, where: 'error.type=delivery_failed' },
  sms: { rate: 0.05, all: { service: 'notification-service', operation: 'send-sms' }, where: 'error.type=delivery_failed' },
  slow_queries: { rate: 0.1, all: { service: 'order-service', operation: 'db-query-orders' }, where: 'slow_query=true' },
};

const body = JSON.stringify({ customerId: 'ana', items: [{ productId: 1, quantity: 2 }] });
const shapeOf = (x) => (Array.isArray(x) ? [...new Set(x.map((y) => Object.keys(y).sort().join()))].sort().join('|') : Object.keys(x).sort().join());

/** What customers are told: counts of statuses, and the shapes of bodies by status. */
async function sell(shop) {
  const told = { orders: {}, lists: {}, shapes: {} };
  let left = Array.from({ length: ORDERS + LISTS }, (_, i) => i % 2 === 0 || i >= 2 * LISTS);
  const ask = async (is_order) => {
    const answer = await fetch(`${shop.gateway.url}/api/orders`, is_order ? { method: 'POST', body } : {});
    const data = await answer.json(), of = is_order ? told.orders : told.lists;
    of[answer.status] = (of[answer.status] ?? 0) + 1;
    (told.shapes[`${is_order ? 'order' : 'list'} ${answer.status}`] ??= new Set()).add(shapeOf(data));
    assert.match(answer.headers.get('x-correlation-id'), /^shop-[0-9a-f]{16}$/);
  };
  const customer = async () => { while (left.length) await ask(left.pop()); };
  await Promise.all(Array.from({ length: CUSTOMERS }, customer));
  told.shapes = Object.fromEntries(Object.entries(told.shapes).map(([k, v]) => [k, [...v].sort()]));
  return told;
}

/** What telemetry shows: of each kind how many and how many of them failed, and the names of spans by service. */
async function look(clew, told) {
  const paid = told.orders[201] + told.orders[402], whole = [['notification-service', 'POST /send', told.orders[201]], ['payment-service', 'POST /process', paid],
    ['inventory-service', 'POST /check', ORDERS], ['order-service', 'GET /orders', LISTS]]; // a server's span is told behind those within
  for (const [service, operation, n] of whole) await until(() => spanStats(clew, { service, operation }), (s) => s.span_count === n, 60);
  const seen = {};
  for (const [name, k] of Object.entries(kinds)) {
    const all = await spanStats(clew, k.all), those = await spanStats(clew, { ...k.all, where: [k.all.where ?? [], k.where].flat() });
    seen[name] = { all: all.span_count, those: those.span_count };
  }
  const operations = {};
  for (const s of ['api-gateway', 'order-service', 'payment-service', 'inventory-service', 'notification-service'])
    operations[s] = (await getJson(`${clew.api}/api/v1/services/${s}/operations?start=now-30m`)).operations.map((o) => o.name ?? o.operation).sort();
  const counted = async (status) => (await promValues(clew, `sum(last_over_time(orders_created_total{status="${status}"}[30m]))`))[0];
  await until(async () => [await counted('completed'), await counted('payment_failed')], ([a, b]) => a === told.orders[201] && b === told.orders[402], 60);
  return { seen, operations };
}

async function run(name, options) {
  const clew = await startClew(), shop = await startShop(clew.otlp, { quiet: false, deaf: true, more: ['--workers', '128', '--metrics-interval', '1'], ...options });
  try {
    const told = await sell(shop), { seen, operations } = await look(clew, told);
    console.log(`# ${name}: ${Object.entries(seen).map(([k, s]) => `${k} ${s.those} of ${s.all}, ${(s.those / s.all).toFixed(4)}`).join('; ')}`);
    for (const [k, { rate }] of Object.entries(kinds)) {
      const { all, those } = seen[k], sigma = Math.sqrt(all * rate * (1 - rate));
      assert.ok(all >= 5000, `${k}: ${all}`);
      assert.ok(Math.abs(those - all * rate) <= SIGMAS * sigma, `${name}: ${k}: ${those} of ${all}`);
    }
    assert.deepEqual(told.orders, { 201: seen.payments.all - seen.payments.those, 402: seen.payments.those, 409: seen.checks.those });
    assert.deepEqual(told.lists, { 200: LISTS });
    assert.equal(seen.checks.all, ORDERS);
    assert.equal(seen.slow_queries.all, LISTS);
    return { told, seen, operations };
  } finally {
    await shop.stop();
    await clew.stop();
  }
}

const mayRedis = spawnSync('sh', ['-c', 'command -v redis-server']).status === 0;
test('under PostgreSQL and Redis, and with neither: the same rates, the same answers, the same spans', { timeout: 900000, skip: !(mayPostgres && mayRedis) && 'PostgreSQL or Redis is not installed' }, async () => {
  const dir = temporary('e2e-shop');
  const secret = 'of the shop', postgres = await startPostgres('scram-sha-256', secret), port = await freePort();
  const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { stdio: 'ignore' });
  const gone = new Promise((r) => redis.once('exit', r));
  try {
    const plain = await run('neither', { db: join(dir, 'orders.db') });
    const real = await run('PostgreSQL and Redis', { db: `postgresql://watcher:${encodeURIComponent(secret)}@127.0.0.1:${postgres.port}/postgres?sslmode=disable`, cache: `redis://127.0.0.1:${port}` });
    for (const k of Object.keys(kinds)) { // two shares of one rate
      const [a, b] = [plain.seen[k], real.seen[k]], p = (a.those + b.those) / (a.all + b.all);
      assert.ok(Math.abs(a.those / a.all - b.those / b.all) <= SIGMAS * Math.sqrt(p * (1 - p) * (1 / a.all + 1 / b.all)), `${k}: ${JSON.stringify([a, b])}`);
    }
    assert.deepEqual(Object.keys(real.told.orders), Object.keys(plain.told.orders));
    assert.deepEqual(real.told.shapes, plain.told.shapes);
    assert.deepEqual(real.operations, plain.operations);
    const keys = Number(spawnSync('redis-cli', ['-p', String(port), 'dbsize'], { encoding: 'utf8' }).stdout);
    assert.ok(keys >= real.told.orders[201], `${keys} keys`); // a payment and a notification each
  } finally {
    redis.kill('SIGKILL');
    await gone;
    await postgres.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});
