// Traces and services as they are counted and concluded, against a real clew: aggregates of rollups beside a count, groups, services over time and
// how they are, the analysis of a trace beside the day before it, clocks, rings and orphans, and mistakes where they began.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { binary, getJson, startClew } from './clew.mjs';

const MINUTES = 15, EACH = 40;
const hex = (n, size) => n.toString(16).padStart(size, '0');
const attributes = (of) => Object.entries(of).map(([key, v]) => ({ key, value: typeof v === 'number' ? { intValue: String(v) } : { stringValue: v } }));
const resource = (service, environment = 'prod') => ({ attributes: attributes({ 'service.name': service, 'service.namespace': 'shop', 'deployment.environment.name': environment }) });
const ns = (ms) => `${BigInt(Math.round(ms * 1000))}000`;
const span = (trace, id, parent, kind, name, atMs, tookMs, more = {}) => ({ traceId: hex(trace, 32), spanId: hex(trace * 100 + id, 16), ...(parent ? { parentSpanId: hex(trace * 100 + parent, 16) } : {}), kind, name, startTimeUnixNano: ns(atMs), endTimeUnixNano: ns(atMs + tookMs), ...more });
const failed = { status: { code: 2 } };
const exception = (type, message, atMs) => ({ events: [{ timeUnixNano: ns(atMs), name: 'exception', attributes: attributes({ 'exception.type': type, 'exception.message': message }) }] });

async function post(clew, parts) {
  const answer = await fetch(`${clew.otlp}/v1/traces`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ resourceSpans: Object.entries(parts).map(([service, spans]) => ({ resource: resource(service), scopeSpans: [{ spans }] })) }) });
  assert.equal(answer.status, 200, await answer.text());
}

/** EACH requests in each of MINUTES minutes: web serves and calls pay, every tenth fails at pay's bank and all the way up. */
async function usual(clew, firstMs) {
  const parts = { web: [], pay: [], bank: [] };
  for (let i = 0; i < MINUTES * EACH; i++) {
    const trace = i + 1, at = firstMs + Math.floor(i / EACH) * 60_000 + i % EACH * 1000, bad = i % 10 === 9 ? failed : {}, more = { ...bad, attributes: attributes({ 'http.request.method': i % 2 ? 'POST' : 'GET' }) };
    parts.web.push(span(trace, 1, 0, 2, 'GET /', at, 100 + i % 7, more), span(trace, 2, 1, 3, 'call pay', at + 10, 60, bad));
    parts.pay.push(span(trace, 3, 2, 2, 'POST /pay', at + 20, 40, bad), span(trace, 4, 3, 3, 'call bank', at + 25, 30, bad));
    parts.bank.push(span(trace, 5, 4, 2, 'charge', at + 30, 20, bad.status ? { ...bad, ...exception('CardError', 'declined', at + 40) } : {}));
  }
  await post(clew, parts);
}

test('traces and services: counted, grouped, concluded', async (t) => {
  const clew = await startClew();
  t.after(() => clew.stop());
  const minute = Math.floor(Date.now() / 60_000), first = (minute - MINUTES - 3) * 60_000, calls = MINUTES * EACH;
  const range = `start=${first}&end=${first + MINUTES * 60_000 - 1}`;
  await usual(clew, first);
  const ask = (path) => getJson(`${clew.api}/api/v1/${path}`);

  await t.test('an aggregate of rollups is that of a count', async () => {
    for (const by of ['service,operation', 'service', 'operation']) {
      const rolled = await ask(`traces/aggregate?${range}&by=${by}`), counted = await ask(`traces/aggregate?${range}&by=${by}&rollups=false`);
      assert.deepEqual([rolled.rollups, counted.rollups], [true, false]);
      assert.equal(counted.span_count, 5 * calls);
      assert.equal(rolled.row_count, by === 'service' ? 3 : 5);
      const key = (r) => `${r.service} ${r.operation}`, of = new Map(counted.rows.map((r) => [key(r), r]));
      for (const row of [...rolled.rows, { ...rolled, service: undefined }]) {
        const other = row.service || row.operation ? of.get(key(row)) : counted;
        assert.deepEqual([row.span_count, row.error_count, row.duration.mean_ns, row.duration.max_ns], [other.span_count, other.error_count, other.duration.mean_ns, other.duration.max_ns]);
        for (const p of ['p50_ns', 'p90_ns', 'p95_ns', 'p99_ns']) assert.ok(Math.abs(row.duration[p] / other.duration[p] - 1) < 0.062, `${key(row)} ${p}`); // 4.4 % and 1.6 %
      }
    }
    assert.equal((await ask(`traces/aggregate?${range}&where=http.request.method%3DGET`)).rollups, false);
  });

  await t.test('groups by two keys', async () => {
    const groups = await ask(`traces/groups?${range}&by=service&by=http.request.method`);
    assert.deepEqual(groups.groups.map((g) => [...g.values, g.span_count]).sort(), [['web', 'GET', calls / 2], ['web', 'POST', calls / 2], ['web', null, calls], ['pay', null, 2 * calls], ['bank', null, calls]].sort());
    for (const g of groups.groups) assert.equal(g.sample_trace_ids.length, 5);
  });

  await t.test('services over time, and how they are', async () => {
    const series = await ask(`services/timeseries?${range}&step=5m&service=bank`), [bank] = series.services;
    assert.equal(bank.bucket_span_counts.reduce((a, b) => a + b), calls);
    assert.equal(bank.bucket_error_counts.reduce((a, b) => a + b), calls / 10);
    assert.equal(bank.bucket_p95_ns.length, series.bucket_starts.length);
    bank.bucket_span_counts.forEach((n, i) => (n ? assert.ok(Math.abs(bank.bucket_p50_ns[i] / 20e6 - 1) < 0.05) : assert.equal(bank.bucket_p50_ns[i], null)));
    const health = await ask(`services/health?${range}`);
    assert.deepEqual(health.services.map((s) => [s.service, s.status]).sort(), [['bank', 'critical'], ['pay', 'critical'], ['web', 'critical']]);
    assert.deepEqual(health.services[0].reasons, [{ figure: 'error_ratio', status: 'critical', value: 0.1, limit: 0.05 }]);
    const strict = await ask(`services/health?${range}&critical_p95=50ms&degraded_error_percent=50&critical_error_percent=50&degraded_p95=50ms`);
    assert.deepEqual(strict.services.map((s) => [s.service, s.status]), [['web', 'critical'], ['pay', 'healthy'], ['bank', 'healthy']]);
    assert.deepEqual([strict.healthy_count, strict.critical_count], [2, 1]);
    const stats = await ask(`traces/stats?${range}&services=5`), edges = (await ask(`topology/edges?${range}`)).edges, { nodes } = await ask(`topology/graph?${range}`);
    assert.deepEqual(stats.services.map((s) => [s.service, s.error_ratio, s.error_status]).sort(), [['bank', 0.1, 'critical'], ['pay', 0.1, 'critical'], ['web', 0.1, 'critical']], 'one set of limits');
    assert.deepEqual([...edges, ...nodes].filter((x) => (x.error_status === 'critical') !== ((x.client ? x.error_ratio : (x.errors_in || x.error_count) / (x.calls_in || x.span_count)) > 0.05)), []);
    assert.equal(nodes.find((n) => n.name === 'bank').error_status, 'critical');
    const olly = await getJson(`${clew.api}/ollystack/ai/api/v1/services/health?window_minutes=30`);
    assert.equal(olly.services.find((s) => s.service === 'bank').status, 'degraded', 'of its own contract: over 5 and over 10 %');
    // a minute that has just begun
    await post(clew, { fresh: [span(900_000, 1, 0, 2, 'GET /now', Date.now() - 5, 3)] });
    const now = await ask('services/timeseries?start=now-2m&service=fresh&step=1m');
    assert.equal(now.services[0].bucket_span_counts.reduce((a, b) => a + b), 1);
  });

  await t.test('a mistake shows where it began, once, with its callers and its exception', async () => {
    const errors = await ask(`errors?${range}`);
    assert.equal(errors.group_count, 1);
    const [g] = errors.groups;
    assert.deepEqual([errors.error_count, errors.passed_through_count, g.count, g.passed_through_count], [calls / 2, 4 * calls / 10, calls / 10, 4 * calls / 10]);
    assert.deepEqual([g.service, g.operation, g.exception_type, g.exception_message], ['bank', 'charge', 'CardError', 'declined']);
    assert.deepEqual(g.callers.map((c) => `${c.service} ${c.operation} ${c.count}`).sort(), ['pay POST /pay', 'pay call bank', 'web GET /', 'web call pay'].map((c) => `${c} ${calls / 10}`));
    assert.deepEqual((await ask(`errors?${range}&fingerprint=${g.fingerprint}`)).groups, errors.groups);
  });

  await t.test('the analysis: slower than usual, again and again, a gap, the cause; every proof answers', async () => {
    const trace = 800_000, at = (minute - 1) * 60_000, web = [span(trace, 1, 0, 2, 'GET /', at, 900, failed)];
    for (let i = 0; i < 12; i++) web.push(span(trace, 10 + i, 1, 3, 'SELECT item', at + 10 + i * 10, 8));
    web.push(span(trace, 2, 1, 3, 'call pay', at + 500, 380, failed));
    await post(clew, { web, pay: [span(trace, 3, 2, 2, 'POST /pay', at + 510, 360, { ...failed, ...exception('Timeout', 'bank did not answer', at + 600) })] });
    const a = await ask(`traces/${hex(trace, 32)}/analysis`);
    assert.match(a.summary, /^Failed: 15 spans of 2 services in 900ms, 3 failed\. The deepest failure is pay: POST \/pay\. 47% of the critical path is web: GET \/\./);
    assert.ok(Math.abs(a.critical_path.steps.reduce((sum, s) => sum + s.self_time_ns, 0) - 900e6) < 1e3, JSON.stringify(a.critical_path));
    assert.deepEqual(a.root_cause.chain.map((s) => [s.service, s.operation, s.error_type]), [['pay', 'POST /pay', 'Timeout'], ['web', 'call pay', ''], ['web', 'GET /', '']]);
    assert.equal(a.root_cause.chain[0].message, 'bank did not answer');
    assert.deepEqual(a.slow.spans.map((s) => s.operation), ['GET /', 'call pay', 'POST /pay']);
    assert.ok(a.slow.spans.every((s) => s.usual_count === calls && s.times_p95_ratio > 5));
    assert.deepEqual(a.repeats.calls.map((r) => [r.parent.operation, r.first.operation, r.count]), [['GET /', 'SELECT item', 12]]);
    assert.deepEqual(a.gaps.stretches.map((g) => [g.operation, g.duration_ns]), [['GET /', 372e6]]);
    const proofs = JSON.stringify(a).match(/"query":"[^"]+"/g).map((q) => JSON.parse(`{${q}}`).query);
    assert.ok(proofs.length > 8);
    for (const proof of proofs) await getJson(clew.api + proof);
    const told = execFileSync(binary, ['analyze', hex(trace, 32), '--server', clew.api], { encoding: 'utf8' });
    assert.ok(told.startsWith(a.summary));
    for (const words of [/✗ pay POST \/pay  Timeout: bank did not answer/, /12 times  web SELECT item, called by web GET \//, /372ms  web GET \//]) assert.match(told, words);
    const usual = await getJson(clew.api + a.slow.spans[0].query);
    assert.deepEqual([usual.rows[0].operation, usual.rows[0].duration.p95_ns, usual.rollups], ['GET /', a.slow.spans[0].usual_p95_ns, true]);
  });

  await t.test('clocks: told of, beside stored times', async () => {
    const trace = 800_001, at = (minute - 1) * 60_000, ahead = -123_000;
    await post(clew, { web: [span(trace, 1, 0, 2, 'GET /', at, 100), span(trace, 2, 1, 3, 'call', at + 10, 80)], pay: [span(trace, 3, 2, 2, 'POST', at + 20 + ahead, 60, failed), span(trace, 4, 3, 1, 'work', at + 30 + ahead, 10)] });
    const id = hex(trace, 32), whole = await ask(`traces/${id}`), columns = await ask(`traces/${id}/columns`), analysis = await ask(`traces/${id}/analysis`);
    const clocks = [{ service: 'pay', ahead_ns: ahead * 1e6, call_count: 1, against_count: 0 }];
    for (const answer of [whole, columns, analysis]) assert.deepEqual(answer.clocks, clocks);
    assert.deepEqual(whole.spans.map((s) => s.skew_ns ?? 0), [0, 0, ahead * 1e6, ahead * 1e6]);
    assert.deepEqual(columns.columns.skew_ns, [0, 0, ahead * 1e6, ahead * 1e6]);
    assert.equal(Date.parse(whole.spans[2].start), at + 20 + ahead);
    assert.equal(analysis.duration_ns, 100e6);
    assert.equal(analysis.critical_path.steps.length, 4);
    assert.match(execFileSync(binary, ['trace', id, '--server', clew.api], { encoding: 'utf8' }), /100ms, 4 spans[^]*the clock of pay is 2m3s behind: corrected/);
    assert.match(analysis.summary, /1 clock is ahead or behind, which is corrected here/);
  });

  await t.test('rings, orphans, a span of days, a parent of itself: the trace and its analysis stand', async () => {
    const at = (minute - 1) * 60_000, day = 86_400_000;
    const shapes = {
      ring: [span(800_002, 1, 3, 2, 'a', at, 10, failed), span(800_002, 2, 1, 1, 'b', at + 1, 5, failed), span(800_002, 3, 2, 1, 'c', at + 2, 2, failed)],
      self: [span(800_003, 1, 1, 2, 'a', at, 10, failed)],
      orphans: [span(800_004, 1, 50, 2, 'a', at, 10), span(800_004, 2, 51, 2, 'b', at + 5, 10, failed)],
      days: [span(800_005, 1, 0, 2, 'a', at - 3 * day, 3 * day), span(800_005, 2, 1, 1, 'b', at - day, day / 2, failed)],
      none: [span(800_006, 1, 0, 2, 'a', at, 0)],
    };
    for (const [name, spans] of Object.entries(shapes)) {
      await post(clew, { shapes: spans });
      const id = spans[0].traceId, whole = await ask(`traces/${id}`), a = await ask(`traces/${id}/analysis`);
      assert.equal(whole.spans.length, spans.length, name);
      assert.equal(a.span_count, spans.length, name);
      assert.equal(a.error_count, spans.filter((s) => s.status).length, name);
      assert.equal(a.root_cause === null, a.error_count === 0, name);
      const path = a.critical_path.steps.reduce((sum, s) => sum + s.self_time_ns, 0);
      assert.equal(path, a.critical_path.duration_ns, name);
      assert.deepEqual(a.clocks, [], name);
    }
    const ring = await ask(`errors?start=${at}&end=${at + 59_999}&service=shapes&text=a`);
    assert.equal(ring.error_count, 2, 'of the ring and of the one that is its own parent');
  });
});
