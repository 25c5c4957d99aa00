// Spans that came by OTLP as rates, histograms, exemplars and a service graph in PromQL; the lists of services and edges beside a count of the spans.
import test from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getJson, startClew, until } from './clew.mjs';
import { ask, load } from './promql.mjs';
import { temporary } from './processes.mjs';

const MINUTES = 12, EACH = 6; // whole minutes that have ended, and requests in each
const hex = (n, size) => n.toString(16).padStart(size, '0');
const attributes = (of) => Object.entries(of).map(([key, stringValue]) => ({ key, value: { stringValue } }));

/** A request: web serves it, calls pay (which fails now and then), pay asks its database, web an API that sends nothing. */
function request(n, atMs) {
  const traceId = hex(n + 1, 32), at = BigInt(atMs) * 1000000n, failed = n % 6 === 5 ? { status: { code: 2 } } : {};
  const span = (id, parent, kind, name, ms, more = {}) => ({ traceId, spanId: hex(n * 8 + id, 16), ...(parent ? { parentSpanId: hex(n * 8 + parent, 16) } : {}), kind, name,
    startTimeUnixNano: `${at + BigInt(id)}`, endTimeUnixNano: `${at + BigInt(id) + BigInt(ms) * 1000000n}`, ...more });
  return { web: [span(1, 0, 2, 'GET /', 100), span(2, 1, 3, 'call', 60, failed), span(5, 1, 3, 'send', 5, { attributes: attributes({ 'peer.service': 'mail.example' }) })],
    pay: [span(3, 2, 2, 'POST /pay', 50, failed), span(4, 3, 3, 'select', 10, { attributes: attributes({ 'db.system.name': 'postgresql', 'db.namespace': 'orders' }) })] };
}

async function send(clew, firstMs) {
  const all = Array.from({ length: MINUTES * EACH }, (_, i) => request(i, firstMs + Math.floor(i / EACH) * 60000 + i % EACH * 9000));
  const part = (service, spans) => ({ resource: { attributes: attributes({ 'service.name': service, 'service.namespace': 'shop', 'deployment.environment.name': 'prod', 'telemetry.sdk.language': 'nodejs', 'service.version': '1.2.3', 'service.instance.id': `${service}-1` }) }, scopeSpans: [{ spans }] });
  const post = async (resourceSpans) => {
    const answer = await fetch(`${clew.otlp}/v1/traces`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ resourceSpans }) });
    assert.equal(answer.status, 200, await answer.text());
  };
  await post([part('web', all.flatMap((r) => r.web))]);
  await post([part('pay', all.flatMap((r) => r.pay))]); // the other halves come later
}

const vector = async (clew, query, seconds) => {
  const { status, body, text } = await ask(clew, `/api/v1/query?query=${encodeURIComponent(query)}&time=${seconds}`);
  assert.equal(status, 200, text);
  return body.data.result.map(({ metric, value }) => [metric, Number(value[1])]);
};
const near = (a, b, by = 1e-6) => assert.ok(Math.abs(a - b) <= by * Math.max(1, Math.abs(b)), `${a}, not ${b}`);

test('spans are series, edges and services', async (t) => {
  const rules = temporary('rollups');
  mkdirSync(join(rules, 'rules'));
  writeFileSync(join(rules, 'rules/r.yml'), 'groups:\n  - name: g\n    interval: 1s\n    rules:\n      - record: service:calls:increase\n        expr: sum by (service) (increase(traces_spanmetrics_calls_total[1h]))\n');
  let clew = await startClew(['--rules', join(rules, 'rules/*.yml')]);
  t.after(() => clew.stop());
  const minute = Math.floor(Date.now() / 60000), first = (minute - MINUTES - 2) * 60000, end = minute * 60 - 120, calls = MINUTES * EACH;
  await send(clew, first);
  const query = (text) => vector(clew, text, end);

  await t.test('calls, errors and durations by operation', async () => {
    const all = await query('traces_spanmetrics_calls_total{service="web",span_name="GET /"}');
    assert.equal(all.length, 1);
    assert.deepEqual(all[0][0], { __name__: 'traces_spanmetrics_calls_total', environment: 'prod', service: 'web', service_namespace: 'shop', span_kind: 'SPAN_KIND_SERVER', span_name: 'GET /', status_code: 'STATUS_CODE_UNSET' });
    near((await query('sum(rate(traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER",service="web"}[5m]))'))[0][1], EACH / 60);
    near((await query('sum(rate(traces_spanmetrics_calls_total{service="pay",status_code="STATUS_CODE_ERROR"}[5m]))'))[0][1], EACH / 60 / 6);
    const [, p95] = (await query('histogram_quantile(0.95, sum by (le) (rate(traces_spanmetrics_latency_bucket{service="web",span_name="GET /"}[5m])))'))[0];
    assert.ok(p95 > 0.064 && p95 <= 0.128, `${p95}`);
    near((await query('sum(rate(traces_spanmetrics_latency_sum{span_name="select"}[5m])) / sum(rate(traces_spanmetrics_latency_count{span_name="select"}[5m]))'))[0][1], 0.01);
  });

  await t.test("Grafana's service graph", async () => {
    const edges = Object.fromEntries((await query('sum by (client, server, connection_type) (rate(traces_service_graph_request_total[5m]))')).map(([m, v]) => [`${m.client} ${m.server} ${m.connection_type ?? ''}`, v]));
    assert.deepEqual(Object.keys(edges).sort(), ['pay postgresql:orders database', 'user web virtual_node', 'web mail.example virtual_node', 'web pay ']);
    for (const v of Object.values(edges)) near(v, EACH / 60);
    near((await query('sum by (client, server) (rate(traces_service_graph_request_failed_total{server="pay"}[5m]))'))[0][1], EACH / 60 / 6);
    near((await query('sum(rate(traces_service_graph_request_server_seconds_sum{server="pay"}[5m])) / sum(rate(traces_service_graph_request_server_seconds_count{server="pay"}[5m]))'))[0][1], 0.05);
    near((await query('sum(rate(traces_service_graph_request_client_seconds_sum{server="pay"}[5m])) / sum(rate(traces_service_graph_request_client_seconds_count{server="pay"}[5m]))'))[0][1], 0.06);
  });

  await t.test('exemplars lead to traces', async () => {
    const { body } = await ask(clew, `/api/v1/query_exemplars?query=${encodeURIComponent('traces_spanmetrics_latency_bucket{service="web",span_name="GET /"}')}&start=${first / 1000}&end=${end}`);
    assert.equal(body.data.length, 1);
    const [{ seriesLabels, exemplars }] = body.data;
    assert.equal(seriesLabels.le, '0.128');
    near(Number(exemplars[0].value), 0.1);
    const trace = await getJson(`${clew.api}/api/v1/traces/${exemplars[0].labels.trace_id}`);
    assert.equal(trace.root.operation, 'GET /');
  });

  await t.test('they are found: names, values, series, metadata, federation', async () => {
    const range = `start=${first / 1000}&end=${end}`;
    const get = async (path) => (await ask(clew, path)).body.data;
    const names = await get(`/api/v1/label/__name__/values?${range}`);
    for (const name of ['traces_spanmetrics_calls_total', 'traces_spanmetrics_latency_bucket', 'traces_service_graph_request_total']) assert.ok(names.includes(name), name);
    assert.deepEqual(await get(`/api/v1/label/server/values?${range}&match[]=traces_service_graph_request_total`), ['mail.example', 'pay', 'postgresql:orders', 'web']);
    assert.equal((await get(`/api/v1/series?${range}&match[]=${encodeURIComponent('traces_spanmetrics_latency_bucket{span_name="select"}')}`)).length, 15);
    assert.deepEqual((await get('/api/v1/metadata?metric=traces_spanmetrics_latency')).traces_spanmetrics_latency[0].type, 'histogram');
    const shown = await getJson(`${clew.api}/api/v1/metrics/cardinality?match[]=traces_spanmetrics_calls_total&start=${first * 1e6}&end=${end * 1e9}`);
    assert.ok(shown.labels.some((l) => l.name === 'span_name' && l.values === 5), JSON.stringify(shown.labels));
  });

  await t.test('services and edges are those of a count of spans', async () => {
    const range = `start=${first / 1000}&end=${end}`;
    const listed = await getJson(`${clew.api}/api/v1/services?counts=true&${range}`);
    assert.equal(listed.rollups, true);
    assert.equal(listed.other_count, 0);
    for (const service of listed.services) {
      const counted = await getJson(`${clew.api}/api/v1/traces/stats?service=${service.name}&start=${encodeURIComponent(listed.range.start)}&end=${encodeURIComponent(listed.range.end)}`);
      assert.equal(counted.rollups, false);
      for (const key of ['span_count', 'error_count', 'error_ratio']) assert.equal(service[key], counted[key], `${service.name} ${key}`);
      for (const key of ['p50_ns', 'p95_ns', 'p99_ns', 'mean_ns', 'max_ns']) near(service.duration[key], counted.duration[key], 0.06);
    }
    assert.deepEqual(listed.services.map((s) => [s.name, s.span_count]), [['pay', 2 * calls], ['web', 3 * calls]]);
    const { edges } = await getJson(`${clew.api}/api/v1/topology/edges?${range}`);
    assert.deepEqual(edges.map((e) => [e.client.service, e.server.service, e.connection, e.call_count]).sort(),
      [['pay', 'postgresql:orders', 'database', calls], ['user', 'web', 'virtual_node', calls], ['web', 'mail.example', 'virtual_node', calls], ['web', 'pay', 'direct', calls]]);
    assert.equal((await getJson(`${clew.api}/api/v1/topology/edges?${range}&service=mail.example`)).edges.length, 1);
    const graph = await getJson(`${clew.api}/api/v1/topology/graph?${range}`);
    assert.deepEqual(graph.nodes.map((n) => [n.name, n.kind]).sort(), [['mail.example', 'peer'], ['pay', 'service'], ['postgresql:orders', 'database'], ['user', 'peer'], ['web', 'service']]);
    const of = (name) => graph.nodes.find((n) => n.name === name);
    assert.deepEqual([of('web').calls_in, of('web').calls_out, of('web').span_count, of('web').instance_count, of('web').language, of('user').span_count], [calls, 2 * calls, 3 * calls, 1, 'nodejs', 0]);
    assert.deepEqual(graph.edges.map((e) => `${graph.nodes[e.client].name} ${graph.nodes[e.server].name} ${e.call_count}`).sort(), edges.map((e) => `${e.client.service} ${e.server.service} ${e.call_count}`).sort());
    for (const e of graph.edges) assert.ok(graph.nodes[e.client].x < graph.nodes[e.server].x, 'callers stand left of whom they call');
    assert.deepEqual(of('pay').versions, ['1.2.3']);
    const around = await getJson(`${clew.api}/api/v1/topology/graph?${range}&focus=postgresql:orders&steps=1`);
    assert.deepEqual(around.nodes.map((n) => [n.name, n.distance]), [['postgresql:orders', 0], ['pay', 1]]);
    assert.equal(around.left_out, 3);
    const known = await getJson(`${clew.api}/api/v1/topology/services?${range}&limit=2`);
    assert.deepEqual([known.services.length, known.left_out], [2, 3]);
    const home = await getJson(`${clew.api}/api/v1/traces/stats?rollups=true&step=60s&services=10&${range}`);
    assert.equal(home.rollups, true);
    assert.equal(home.span_count, 5 * calls);
    assert.equal(home.trace_count, null);
    const operations = await getJson(`${clew.api}/api/v1/services/web/operations?rollups=true&${range}`);
    assert.deepEqual(operations.operations.map((o) => [o.operation, o.span_count]), [['GET /', calls], ['call', calls], ['send', calls]]);
  });

  await t.test('rules are evaluated over them', async () => {
    const [, v] = await until(async () => (await vector(clew, 'service:calls:increase{service="pay"}', Date.now() / 1000))[0] ?? [], ([, value]) => value > 0);
    assert.ok(v > calls && v < 3 * calls, `${v}`);
  });

  await t.test('a restart, and a kill, change nothing', async () => {
    const before = await query('sum by (service, span_name) (traces_spanmetrics_calls_total)');
    const edges = await query('sum by (client, server) (traces_service_graph_request_total)');
    for (const signal of ['SIGKILL', 'SIGTERM']) {
      await clew.stop({ signal, keep: true });
      clew = await startClew([], clew.dir);
    }
    assert.deepEqual(await query('sum by (service, span_name) (traces_spanmetrics_calls_total)'), before);
    assert.deepEqual(await query('sum by (client, server) (traces_service_graph_request_total)'), edges);
  });

  await t.test('what somebody stores under such a name is what is shown', async () => {
    await load(clew, `traces_spanmetrics_calls_total{service="tempo"} 7 ${end * 1000}\n`);
    assert.deepEqual((await query('traces_spanmetrics_calls_total')).map(([m, v]) => [m.service, v]), [['tempo', 7]]);
    assert.ok((await query('traces_spanmetrics_latency_count')).length > 0);
  });
});

test('a topic shows all that is published to it and taken from it', async (t) => {
  const clew = await startClew();
  t.after(() => clew.stop());
  const minute = Math.floor(Date.now() / 60000), first = (minute - MINUTES - 2) * 60000, range = `start=${first / 1000}&end=${minute * 60 - 120}`;
  const orders = { 'messaging.system': 'kafka', 'messaging.destination.name': 'orders' }, failed = { status: { code: 2 } }, parts = { shop: [], mail: [], audit: [] };
  const span = (trace, id, parent, kind, name, ms, more = {}) => ({ traceId: hex(trace, 32), spanId: hex(id, 16), ...(parent ? { parentSpanId: hex(parent, 16) } : {}), kind, name,
    startTimeUnixNano: `${BigInt(ms) * 1000000n}`, endTimeUnixNano: `${BigInt(ms + 5) * 1000000n}`, attributes: attributes(orders), ...more });
  for (let i = 0; i < 100; i++) {
    const at = first + i * 6000, id = 10 * i + 10, published = i >= 2; // the first two publishes fail, and nobody takes them
    parts.shop.push(span(i + 1, id, 0, 4, 'orders publish', at, published ? {} : failed));
    if (!published) continue;
    parts.mail.push(span(i + 1, id + 1, id, 5, 'orders process', at + 10, i < 32 ? failed : {})); // has the publish as its parent
    parts.audit.push(span(i + 1001, id + 2, 0, 5, 'orders process', at + 20, { links: [{ traceId: hex(i + 1, 32), spanId: hex(id, 16) }] })); // only links to it
  }
  for (const [service, spans] of Object.entries(parts)) {
    const answer = await fetch(`${clew.otlp}/v1/traces`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ resourceSpans: [{ resource: { attributes: attributes({ 'service.name': service }) }, scopeSpans: [{ spans }] }] }) });
    assert.equal(answer.status, 200, await answer.text());
  }
  const graph = await getJson(`${clew.api}/api/v1/topology/graph?${range}`), name = (i) => graph.nodes[i].name;
  assert.deepEqual(graph.edges.map((e) => [name(e.client), name(e.server), e.connection, e.call_count, e.error_count, e.error_status]).sort(),
    [['orders', 'audit', 'messaging_system', 98, 0, 'healthy'], ['orders', 'mail', 'messaging_system', 98, 30, 'critical'], ['shop', 'orders', 'messaging_system', 100, 2, 'degraded']]);
  const of = (wanted) => graph.nodes.find((n) => n.name === wanted);
  assert.deepEqual([of('orders').kind, of('orders').calls_in, of('orders').errors_in, of('orders').calls_out, of('orders').errors_out, of('orders').error_status], ['messaging', 100, 2, 196, 30, 'degraded']);
  assert.deepEqual([of('shop').calls_out, of('mail').calls_in, of('audit').calls_in], [100, 98, 98]);
  // who asks for pairs of services finds them, beside the topic's
  const { edges } = await getJson(`${clew.api}/api/v1/topology/edges?${range}`);
  assert.deepEqual(edges.filter((e) => e.server.service === 'mail').map((e) => [e.client.service, e.call_count]).sort(), [['orders', 98], ['shop', 98]]);
});

/** A request without one client span: a proxy's span above the server span of who it passes it to, which has spans made by hand, one of them above another service's. */
function bare(n, atMs) {
  const traceId = hex(n + 1, 32), at = BigInt(atMs) * 1000000n;
  const span = (id, parent, kind, ms, code = 0) => ({ traceId, spanId: hex(n * 8 + id, 16), ...(parent ? { parentSpanId: hex(n * 8 + parent, 16) } : {}), ...(kind ? { kind } : {}), name: `n${id}`,
    startTimeUnixNano: `${at}`, endTimeUnixNano: `${at + BigInt(ms) * 1000000n}`, status: { code } });
  return { proxy: [span(1, 0, 2, 90, n % 2 ? 2 : 0)], shop: [span(2, 1, 2, 80), span(3, 2, 1, 50)], stock: [span(4, 3, 1, 40, n % 3 ? 0 : 2), span(5, 4, 1, 30)], tool: [span(6, 3, 0, 20)] };
}

test('a call needs no client span to be an edge, before a flush, across it and after a kill', async (t) => {
  let clew = await startClew(['--ollystack', '127.0.0.1:0']);
  t.after(() => clew.stop());
  const first = Math.floor(Date.now() / 60000) * 60000 - 20 * 60000, calls = 60;
  const post = async (service, from, to) => {
    const spans = Array.from({ length: to - from }, (_, i) => bare(from + i, first + (from + i) * 10000)).flatMap((r) => r[service]);
    const answer = await fetch(`${clew.otlp}/v1/traces`, { method: 'POST', headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ resourceSpans: [{ resource: { attributes: attributes({ 'service.name': service }) }, scopeSpans: [{ spans }] }] }) });
    assert.equal(answer.status, 200, await answer.text());
  };
  const flush = async () => assert.equal((await fetch(`${clew.api}/api/v1/admin/flush`, { method: 'POST' })).status, 200);
  const range = `start=${first / 1000 - 60}&end=${first / 1000 + 1200}`;
  const expected = (n) => [['proxy', 'shop', 'direct', n, 0], ['shop', 'stock', 'direct', n, Math.ceil(n / 3)], ['shop', 'tool', 'direct', n, 0], ['user', 'proxy', 'virtual_node', n, Math.floor(n / 2)]];
  const check = async (n) => {
    const { edges } = await getJson(`${clew.api}/api/v1/topology/edges?${range}`);
    assert.deepEqual(edges.map((e) => [e.client.service, e.server.service, e.connection, e.call_count, e.error_count]).sort(), expected(n));
    const stock = edges.find((e) => e.server.service === 'stock');
    assert.equal(stock.client_duration, null);
    near(stock.server_duration.mean_ns, 40e6);
    const graph = await getJson(`${clew.api}/api/v1/topology/graph?${range}`);
    assert.deepEqual(graph.nodes.map((x) => [x.name, x.kind]).sort(), [['proxy', 'service'], ['shop', 'service'], ['stock', 'service'], ['tool', 'service'], ['user', 'peer']]);
    const counted = await getJson(`${clew.api}/jaeger/api/dependencies?endTs=${first + 1200000}&lookback=1260000`);
    assert.deepEqual(counted.data.map((d) => [d.parent, d.child, d.callCount]).sort(), expected(n).filter(([from]) => from !== 'user').map(([from, to, , count]) => [from, to, count]));
    const olly = await getJson(`${clew.ollystack}/api/v1/topology/graph`);
    assert.deepEqual(Object.values(olly.edges).map((e) => [e.source, e.target, e.requestCount]).sort(), counted.data.map((d) => [d.parent, d.child, d.callCount]).sort());
  };
  for (const service of ['proxy', 'tool', 'stock', 'shop']) await post(service, 0, 20);
  await check(20);
  await post('shop', 20, 40); /* parents first, then children first, a flush between them */
  await post('tool', 20, 40);
  await post('stock', 20, 40);
  await flush();
  await post('proxy', 20, 40);
  await check(40);
  await post('stock', 40, 60);
  await post('proxy', 40, 60);
  await flush();
  await clew.stop({ signal: 'SIGKILL', keep: true });
  clew = await startClew(['--ollystack', '127.0.0.1:0'], clew.dir);
  await post('shop', 40, 60);
  await flush();
  await post('tool', 40, 60);
  await check(calls);
  const seconds = Math.floor(Date.now() / 60000) * 60;
  const total = await vector(clew, 'sum by (client, server) (increase(traces_service_graph_request_total{server="stock"}[1h]))', seconds);
  assert.equal(total.length, 1);
});
