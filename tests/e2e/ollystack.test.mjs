// OllyStack's API, asked as its page and scripts ask it: the table tests/contract/ollystack.json below /ollystack and at the root of the port, with a
// shop's data and on an empty server; then a small page that does to the answers what OllyStack's page does to them.
import test from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { startClew, until, getJson } from './clew.mjs';

const table = JSON.parse(readFileSync(new URL('../contract/ollystack.json', import.meta.url)));
const hex = (n) => randomBytes(n).toString('hex');

// ---- a shop -----------------------------------------------------------------------------------------------------------

const text = (key, value) => ({ key, value: { stringValue: value } });
const ns = (ms) => `${BigInt(Math.round(ms * 1000)) * 1000n}`;

/** One span; the id of the correlation only where the shop sets it. */
const span = (trace, id, parent, service, name, startMs, ms, { kind = 2, failed, correlation, attributes = [] } = {}) => ({
  service,
  span: {
    traceId: trace, spanId: id, parentSpanId: parent, name, kind, startTimeUnixNano: ns(startMs), endTimeUnixNano: ns(startMs + ms),
    attributes: [...(correlation ? [text('correlation_id', correlation)] : []), ...attributes],
    ...(failed ? { status: { code: 2, message: failed }, events: [{ name: 'exception', timeUnixNano: ns(startMs), attributes: [text('exception.message', failed)] }] } : {}),
  },
});

/** An order: gateway → order → inventory and payment, and a notification in a trace of its own, tied to it by its id alone. */
function order(at, failed) {
  const trace = hex(16), notified = hex(16), correlation = `olly-${Date.now().toString(36)}-${hex(4)}`;
  const [gateway, client, ordering, check, paying, payment] = Array.from({ length: 6 }, () => hex(8));
  const http = [text('http.method', 'POST'), text('http.status_code', failed ? '402' : '201')];
  return {
    trace, notified, correlation,
    spans: [
      span(trace, gateway, '', 'api-gateway', 'create-order', at, 231.981, { correlation, failed: failed && 'Order service returned error', attributes: http }),
      span(trace, client, gateway, 'api-gateway', 'HTTP POST', at + 1, 230, { kind: 3 }),
      span(trace, ordering, client, 'order-service', 'create-order', at + 2, 228, { correlation, failed: failed && 'Payment failed' }),
      span(trace, check, ordering, 'order-service', 'check-inventory', at + 3, 20, { kind: 1 }),
      span(trace, paying, ordering, 'order-service', 'HTTP POST', at + 30, 180, { kind: 3 }),
      span(trace, payment, paying, 'payment-service', 'process-payment', at + 31, 170, { correlation, failed: failed && 'Payment declined' }),
      span(notified, hex(8), '', 'notification-service', 'send-notification', at + 240, 60, { correlation, kind: 5 }),
    ],
    lines: [
      { service: 'api-gateway', level: 'info', message: 'order created', at: at + 232 },
      { service: 'payment-service', level: failed ? 'error' : 'warn', message: failed ? 'payment <declined>' : 'slow payment', at: at + 100 },
    ].map((l) => ({ ...l, correlation, trace })),
  };
}

const resources = (list, field, make) => {
  const by = Map.groupBy ? Map.groupBy(list, (x) => x.service) : list.reduce((m, x) => m.set(x.service, [...(m.get(x.service) ?? []), x]), new Map());
  return [...by].map(([service, rows]) => ({ resource: { attributes: [text('service.name', service)] }, [field]: [make(rows)] }));
};

async function post(url, body) {
  const answer = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.text());
}

/** Sends a shop's few minutes; what there is to ask for. */
async function fill(clew) {
  const now = Date.now(), orders = Array.from({ length: 12 }, (_, i) => order(now - 120000 + i * 5000, i % 4 === 3));
  await post(`${clew.ollystack}/v1/traces`, { resourceSpans: resources(orders.flatMap((o) => o.spans), 'scopeSpans', (rows) => ({ spans: rows.map((r) => r.span) })) });
  await post(`${clew.otlp}/v1/logs`, {
    resourceLogs: resources(orders.flatMap((o) => o.lines), 'scopeLogs', (rows) => ({
      logRecords: rows.map((l) => ({
        timeUnixNano: ns(l.at),
        body: { stringValue: JSON.stringify({ timestamp: new Date(l.at).toISOString(), level: l.level, service: l.service, correlation_id: l.correlation, message: l.message }) },
      })),
    })),
  });
  await post(`${clew.otlp}/v1/metrics`, {
    resourceMetrics: [{ resource: { attributes: [text('service.name', 'order-service')] }, scopeMetrics: [{ metrics: [
      { name: 'temperature', gauge: { dataPoints: [1, 2, 3].map((v) => ({ timeUnixNano: ns(now - v * 1000), asDouble: v / 2, attributes: [text('room', 'a')] })) } },
      { name: 'orders.created.total', sum: { isMonotonic: true, aggregationTemporality: 2, dataPoints: [{ timeUnixNano: ns(now), asInt: '7' }] } }] }] }],
  });
  await until(() => getJson(`${clew.ollystack}/api/v1/metrics/query?query=temp`), (a) => a.total === 3);
  await until(() => getJson(`${clew.ollystack}/api/v1/traces/stats`), (a) => a.totalTraces === 24);
  return { orders, failed: orders.filter((_, i) => i % 4 === 3) };
}

// ---- the table --------------------------------------------------------------------------------------------------------

const times = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z$/, python = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?$/;
const within = (min, max) => (v) => typeof v === 'number' && v >= min && v <= max;
const types = {
  string: (v) => typeof v === 'string', text: (v) => typeof v === 'string' && v !== '', time: (v) => times.test(v), python: (v) => python.test(v),
  hex32: (v) => /^[0-9a-f]{32}$/.test(v), hex16: (v) => /^[0-9a-f]{16}$/.test(v), id: (v) => v === '' || /^[0-9a-f]{16}$/.test(v),
  number: (v) => typeof v === 'number', int: Number.isSafeInteger, ms: within(0, 1e15), micros: (v) => Number.isSafeInteger(v) && v > 1e15 && v < 1e16,
  percent: within(0, 100), ratio: within(0, 1), bool: (v) => typeof v === 'boolean', array: Array.isArray,
  object: (v) => v !== null && typeof v === 'object' && !Array.isArray(v), null: (v) => v === null,
};
const fits = (v, type) => (types[type] ? types[type](v) : type.split(',').includes(String(v)));

/** All values at a path such as `spans[].events[].name` or `services.*.name`; a member that is missing is undefined. */
function valuesAt(answer, path) {
  let found = [answer];
  for (const part of path.split('.')) {
    const name = part.replace(/(\[\])+$/, ''), lists = (part.match(/\[\]/g) ?? []).length, optional = name.endsWith('?');
    if (name) found = found.filter((v) => types.object(v)).flatMap((v) => (name === '*' ? Object.values(v) : optional && !(name.slice(0, -1) in v) ? [] : [v[optional ? name.slice(0, -1) : name]]));
    for (let i = 0; i < lists; i++) found = found.flatMap((v) => (Array.isArray(v) ? v : []));
  }
  return found;
}

const comparable = (v) => (times.test(v) ? Date.parse(v) : v);

function checkShape(row, answer, shape, order) {
  for (const rule of shape ?? []) {
    const at = rule.indexOf(' ');
    for (const v of valuesAt(answer, rule.slice(0, at)).filter((x) => x !== undefined || !/^rootCause\./.test(rule)))
      assert.ok(fits(v, rule.slice(at + 1)), `${row.name}: ${rule}: ${JSON.stringify(v)}`);
  }
  for (const rule of order ?? []) {
    const [path, how] = rule.split(' '), found = valuesAt(answer, path).map(comparable);
    found.slice(1).forEach((v, i) => assert.ok(how === 'asc' ? found[i] <= v : found[i] >= v, `${row.name}: ${rule}`));
  }
}

const contentTypes = { go: 'application/json; charset=utf-8', ai: 'application/json', text: 'text/plain', none: null };

async function askRow(base, row, known, empty) {
  const [method, path] = row.ask.split(' ');
  const url = base + path.replace('{trace}', known.trace).replace('{correlation}', known.correlation);
  const answer = await fetch(url, { method, redirect: 'manual', ...(row.body ? { body: row.body, headers: { 'Content-Type': 'application/json' } } : {}) });
  const body = await answer.text(), other = empty && row.empty ? row.empty : row;
  assert.equal(answer.status, other.status, `${row.name}: ${body}`);
  assert.equal(answer.headers.get('content-type'), contentTypes[row.type], row.name);
  assert.match(answer.headers.get('x-request-id'), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, row.name);
  if (row.text && other === row) assert.ok(body.includes(row.text), `${row.name}: ${body}`);
  if (other.shape) checkShape(row, JSON.parse(body), other.shape, other.order);
}

async function askTable(clew, known, empty) {
  for (const base of [`${clew.api}/ollystack`, clew.ollystack]) for (const row of table) await askRow(base, row, known, empty);
}

// ---- a small page -----------------------------------------------------------------------------------------------------

/** What each of OllyStack's pages does with what it is given, and where it would break. */
const page = {
  async dashboard(get) {
    const { traces } = await get('/api/v1/traces?limit=10');
    const lines = traces.map((t) => `${t.traceId.substring(0, 8)} ${t.serviceName.toLowerCase()} ${t.operationName.toLowerCase()} ${(t.duration / 1000).toFixed(0)}ms ${t.status}`);
    const { services } = await get('/ai/api/v1/services/health?window_minutes=5');
    return { lines, health: services.map((s) => `${s.service} ${s.metrics.error_rate.toFixed(1)} ${s.metrics.avg_latency_ms.toFixed(0)} ${s.metrics.p99_latency_ms.toFixed(0)}`) };
  },
  async traces(get) {
    const [list, stats, patterns] = await Promise.all(['/api/v1/traces?limit=50', '/api/v1/traces/stats', '/api/v1/traces/errors/patterns'].map(get));
    return {
      count: list.traces.length,
      head: `${stats.totalTraces.toLocaleString()} ${stats.errorCount.toLocaleString()} ${stats.errorRate.toFixed(2)}% ${stats.p50LatencyMs.toFixed(1)} ${stats.p90LatencyMs.toFixed(1)} ${stats.p99LatencyMs.toFixed(1)}`,
      patterns: patterns.patterns.slice(0, 3).map((p) => `${p.serviceName} ${p.count}`),
    };
  },
  async red(get) {
    const a = await get('/api/v1/traces/aggregate?hours=24'), f = await get('/api/v1/traces/errors/fingerprints?hours=24'), g = await get('/api/v1/traces/group?groupBy=status&hours=24');
    return {
      rows: a.aggregations.map((r) => `${r.serviceName} ${r.operationName} ${r.p50Ms.toFixed(1)} ${r.p90Ms.toFixed(1)} ${r.p99Ms.toFixed(1)} ${r.errorRate.toFixed(1)}`),
      rate: ((a.totalErrors / a.totalRequests) * 100).toFixed(1), services: a.serviceCount.toLocaleString(), operations: a.operationCount.toLocaleString(),
      errors: f.totalErrors.toLocaleString(), unique: f.uniqueFingerprints.toLocaleString(), samples: f.fingerprints.map((x) => x.sampleTraceIds.slice(0, 3).length),
      groups: g.groups.map((x) => `${Object.entries(x.groupValues)} ${x.p50Ms.toFixed(1)} ${x.p99Ms.toFixed(1)}`), total: g.totalGroups.toLocaleString(),
    };
  },
  async trace(get, id) {
    const { spans } = await get(`/api/v1/traces/${id}`);
    const start = Math.min(...spans.map((s) => s.startTime)), end = Math.max(...spans.map((s) => s.startTime + s.duration));
    let root; /* the last without a parent; what hangs on it is drawn */
    for (const s of spans) if (!s.parentSpanId) root = s;
    const below = (s) => [s, ...spans.filter((x) => x.parentSpanId === s.spanId).flatMap(below)];
    return { totalMs: (end - start) / 1000, drawn: below(root).length, all: spans.length, errors: spans.filter((s) => s.status === 'ERROR').length, date: new Date(start / 1000).toISOString(), kinds: spans.map((s) => s.kind) };
  },
  async analysis(get, id) {
    const a = await get(`/api/v1/traces/${id}/analyze`);
    return {
      factors: a.rootCause?.contributingFactors.map((x) => x.length), cause: a.rootCause?.operationName, path: a.criticalPath.map((p) => p.percentageOfTrace.toFixed(1)),
      services: a.serviceBreakdown.map((s) => (s.totalDuration / 1e6).toFixed(2)), insights: a.insights.length, recommendations: a.recommendations.length, score: a.anomalyScore.toFixed(2),
    };
  },
  async logs(get) {
    const { logs } = await get('/api/v1/logs/query?limit=100&timeRange=1h&severity=error,warn,info,debug');
    const lines = logs.map((l) => {
      const line = JSON.parse(l.body.replace(/^\s+/, ''));
      return { level: line.level ?? l.severityText.toLowerCase(), service: line.service, message: line.message, link: line.correlation_id };
    });
    return lines.filter((l) => ['error', 'warn', 'info', 'debug'].includes(l.level));
  },
  async metrics(get) {
    const { services } = await get('/ai/api/v1/services/metrics/timeseries?window_minutes=60&bucket_minutes=1');
    return Object.entries(services).map(([name, s]) => `${name} ${Math.max(...s.avg_latency_ms).toFixed(1)} ${s.timestamps.length === s.requests.length && s.requests.length === s.p95_ms.length}`);
  },
  async map(get) {
    const { services, edges } = await get('/api/v1/topology/graph');
    const nodes = new Map(Object.values(services).map((n) => [n.name, n]));
    for (const key of Object.keys(services)) assert.equal(services[key].name, key);
    for (const [key, e] of Object.entries(edges)) { /* d3's forceLink throws "node not found" */
      assert.equal(key, `${e.source}->${e.target}`);
      if (!nodes.has(e.source) || !nodes.has(e.target)) throw new Error(`node not found: ${key}`);
    }
    return { nodes: [...nodes.values()].map((n) => `${n.name} ${n.errorRate.toFixed(1)} ${Math.round(n.avgLatency)} ${n.requestRate.toFixed(2)}`), edges: Object.keys(edges).sort() };
  },
  async correlation(get, id) {
    const list = (await get('/api/v1/correlate?limit=100')).correlations || [];
    const [one, traces, logs] = await Promise.all([`/api/v1/correlate/${id}?details=true`, `/api/v1/correlate/${id}/traces`, `/api/v1/correlate/${id}/logs`].map(get));
    const rows = traces.traces || [], below = (s) => [s, ...rows.filter((x) => x.parentSpanId === s.spanId).flatMap(below)];
    return {
      listed: list.map((c) => c.correlationId), services: list.map((c) => c.services?.length), duration: one.duration,
      errors: rows.filter((r) => (r.statusCode || r.status) === 'error').length, drawn: rows.filter((r) => !r.parentSpanId).flatMap(below).length, spans: rows.length,
      logs: (logs.logs || []).map((l) => `${l.level.toUpperCase()} ${l.service} ${l.message}`),
    };
  },
};

// ---- tests ------------------------------------------------------------------------------------------------------------

const start = () => startClew(['--ollystack', '127.0.0.1:0']);
const getter = (base) => async (path) => (await fetch(base + path)).json();

test('every row of the contract holds on an empty server, at both places', async (t) => {
  const clew = await start();
  t.after(() => clew.stop());
  await askTable(clew, { trace: '0'.repeat(31) + '1', correlation: 'nobody' }, true);
  const get = getter(clew.ollystack);
  assert.match((await page.traces(get)).head, /^0 0 0\.00% 0\.0 0\.0 0\.0$/);
  assert.deepEqual(await page.map(get), { nodes: [], edges: [] });
  assert.deepEqual(await page.logs(get), []);
  assert.deepEqual(await page.dashboard(get), { lines: [], health: [] });
  assert.deepEqual((await page.red(get)).rows, []);
});

test('every row holds with a shop\'s data, and its page draws all of it', async (t) => {
  const clew = await start();
  t.after(() => clew.stop());
  const { orders, failed } = await fill(clew);
  await askTable(clew, failed[0], false);
  for (const base of [`${clew.api}/ollystack`, clew.ollystack]) {
    const get = getter(base);
    const dashboard = await page.dashboard(get);
    assert.equal(dashboard.lines.length, 10);
    assert.ok(dashboard.lines.some((l) => /api-gateway create-order 231981ms/.test(l)), 'ns divided by 1000: the display fault of upstream');
    assert.equal(dashboard.health.length, 4);
    const list = await page.traces(get);
    assert.equal(list.head, '24 3 12.50% 232.0 232.0 232.0', 'by index: the 13th of 24');
    assert.deepEqual(list.patterns, ['api-gateway 3']);
    const red = await page.red(get);
    assert.deepEqual([red.rate, red.errors, red.unique, red.total], ['12.5', '3', '1', '2']);
    const trace = await page.trace(get, failed[0].trace);
    assert.deepEqual([trace.drawn, trace.all, trace.errors], [6, 6, 3]);
    assert.ok(Math.abs(trace.totalMs - 231.981) < 0.01);
    assert.ok(Math.abs(Date.parse(trace.date) - Date.now()) < 600000);
    assert.deepEqual([...new Set(trace.kinds)].sort(), ['CLIENT', 'INTERNAL', 'SERVER']);
    const analysis = await page.analysis(get, failed[0].trace);
    assert.equal(analysis.cause, 'process-payment', 'the deepest');
    assert.ok(analysis.factors.length > 0 && analysis.path.length === 6 && analysis.recommendations > 0);
    assert.equal((await page.analysis(get, orders[0].trace)).cause, undefined);
    const logs = await page.logs(get);
    assert.equal(logs.length, 24);
    assert.deepEqual([...new Set(logs.map((l) => l.level))].sort(), ['error', 'info', 'warn']);
    assert.ok(orders.every((o) => logs.some((l) => l.link === o.correlation)));
    const map = await page.map(get);
    assert.deepEqual(map.edges, ['api-gateway->order-service', 'order-service->payment-service']);
    assert.equal(map.nodes.length, 4);
    assert.equal((await page.metrics(get)).filter((l) => l.endsWith(' true')).length, 4);
    const found = await page.correlation(get, failed[0].correlation);
    assert.ok(orders.every((o) => found.listed.includes(o.correlation)));
    assert.equal(found.listed.length, 12);
    assert.deepEqual([found.spans, found.drawn, found.errors], [7, 7, 3], 'both traces of it, also the spans without an id of their own');
    assert.deepEqual(found.logs.sort(), ['ERROR payment-service payment <declined>', 'INFO api-gateway order created']);
    assert.ok(Math.abs(found.duration - 300e6) < 2e6, 'from the first start to the last end');
  }
});

test('text is Go\'s, an id of a request comes back, and only listed pages of other origins may ask', async (t) => {
  const clew = await startClew(['--ollystack', '127.0.0.1:0', '--cors-origin', 'http://page.example:3000']);
  t.after(() => clew.stop());
  const ask = (path, options) => fetch(clew.ollystack + path, options);
  await post(`${clew.ollystack}/v1/traces`, { resourceSpans: [{ resource: { attributes: [text('service.name', '<a>&')] }, scopeSpans: [{ spans: [span(hex(16), hex(8), '', '', 'x', Date.now() - 1000, 1).span] }] }] });
  const raw = await until(async () => (await ask('/api/v1/traces')).text(), (b) => b.includes('serviceName'));
  assert.ok(raw.includes('"serviceName":"\\u003ca\\u003e\\u0026"'), raw);
  assert.equal((await ask('/api/v1/traces', { headers: { 'X-Request-ID': 'mine-7' } })).headers.get('x-request-id'), 'mine-7');
  const slash = await ask('/api/v1/traces/?limit=1', { redirect: 'manual' });
  assert.equal(slash.headers.get('location'), '/api/v1/traces?limit=1');
  assert.equal((await ask('/api/v1/traces', { headers: { Origin: 'http://stranger.example' } })).status, 403);
  const preflight = await ask('/api/v1/correlate/search', { method: 'OPTIONS', headers: { Origin: 'http://page.example:3000', 'Access-Control-Request-Method': 'POST' } });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), 'http://page.example:3000');
  assert.match(preflight.headers.get('access-control-allow-methods'), /GET, POST, PUT, DELETE, OPTIONS/);
  assert.match(preflight.headers.get('access-control-allow-headers'), /X-Correlation-ID.*traceparent/);
  assert.equal(preflight.headers.get('access-control-max-age'), '86400');
  const strange = await ask('/api/v1/correlate/search', { method: 'OPTIONS', headers: { Origin: 'http://stranger.example', 'Access-Control-Request-Method': 'POST' } });
  assert.equal(strange.status, 204);
  assert.equal(await strange.text(), '');
  assert.equal(strange.headers.get('access-control-allow-origin'), null);
});

// ---- sockets ----------------------------------------------------------------------------------------------------------

/** A WebSocket by hand: what came, in pieces; `send` masks. */
function openSocket(base, path, headers = {}, method = 'GET') {
  const { hostname, port } = new URL(base);
  const socket = net.connect(Number(port), hostname);
  const key = randomBytes(16).toString('base64');
  let got = Buffer.alloc(0);
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('data', (d) => { got = Buffer.concat([got, d]); });
  socket.on('error', () => {});
  const fields = { Host: `${hostname}:${port}`, Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': key, ...headers };
  socket.write(`${method} ${path} HTTP/1.1\r\n${Object.entries(fields).map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`);
  return {
    socket, closed, got: () => got,
    head: () => until(async () => got.toString('latin1'), (s) => s.includes('\r\n\r\n')),
    send(opcode, payload) {
      const mask = randomBytes(4), data = Buffer.from(payload);
      socket.write(Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | data.length]), mask, data.map((b, i) => b ^ mask[i % 4])]));
    },
  };
}

test('a socket takes subscriptions, answers pings and closes, and there are only so many', async (t) => {
  const clew = await start();
  t.after(() => clew.stop());
  for (const [base, path] of [[clew.ollystack, '/ws'], [clew.api, '/ollystack/ws'], [clew.ollystack, '/api/v1/logs/tail']]) {
    const s = openSocket(base, path);
    assert.match(await s.head(), /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    s.send(1, JSON.stringify({ type: 'subscribe', channel: 'traces' }));
    s.send(1, JSON.stringify({ type: 'unsubscribe', channel: 'traces' }));
    s.send(9, 'there?');
    await until(async () => s.got().toString('latin1'), (x) => x.endsWith('there?'));
    s.send(8, Buffer.from([3, 232]));
    await until(async () => s.got(), (b) => b.includes(Buffer.from([0x88, 2, 3, 232])));
    s.socket.end();
    await s.closed;
  }
  if (typeof WebSocket === 'function') { /* Node's own client, from 22 on */
    const ws = new WebSocket(clew.ollystack.replace('http', 'ws') + '/ws');
    await new Promise((resolve, reject) => { ws.onopen = resolve; ws.onerror = reject; });
    ws.send('{"type":"subscribe","channel":"alerts"}');
    ws.close();
    await new Promise((resolve) => { ws.onclose = resolve; });
  }
  const stranger = openSocket(clew.ollystack, '/ws', { Origin: 'http://stranger.example' });
  assert.match(await stranger.head(), /^HTTP\/1\.1 403 /);
  const old = openSocket(clew.ollystack, '/ws', { 'Sec-WebSocket-Version': '8' });
  assert.match(await old.head(), /^HTTP\/1\.1 400 [^]*Sec-WebSocket-Version: 13\r\n/);
  const head = openSocket(clew.ollystack, '/ws', {}, 'HEAD');
  assert.match(await head.head(), /^HTTP\/1\.1 400 /);
  head.socket.destroy();
  stranger.socket.destroy();
  old.socket.destroy();
  const open = Array.from({ length: 64 }, () => openSocket(clew.ollystack, '/ws'));
  for (const s of open) assert.match(await s.head(), /^HTTP\/1\.1 101 /);
  const late = openSocket(clew.ollystack, '/ws');
  assert.match(await late.head(), /^HTTP\/1\.1 429 [^]*64 sockets/);
  late.socket.destroy();
  open[0].socket.destroy();
  await until(async () => { const s = openSocket(clew.ollystack, '/ws'); const head = await s.head(); s.socket.destroy(); return head; }, (h) => h.startsWith('HTTP/1.1 101'));
  const began = Date.now();
  assert.equal((await clew.stop({ keep: true })).code, 0);
  assert.ok(Date.now() - began < 8000, 'sockets do not hold up the end');
});

test('tokens decide by role, in words of upstream\'s', async (t) => {
  const { execFileSync } = await import('node:child_process');
  const { binary } = await import('./clew.mjs');
  const clew = await start();
  t.after(() => clew.stop());
  const make = (name, role) => execFileSync(binary, ['token', 'new', name, '--role', role, '--data', `${clew.dir}/data`], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  const reads = make('reads', 'read'), sends = make('sends', 'ingest');
  const ask = async (path, token, options = {}) => {
    const answer = await fetch(clew.ollystack + path, { ...options, headers: token ? { Authorization: token } : {} });
    return [answer.status, await answer.text()];
  };
  await until(() => ask('/api/v1/traces'), ([status]) => status === 401);
  assert.deepEqual(await ask('/api/v1/traces'), [401, '{"error":"missing authorization header"}']);
  assert.deepEqual(await ask('/api/v1/traces', 'Digest x'), [401, '{"error":"invalid authorization header"}']);
  assert.deepEqual(await ask('/api/v1/traces', 'Bearer x'), [401, '{"error":"invalid token"}']);
  assert.deepEqual(await ask('/ai/api/v1/services/health'), [401, '{"detail":"missing authorization header"}']);
  assert.equal((await ask('/api/v1/traces', `Bearer ${reads}`))[0], 200);
  assert.equal((await ask('/api/v1/traces', `Bearer ${sends}`))[0], 403);
  assert.equal((await ask('/api/v1/alerts', `Bearer ${reads}`, { method: 'POST', body: '{}' }))[0], 403);
  assert.equal((await ask('/health'))[0], 200);
});
