// The shop as processes, for tests: each service can be stopped and comes again at its port.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getJson } from './clew.mjs';
import { spawn } from './processes.mjs';

export const shopBinary = join(dirname(fileURLToPath(import.meta.url)), '../../build/demo/clew-shop');

/** A service: {url, lines(), start(), stop()}; it comes again at its port. */
export async function startService(name, options) {
  const service = { name };
  let text = '';
  service.start = async () => {
    const child = spawn(shopBinary, [name, ...options, ...(service.url ? ['--listen', service.url.replace('http://', '')] : [])], { stdio: ['ignore', 'pipe', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (d) => { errors += d; });
    service.exited = new Promise((resolve) => child.on('exit', resolve));
    service.child = child;
    const ready = await new Promise((resolve, reject) => {
      let out = '';
      child.stdout.on('data', (d) => { if (!service.deaf) text += d; if (out !== null) out += d; if (out?.includes('\n')) { resolve(JSON.parse(out.split('\n')[0])); out = null; } });
      service.exited.then(() => reject(new Error(`${name} did not start: ${errors}`)));
    });
    service.url = ready.url;
  };
  service.stop = async (signal = 'SIGTERM') => { service.child.kill(signal); return service.exited; };
  service.lines = () => text.split('\n').slice(1).filter((l) => l).map((l) => JSON.parse(l)).filter((l) => l.message);
  await service.start();
  return service;
}

/** All services, the ones in front last. `quiet`: payments and stock checks do not fail by themselves; `more`: options of all; `own`: of one, by its key;
 *  `rate`: with a traffic generator. */
export async function startShop(otlp, { db, cache, quiet = true, more = [], own = {}, rate, deaf = false } = {}) {
  const all = {}, never = quiet ? ['--failure-rate', '0'] : [];
  const add = async (key, name, ...options) => {
    all[key] = await startService(name, ['--otlp', otlp, ...options, ...more, ...(own[key] ?? [])]);
    all[key].deaf = deaf; // its lines are not kept
  };
  const cached = cache ? ['--cache', cache] : [];
  await add('payment', 'payment-service', ...never, ...cached);
  await add('inventory', 'inventory-service', ...never, ...cached);
  await add('notification', 'notification-service', ...cached);
  await add('order', 'order-service', '--db', db, '--payment', all.payment.url, '--inventory', all.inventory.url, '--notification', all.notification.url);
  await add('gateway', 'api-gateway', '--order', all.order.url);
  if (rate) await add('traffic', 'traffic-generator', '--gateway', all.gateway.url, '--rate', String(rate));
  return { ...all, all: Object.values(all), stop: async () => { for (const s of Object.values(all).reverse()) await s.stop(); } };
}

export const order = (shop, id, headers = {}) => fetch(`${shop.gateway.url}/api/orders`, { method: 'POST', headers: { 'X-Correlation-ID': id, ...headers },
  body: JSON.stringify({ customerId: 'ana', items: [{ productId: 1, quantity: 2 }] }) });
export const tracesOf = async (clew, id) => (await getJson(`${clew.api}/api/v1/traces?start=now-10m&limit=20&where=${encodeURIComponent(`correlation_id=${id}`)}`)).traces;
export const setFaults = async (service, body) => (await fetch(`${service.url}/faults`, { method: 'POST', body: JSON.stringify(body) })).status;
/** Counts of spans: {spans, errors, …}; conditions as of GET /api/v1/traces/stats, `where` one or many. */
export function spanStats(clew, { where = [], ...conditions }) {
  const q = new URLSearchParams({ start: 'now-30m', ...conditions });
  for (const w of [where].flat()) q.append('where', w);
  return getJson(`${clew.api}/api/v1/traces/stats?${q}`);
}
/** The values that a question in PromQL has now, as numbers. */
export async function promValues(clew, query) {
  const answer = await getJson(`${clew.api}/prometheus/api/v1/query?query=${encodeURIComponent(query)}`);
  return answer.data.result.map((r) => Number(r.value[1]));
}
