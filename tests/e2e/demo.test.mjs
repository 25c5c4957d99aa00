// ./dev demo: whichever of its parts is killed comes again where it was, and the others go on; what was told while clew was away is there afterwards.
import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { getJson, until } from './clew.mjs';
import { startDemo } from './demo.mjs';
import { spanStats, tracesOf } from './shop.mjs';

const services = ['payment-service', 'inventory-service', 'notification-service', 'order-service', 'api-gateway', 'traffic-generator'];
/** As its log says: the last one that began. */
const pidOf = (demo, service) => Number([...readFileSync(join(demo.work, `${service}.log`), 'utf8').matchAll(/"url":"\S+","pid":(\d+)/g)].at(-1)[1]);
const clewPid = (demo) => Number(readdirSync('/proc').find((p) => /^\d+$/.test(p) && (() => {
  try {
    const words = readFileSync(`/proc/${p}/cmdline`, 'utf8').split('\0');
    return words[1] === 'serve' && words.includes(join(demo.work, 'data'));
  } catch { return false; }
})()));
const buy = async (demo, id) => (await fetch(`${demo.gateway}/api/orders`, { method: 'POST', headers: { 'X-Correlation-ID': id },
  body: '{"customerId":"me","items":[{"productId":1,"quantity":2}]}' })).status;
/** Payments are declined and stock checks fail now and then, by themselves: again until one is through. */
const sold = (demo, id) => until(() => buy(demo, id), (status) => status === 201, 60);

test('each part of the demo is killed and comes again', { timeout: 240000 }, async () => {
  const demo = await startDemo();
  try {
    await sold(demo, 'first');
    for (const service of services) {
      const before = pidOf(demo, service);
      process.kill(before, 'SIGKILL');
      await until(async () => pidOf(demo, service), (pid) => pid !== before);
      await sold(demo, `after ${service}`);
      await until(() => tracesOf({ api: demo.api }, `after ${service}`), (t) => t.some((x) => x.services.length >= 4), 60);
    }
    const generated = async () => (await spanStats({ api: demo.api }, { service: 'traffic-generator', operation: 'generate-request' })).span_count;
    const so_far = await generated();
    await until(generated, (n) => n > so_far, 60); // the one that was killed last sends again
    const before = clewPid(demo);
    assert.ok(before > 0);
    process.kill(before, 'SIGKILL');
    await sold(demo, 'while clew was away');
    await until(async () => clewPid(demo), (pid) => pid > 0 && pid !== before);
    await until(() => tracesOf({ api: demo.api }, 'while clew was away'), (t) => t.some((x) => x.services.length >= 4), 90);
    for (const service of services) await until(() => tracesOf({ api: demo.api }, `after ${service}`), (t) => t.length > 0); // what was there before
    assert.ok((await getJson(`${demo.api}/api/v1/services?start=now-2h`)).services.length > 6);
    assert.match(demo.errors(), /api-gateway ended \(137\): it is started again/);
    assert.match(demo.errors(), /clew ended: it is started again/);
  } finally {
    const pids = services.map((service) => pidOf(demo, service));
    demo.deafen();
    assert.equal(await demo.stop(), 0);
    assert.deepEqual(pids.filter((pid) => existsSync(`/proc/${pid}`)), [], 'the shop ends with it');
  }
  assert.ok(!existsSync(demo.work));
});
