// What the page is shown in tests: 120 traces of a small shop in the last ten minutes, with errors, events, links and logs; and one
// trace of any size. By OTLP/JSON.

const attributes = (of) => Object.entries(of).map(([key, v]) => ({ key, value: typeof v === 'number' ? { intValue: String(v) } : typeof v === 'boolean' ? { boolValue: v } : { stringValue: v } }));
const id = (n, digits) => (BigInt(n) + (1n << BigInt(digits * 4 - 4))).toString(16).padStart(digits, '0');
export const traceId = (k) => id(k, 32);
export const spanId = (k, i) => id(k * 1000 + i, 16);

async function send(url, body, headers) {
  const answer = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(body) }).catch((e) => { throw new Error(`${url}: ${e.cause ?? e}`); });
  if (answer.status !== 200 || (await answer.json()).partialSuccess) throw new Error(`${url}: ${answer.status}`);
}

const resource = (service) => ({ attributes: attributes({ 'service.name': service, 'deployment.environment.name': service === 'mail' ? 'staging' : 'prod', 'service.version': '1.4.2' }) });
function grouped(rows) {
  const of = new Map();
  for (const { service, row } of rows) {
    if (!of.has(service)) of.set(service, []);
    of.get(service).push(row);
  }
  return [...of];
}

/** [depth's parent, service, name, kind, offset ms, duration ms] */
const calls = [[-1, 'web', 'GET /checkout', 2, 0, 80], [0, 'web', 'cart.Get', 3, 4, 12], [1, 'cart', 'cart.Get', 2, 5, 9], [2, 'cart', 'SELECT items', 3, 6, 5], [0, 'web', 'POST /charge', 3, 20, 50], [4, 'pay', 'POST /charge', 2, 21, 46], [0, 'mail', 'send', 5, 72, 30]];

function traceOf(k, startMs) {
  const failed = k % 10 === 0, slow = k % 25 === 0 ? 20 : 1;
  const ns = (ms) => `${Math.round((startMs + ms * slow) * 1000)}000`;
  return calls.map(([parent, service, name, kind, at, took], i) => {
    const bad = failed && (i === 5 || i === 4 || i === 0);
    return { service, row: {
      traceId: traceId(k), spanId: spanId(k, i), parentSpanId: parent < 0 ? '' : spanId(k, parent), name, kind, startTimeUnixNano: ns(at), endTimeUnixNano: ns(at + took),
      attributes: attributes({ 'http.response.status_code': bad ? 500 : 200, 'order.id': `order-${k}`, 'http.request.method': 'GET', ...(i === 3 ? { 'db.system': 'postgresql', 'db.statement': 'SELECT * FROM items WHERE cart = "x"' } : {}) }),
      status: bad ? { code: 2, message: 'card refused' } : {},
      events: bad && i === 5 ? [{ timeUnixNano: ns(at + 30), name: 'exception', attributes: attributes({ 'exception.type': 'CardError', 'exception.message': 'refused', 'exception.stacktrace': 'CardError: refused\n  at charge (pay.js:10)' }) }] : [],
      links: i === 6 && k > 1 ? [{ traceId: traceId(k - 1), spanId: spanId(k - 1, 6) }] : [],
    } };
  });
}

function logsOf(k, startMs) {
  const failed = k % 10 === 0;
  const record = (ms, severityNumber, body, i) => ({ timeUnixNano: `${Math.round((startMs + ms) * 1000)}000`, severityNumber, severityText: severityNumber > 16 ? 'ERROR' : 'INFO', body: { stringValue: body }, traceId: traceId(k), spanId: spanId(k, i), attributes: attributes({ attempt: 1, 'user.id': `user-${k % 7}` }) });
  return [{ service: 'web', row: record(1, 9, `checkout of order-${k} begins`, 0) }, { service: 'pay', row: record(40, failed ? 17 : 9, failed ? `payment of order-${k} refused: card expired` : `payment of order-${k} taken`, 5) }];
}

/** Sends `count` of each, `apart` ms from one another, the last a few seconds ago. */
export async function shop(clew, { count = 120, apart = 5000, headers = {} } = {}) {
  const first = Date.now() - 5000 - count * apart;
  const ks = Array.from({ length: count }, (_, i) => i + 1);
  const spans = ks.flatMap((k) => traceOf(k, first + k * apart)), records = ks.flatMap((k) => logsOf(k, first + k * apart));
  await send(`${clew.api}/otlp/v1/traces`, { resourceSpans: grouped(spans).map(([s, rows]) => ({ resource: resource(s), scopeSpans: [{ scope: { name: 'shop', version: '2' }, spans: rows }] })) }, headers);
  await send(`${clew.api}/otlp/v1/logs`, { resourceLogs: grouped(records).map(([s, rows]) => ({ resource: resource(s), scopeLogs: [{ logRecords: rows }] })) }, headers);
}

const spread = (i) => ((BigInt(i + 1) * 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn).toString(16).padStart(16, '0');
/** A trace of one span whose parent never came. */
export const orphan = (clew, k) => send(`${clew.api}/otlp/v1/traces`, { resourceSpans: [{ resource: resource('web'), scopeSpans: [{ spans: [{ traceId: traceId(k), spanId: spanId(k, 1), parentSpanId: spanId(k, 0), name: 'GET /alone', kind: 2, startTimeUnixNano: `${Date.now() - 9000}000000`, endTimeUnixNano: `${Date.now() - 8990}000000` }] }] }] }, {});

/** web calls pay, whose clock is two minutes and three seconds ahead; pay has a child of its own. */
export async function skewed(clew, k, aheadMs = 123_000) {
  const startMs = Date.now() - 300_000, ns = (ms) => `${Math.round(startMs + ms)}000000`;
  const span = (i, parent, name, kind, at, took) => ({ traceId: traceId(k), spanId: spanId(k, i), parentSpanId: parent ? spanId(k, parent) : '', name, kind, startTimeUnixNano: ns(at), endTimeUnixNano: ns(at + took) });
  await send(`${clew.api}/otlp/v1/traces`, { resourceSpans: [
    { resource: resource('web'), scopeSpans: [{ spans: [span(1, 0, 'GET /skewed', 2, 0, 100), span(2, 1, 'POST /charge', 3, 10, 80)] }] },
    { resource: resource('pay'), scopeSpans: [{ spans: [span(3, 2, 'POST /charge', 2, aheadMs + 20, 60), span(4, 3, 'select', 1, aheadMs + 30, 10)] }] } ] }, {});
}

/** One trace of n spans, 12 deep at most, the same each time; ids and times that do not compress, as real ones. */
export async function largeTrace(clew, n, k) {
  const startMs = Date.now() - 60_000;
  let x = 7;
  const next = (below) => (x = (x * 1103515245 + 12345) % 2147483648) % below;
  const depths = [], rows = [];
  for (let i = 0; i < n; i++) {
    depths.push(i === 0 ? 0 : 1 + next(Math.min(11, depths[i - 1] + 1)));
    let parent = i - 1;
    while (parent > 0 && depths[parent] >= depths[i]) parent--;
    const from = BigInt(startMs) * 1_000_000n + BigInt(Math.floor((i / n) * 4e9) + next(1000)), took = i ? next(50_000_000) : 4_000_000_000;
    rows.push({ service: `service-${i === 0 ? 0 : next(12)}`, row: { traceId: traceId(k), spanId: spread(i), parentSpanId: i ? spread(parent) : '', name: `operation ${next(200)}`, kind: 1, startTimeUnixNano: String(from), endTimeUnixNano: String(from + BigInt(took)), attributes: attributes({ 'row.number': i }), status: next(500) === 0 ? { code: 2 } : {} } });
  }
  for (let at = 0; at < n; at += 20_000)
    await send(`${clew.api}/otlp/v1/traces`, { resourceSpans: grouped(rows.slice(at, at + 20_000)).map(([s, r]) => ({ resource: resource(s), scopeSpans: [{ spans: r }] })) }, {});
}

// ---- metrics -----------------------------------------------------------------------------------------------------------

const bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
/** The same each time: between 0 and 1. */
const chance = (seed) => { const x = Math.sin(seed * 12.9898) * 43758.5453; return x - Math.floor(x); };

/** What happened in each of the first steps up to i, added up. */
const total = (i, of) => { let sum = 0; for (let k = 0; k <= i; k++) sum += of(k); return sum; };

/** One point of each metric of a service at a time: a counter by route and code, durations by route with exemplars, a gauge, an exponential histogram. */
function pointsOf(service, ms, i, startMs) {
  const at = { startTimeUnixNano: `${startMs}000000`, timeUnixNano: `${ms}000000` };
  const routes = service === 'web' ? ['/checkout', '/cart', '/search'] : ['/charge'];
  const attributesOf = (route, code) => attributes({ 'http.route': route, 'http.response.status_code': code });
  const asked = (k, r) => Math.round(30 * (r + 1) + 20 * Math.sin(k / 14 + r) + 8 * chance(k * 3 + r));
  const counts = routes.flatMap((route, r) => [200, 500].map((code) => ({ ...at, asInt: String(total(i, (k) => (code === 200 ? asked(k, r) : asked(k, r) > 30 * (r + 1) + 14 ? 3 : 0))), attributes: attributesOf(route, code) })));
  const durations = routes.map((route, r) => {
    const counts = Array.from({ length: bounds.length + 1 }, (_, b) => total(i, (k) => Math.max(0, Math.round(20 - 6 * Math.abs(b - 2 - (r || 3 - routes.length) * 0.6 - 1.5 * Math.sin(k / 18 + r))))));
    const count = counts.reduce((x, y) => x + y, 0), slow = 0.05 + chance(i * 7 + r + routes.length) ** 3 * 0.8;
    const exemplars = i % 4 === 0 && r === 0 ? [{ timeUnixNano: `${ms - 500}000000`, asDouble: slow, traceId: traceId(1 + (i % 120)), spanId: spanId(1 + (i % 120), service === 'web' ? 0 : 5), filteredAttributes: attributes({ 'order.id': `order-${1 + (i % 120)}` }) }] : [];
    return { ...at, count: String(count), sum: count * 0.08, bucketCounts: counts.map(String), explicitBounds: bounds, attributes: attributes({ 'http.route': route }), exemplars };
  });
  const native = { ...at, count: String(70 * (i + 1)), sum: 1.9 * (i + 1), scale: 2, zeroCount: '0', positive: { offset: -24, bucketCounts: [5, 10, 20, 20, 10, 5].map((n) => String(n * (i + 1))) }, attributes: [] };
  return { counts, durations, memory: [{ ...at, asDouble: 2e8 + 4e7 * Math.sin(i / 12) + (service === 'web' ? 1e8 : 0), attributes: attributes({ state: 'used' }) }], native: [native] };
}

/** Half an hour of metrics of two services, 15 s apart, the last a few seconds ago. */
export async function metrics(clew, { count = 120, apart = 15_000, headers = {} } = {}) {
  const last = Math.floor(Date.now() / 1000) * 1000 - 3000, first = last - (count - 1) * apart;
  const resourceMetrics = ['web', 'pay'].map((service) => {
    const points = Array.from({ length: count }, (_, i) => pointsOf(service, first + i * apart, i, first - apart));
    const all = (name) => points.flatMap((p) => p[name]);
    return {
      resource: { attributes: attributes({ 'service.name': service, 'service.namespace': 'shop', 'service.instance.id': `${service}-1` }) },
      scopeMetrics: [{ scope: { name: 'shop' }, metrics: [
        { name: 'http.server.requests', unit: '{request}', description: 'Requests answered', sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints: all('counts') } },
        { name: 'http.server.request.duration', unit: 's', description: 'Duration of requests', histogram: { aggregationTemporality: 2, dataPoints: all('durations') } },
        { name: 'process.memory.usage', unit: 'By', description: 'Memory in use', gauge: { dataPoints: all('memory') } },
        { name: 'db.client.operation.duration', unit: 's', description: 'Duration of queries', exponentialHistogram: { aggregationTemporality: 2, dataPoints: all('native') } },
      ] }],
    };
  });
  await send(`${clew.api}/otlp/v1/metrics`, { resourceMetrics }, headers);
}
