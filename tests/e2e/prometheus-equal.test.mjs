// Debian's Prometheus (2.42) scrapes and remote-writes into clew; then both are asked the same, and must say the same at relative 1e-9.
//
// 2.42's windows are closed on the left, those of 3.x open, so no evaluation time and no edge of a window or of the lookback may coincide with
// a sample: scrapes are 250 ms apart and stay on their grid, all ranges, offsets and steps are multiples of 250 ms, and times are chosen
// between the phases of all targets; that none coincides is checked on the samples. Series of rate, increase and delta span the whole window.
//
// Left out, by name, since they changed between 2.42 and 3.5:
//   holt_winters                                 renamed double_exponential_smoothing, and experimental
//   mad_over_time, sort_by_label(_desc), limitk, limit_ratio, info, ts_of_*, first_over_time, step(), range()   not in 2.42
//   histogram_avg, histogram_count, histogram_sum, histogram_stddev, histogram_stdvar, native histograms   changed, or only in 3.x
//   subqueries without a step                    the default step is the evaluation interval of a configuration file
//   rate, increase of what is near 0 or falls    the order of the zero limit and of the clamp changed (2.52): counters here begin high, gauges have deltas
//   atan2                                        2.42 keeps the metric's name
//   topk, bottomk where values are equal          which of them are taken is nobody's promise
//   quantile(s) and topk over NaN                NaN's place among others changed (3.0)
//   le and quantile labels                       3.x normalises them at the scrape; here 2.42 has scraped for both
import test from 'node:test';
import assert from 'node:assert/strict';
import { startClew, until } from './clew.mjs';
import { spawn } from './processes.mjs';
import { freePort, startPrometheus, startTarget } from './prometheus.mjs';
import { form } from './promql.mjs';

const GRID = 250, SECONDS = 36;

/** A target whose numbers are functions of time alone: of all kinds, with resets, gaps, NaN and infinities. */
function exposition(offset) { // no two targets' rates are equal: which of equals topk takes is nobody's promise
  const t = (Date.now() / 1000 + offset) * (1 + offset / 7), lines = [];
  const put = (name, type, rows) => { lines.push(`# HELP ${name} Of a test.`, `# TYPE ${name} ${type}`, ...rows.map(([labels, v]) => `${name}${labels} ${v}`)); };
  const routes = ['/a', '/b', '/c/{id}', '/ü'];
  put('shop_requests_total', 'counter', routes.flatMap((r, i) => ['200', '404', '500'].map((c, k) => [`{route="${r}",code="${c}"}`, 100000 + Math.floor((t % 100000) * (i + 1) * (3 - k))])));
  put('shop_resets_total', 'counter', routes.map((r, i) => [`{route="${r}"}`, 1000 + Math.floor((t % (5 + i)) * 100)]));
  put('shop_heat_celsius', 'gauge', routes.map((r, i) => [`{route="${r}",room="r${i % 2}"}`, 20 + 5 * Math.sin(t / (i + 2)) + i / 3]));
  put('shop_load', 'gauge', [['{kind="nan"}', Math.floor(t) % 3 ? 'NaN' : 1.5], ['{kind="inf"}', Math.floor(t) % 4 ? '+Inf' : -2], ['{kind="small"}', 1e-9 * (t % 7)], ['{kind="large"}', 1e15 + (t % 1000)]]);
  put('shop_flaps', 'gauge', Math.floor(t / 3) % 2 ? [['{side="left"}', Math.floor(t)]] : [['{side="right"}', -Math.floor(t)]]); // staleness markers
  put('shop_build_info', 'gauge', [[`{version="1.${offset}",route="/a"}`, 1]]);
  const bounds = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5], buckets = [];
  for (const [i, r] of routes.entries()) {
    let sum = 100000;
    for (const [k, b] of bounds.entries()) buckets.push([`_bucket{route="${r}",le="${b}"}`, sum += Math.floor((t % 100000) * (i + 1) * (k + 1))]);
    buckets.push([`_bucket{route="${r}",le="+Inf"}`, sum + 7], [`_count{route="${r}"}`, sum + 7], [`_sum{route="${r}"}`, sum / 3]);
  }
  lines.push('# TYPE shop_latency_seconds histogram', ...buckets.map(([labels, v]) => `shop_latency_seconds${labels} ${v}`));
  lines.push('# TYPE shop_size summary', ...[0.5, 0.9].map((q) => `shop_size{quantile="${q}"} ${q * 10 + Math.cos(t)}`), `shop_size_sum ${100000 + (t % 1000)}`, `shop_size_count ${200000 + Math.floor(t % 1000)}`);
  return { type: 'text/plain; version=0.0.4', body: `${lines.join('\n')}\n` };
}

// ---- what is asked -----------------------------------------------------------------------------------------------------

/** Of other exporters: these are there from their first scrape. */
const foreign = { counters: ['node_cpu_seconds_total', 'node_context_switches_total', 'process_cpu_seconds_total', 'clew_http_requests_total', 'go_gc_duration_seconds_count'],
  gauges: ['node_memory_MemFree_bytes', 'node_load1', 'process_resident_memory_bytes', 'go_goroutines', 'up', 'scrape_samples_scraped', 'scrape_duration_seconds'] };

const windows = ['3s', '7s', '10s'], offsets = ['', ' offset 2s', ' offset -1s'];

function queriesOfCounters(metrics) {
  const out = [];
  for (const m of metrics)
    for (const w of windows) {
      for (const f of ['rate', 'increase', 'irate', 'resets', 'changes', 'count_over_time']) out.push(`${f}(${m}[${w}])`);
      out.push(`sum(rate(${m}[${w}]))`, `sum by (instance) (increase(${m}[${w}]))`, `avg without (instance) (rate(${m}[${w}]))`, `max by (code, route) (rate(${m}[${w}] offset 3s))`);
    }
  return out;
}

/** `shift`: an offset by which the steps of a subquery, multiples of its step, fall between samples as the other times do. */
function queriesOfGauges(metrics, shift) {
  const over = ['avg', 'min', 'max', 'sum', 'count', 'stddev', 'stdvar', 'last', 'present'], out = [];
  for (const m of metrics) {
    for (const o of offsets) out.push(`${m}${o}`);
    for (const f of over) out.push(`${f}_over_time(${m}[7s])`);
    out.push(`quantile_over_time(0.3, ${m}[7s])`, `delta(${m}[7s])`, `idelta(${m}[3s])`, `deriv(${m}[7s])`, `predict_linear(${m}[7s], 60)`, `sum(${m})`, `avg by (instance) (${m})`,
      `min by (instance) (${m})`, `count(${m})`, `group(${m})`, `stddev(${m})`, `stdvar by (instance) (${m})`, `quantile(0.4, ${m})`, `bottomk(2, ${m})`, `${m} > bool 1`, `${m} * 2 ^ 2`, `-${m}`, `abs(${m})`, `round(${m}, 0.1)`,
      `max_over_time(${m}[6s:1s])`, `max_over_time(delta(${m}[3s] offset ${shift})[5s:500ms])`, `timestamp(${m})`);
  }
  return out;
}

const others = [
  'topk(3, rate(shop_requests_total[7s]))', 'topk by (code) (2, increase(shop_requests_total[10s]))', 'topk(5, node_cpu_seconds_total)', 'bottomk(1, shop_requests_total)',
  '1 + 2 * 3 % 4 ^ 2', 'time()', 'vector(time())', 'scalar(sum(shop_build_info))', 'pi()', '"text"', 'shop_flaps', 'shop_flaps offset 5s', 'count_over_time(shop_flaps[9s])', 'changes(shop_flaps[9s])', 'absent(shop_flaps{side="left"})', 'absent(nobody{a="b"})', 'absent_over_time(nobody[5s])',
  'absent_over_time(shop_flaps{side="left"}[2s])', 'shop_load', 'shop_load{kind=~"nan|inf"}', 'shop_load{kind!~"nan.*"}', 'sum(shop_load)', 'max(shop_load)', 'min(shop_load)', 'avg(shop_load{kind!="nan"})', 'max_over_time(shop_load[7s])', 'avg_over_time(shop_load{kind="large"}[7s])',
  'sgn(shop_load)', 'clamp(shop_heat_celsius, 18, 22)', 'clamp_min(shop_heat_celsius, 21)', 'clamp_max(shop_heat_celsius, 21)', 'ceil(shop_heat_celsius)', 'floor(shop_heat_celsius)', 'exp(shop_heat_celsius / 10)', 'ln(shop_heat_celsius)', 'log2(shop_heat_celsius)', 'log10(shop_heat_celsius)', 'sqrt(shop_heat_celsius)',
  'sin(shop_heat_celsius)', 'cos(shop_heat_celsius)', 'tan(shop_heat_celsius)', 'atan(shop_heat_celsius)', 'sinh(shop_heat_celsius / 10)', 'deg(shop_heat_celsius)', 'rad(shop_heat_celsius)', 'sort(shop_heat_celsius)', 'sort_desc(shop_heat_celsius)', 'count_values("v", shop_build_info)', 'count_values by (route) ("v", round(shop_heat_celsius))',
  'label_replace(shop_heat_celsius, "area", "$1-x", "room", "r(.)")', 'label_replace(shop_heat_celsius, "room", "", "room", ".*")', 'label_join(shop_heat_celsius, "both", "/", "room", "route")', 'day_of_month()', 'day_of_week(vector(1e9))', 'day_of_year(vector(1e9))', 'days_in_month(vector(1e9))', 'hour()', 'minute(vector(1e9))', 'month()', 'year()',
  'histogram_quantile(0.9, rate(shop_latency_seconds_bucket[7s]))', 'histogram_quantile(0.5, sum by (le) (rate(shop_latency_seconds_bucket[7s])))', 'histogram_quantile(0.99, sum by (le, route) (increase(shop_latency_seconds_bucket[10s])))', 'histogram_quantile(0.1, shop_latency_seconds_bucket)', 'histogram_quantile(-1, shop_latency_seconds_bucket)', 'histogram_quantile(1.5, shop_latency_seconds_bucket)',
  'sum(rate(shop_latency_seconds_sum[7s])) / sum(rate(shop_latency_seconds_count[7s]))', 'rate(shop_latency_seconds_sum[7s]) / rate(shop_latency_seconds_count[7s])', 'shop_size', 'shop_size{quantile="0.9"}', 'rate(shop_size_sum[7s]) / ignoring(quantile) rate(shop_size_count[7s])',
  'sum by (route, instance) (rate(shop_requests_total{code="500"}[7s])) / on (route, instance) sum by (route, instance) (rate(shop_requests_total[7s]))', 'shop_heat_celsius and on (route) shop_resets_total', 'shop_heat_celsius unless on (route) shop_requests_total{code="404"}', 'shop_heat_celsius or shop_load', 'shop_requests_total * on (route, instance) group_left (version) shop_build_info',
  'shop_heat_celsius > 20 < 24', 'shop_heat_celsius >= bool on (instance, route) group_right () shop_heat_celsius', 'shop_heat_celsius == shop_heat_celsius', 'shop_heat_celsius != 0', 'sum(shop_heat_celsius) by (room) > 30', 'sum without (room, route) (shop_heat_celsius)', 'topk by (room) (1, shop_heat_celsius)', 'quantile by (room) (0.9, shop_heat_celsius)',
  'stddev by (room) (shop_heat_celsius)', 'count by (room) (shop_heat_celsius > 20)', 'max by (room) (max_over_time(shop_heat_celsius[5s:250ms]))', 'sum_over_time(shop_heat_celsius[5s:750ms])', 'rate(shop_requests_total[5s:500ms])', 'min_over_time(sum(shop_heat_celsius)[6s:2s])', 'quantile_over_time(0.9, shop_heat_celsius[6s:500ms])', 'count_over_time((shop_heat_celsius > 20)[6s:500ms])',
  '{__name__=~"shop_.*_total", route="/a"}', '{__name__="shop_build_info"}', 'shop_requests_total{route=~"/[ab]"}', 'shop_requests_total{route!="/a", code=~"4..|5.."}', 'shop_requests_total{route="/ü"}', 'count({__name__=~"shop_.+"}) by (__name__)', 'sum by (__name__) ({__name__=~"shop_(resets|requests)_total"})', 'count(up == 1)', 'rate(shop_resets_total[10s])', 'increase(shop_resets_total[10s])', 'irate(shop_resets_total[3s])', 'resets(shop_resets_total[10s])',
  'scalar(shop_build_info{version="1.0"}) + 1', 'vector(scalar(sum(shop_heat_celsius)))', 'bottomk(1, shop_heat_celsius) by (room)', 'avg(shop_heat_celsius) - ignoring(route) group_left avg(shop_heat_celsius)', 'sum(shop_requests_total offset 4s) - sum(shop_requests_total offset 8s)',
];
const ofTime = (t) => ['shop_heat_celsius', 'rate(shop_requests_total[7s])', 'sum(shop_heat_celsius)', 'max_over_time(shop_heat_celsius[5s:500ms])'].flatMap((q) => {
  const at = (text) => q.replace(/(\[.*\]|shop_heat_celsius(?!\[)|\)\[.*\])/, `$1 @ ${text}`);
  return [at(`${t}`), at('start()'), at('end()')];
});

// ---- comparing ---------------------------------------------------------------------------------------------------------

const close = (a, b) => a === b || (Number.isFinite(Number(a)) && Number.isFinite(Number(b)) && Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b)));
const key = (m) => JSON.stringify(Object.entries(m).sort(([a], [b]) => (a < b ? -1 : 1)));
const points = (r) => r.values ?? [r.value];

/** What differs between two answers; undefined: nothing. */
function difference(a, b) {
  if (a.status !== b.status || a.errorType !== b.errorType) return `${a.status} ${a.error ?? ''} / ${b.status} ${b.error ?? ''}`;
  if (a.status === 'error') return undefined;
  if (a.data.resultType !== b.data.resultType) return `${a.data.resultType} / ${b.data.resultType}`;
  if (['scalar', 'string'].includes(a.data.resultType)) return a.data.result[0] === b.data.result[0] && close(a.data.result[1], b.data.result[1]) ? undefined : `${a.data.result} / ${b.data.result}`;
  const theirs = new Map(b.data.result.map((r) => [key(r.metric), points(r)]));
  if (a.data.result.length !== b.data.result.length) return `${a.data.result.length} / ${b.data.result.length} series`;
  for (const r of a.data.result) {
    const mine = points(r), other = theirs.get(key(r.metric));
    if (!other) return `${key(r.metric)} is only in the first`;
    if (mine.length !== other.length) return `${key(r.metric)}: ${mine.length} / ${other.length} points`;
    for (const [i, [t, v]] of mine.entries()) if (t !== other[i][0] || !close(v, other[i][1])) return `${key(r.metric)} at ${t}: ${v} / ${other[i]}`;
  }
  return undefined;
}

async function askOf(base, path, fields) {
  const answer = await fetch(`${base}/api/v1/${path}`, { method: 'POST', body: form(fields) });
  return answer.json();
}

/** Timestamps (ms) of all samples that `base` has in the last `seconds` before `at`, by series. */
async function samplesBefore(base, at, seconds) {
  const answer = await askOf(base, 'query', { query: `{job="e2e"}[${seconds}s]`, time: at / 1000 });
  assert.equal(answer.status, 'success', answer.error);
  return new Map(answer.data.result.map((r) => [key(r.metric), r.values.map(([t, v]) => [Math.round(t * 1000), v])]));
}

/** A phase of the grid that is far from the samples' phases. */
function freePhase(series) {
  const taken = new Set();
  for (const values of series.values()) for (const [t] of values) taken.add(((t % GRID) + GRID) % GRID);
  let best = 0, distance = -1;
  for (let phase = 1; phase < GRID; phase++) { // 0: there stand the steps of subqueries
    const d = Math.min(...[...taken].map((x) => Math.min(Math.abs(x - phase), GRID - Math.abs(x - phase))));
    if (d > distance) [best, distance] = [phase, d];
  }
  return { best, distance };
}

test('Prometheus 2.42 and clew say the same', { timeout: 300000 }, async (t) => {
  const clew = await startClew(), targets = [await startTarget(() => exposition(0)), await startTarget(() => exposition(1))];
  const nodePort = await freePort(), port = await freePort();
  const node = spawn('prometheus-node-exporter', ['--web.listen-address', `127.0.0.1:${nodePort}`, '--collector.disable-defaults', '--collector.cpu', '--collector.meminfo', '--collector.loadavg', '--collector.stat'], { stdio: 'ignore' });
  await until(async () => (await fetch(`http://127.0.0.1:${nodePort}/metrics`)).status, (s) => s === 200);
  const prometheus = await startPrometheus({ targets: [...targets.map((x) => x.address), `127.0.0.1:${nodePort}`, `127.0.0.1:${port}`, clew.api.replace('http://', '')],
    url: `${clew.api}/prometheus/api/v1/write`, port, scrape: `${GRID}ms`, features: 'exemplar-storage' });
  t.after(async () => {
    await prometheus.stop();
    node.kill('SIGTERM');
    for (const x of targets) await x.stop();
    await clew.stop();
  });
  await new Promise((r) => setTimeout(r, SECONDS * 1000));

  // A time of which both have all samples, between the samples of all targets.
  const mine = `${clew.api}/prometheus`, theirs = prometheus.url, end = Date.now() - 2000;
  await until(() => samplesBefore(mine, end + 1500, 1), (s) => s.size > 100);
  const stored = await samplesBefore(theirs, end, SECONDS - 6), { best, distance } = freePhase(stored);
  assert.ok(distance >= 4, `phases of targets are ${distance} ms from each other`);
  const time = Math.floor(end / GRID) * GRID - GRID + best;
  for (const values of stored.values()) for (const [ms] of values) assert.notEqual((((time - ms) % GRID) + GRID) % GRID, 0);

  await t.test('the samples are the same', async () => {
    const a = await samplesBefore(mine, time, SECONDS - 8), b = await samplesBefore(theirs, time, SECONDS - 8);
    assert.deepEqual([...a.keys()].sort(), [...b.keys()].sort());
    for (const [name, values] of a) assert.deepEqual(values, b.get(name), name);
    assert.ok(a.size > 300, `${a.size} series`);
  });

  await t.test('queries', async () => {
    const shift = `${GRID - best}ms`, expressions = [...queriesOfCounters(['shop_requests_total', 'shop_resets_total', 'shop_latency_seconds_bucket', ...foreign.counters]), ...queriesOfGauges(['shop_heat_celsius', 'shop_size_sum', ...foreign.gauges], shift), ...others, `max_over_time(rate(shop_requests_total[3s] offset ${shift})[6s:1s])`, ...ofTime(time / 1000 - 3)];
    const distinct = [...new Set(expressions)], differing = [];
    let empty = 0, asked = 0;
    const compare = async (path, fields) => {
      const [a, b] = await Promise.all([askOf(mine, path, fields), askOf(theirs, path, fields)]), why = difference(a, b);
      asked++;
      if (a.status === 'success' && a.data.result.length === 0) empty++;
      if (why) differing.push(`${path} ${fields.query}: ${why}`);
    };
    for (const query of distinct) await compare('query', { query, time: time / 1000 });
    for (const query of distinct) if (!query.startsWith('"')) await compare('query_range', { query, start: (time - 10 * 1000) / 1000, end: time / 1000, step: 1.25 });
    console.log(`# ${distinct.length} expressions, ${asked} questions, ${empty} of them with an empty answer, ${differing.length} differ`);
    assert.deepEqual(differing.slice(0, 20), [], `${differing.length} of ${asked} differ`);
    assert.ok(distinct.length >= 500, `${distinct.length} expressions`);
    assert.ok(empty < asked / 20, `${empty} of ${asked} answers are empty`);
  });

  await t.test('names and series', async () => {
    const range = { start: (time - 10000) / 1000, end: time / 1000 };
    for (const [path, fields] of [['series', { 'match[]': '{job="e2e"}' }], ['series', { 'match[]': 'shop_requests_total{code=~"4.."}' }], ['labels', { 'match[]': '{job="e2e"}' }], ['labels', { 'match[]': 'shop_heat_celsius' }]]) {
      const [a, b] = await Promise.all([askOf(mine, path, { ...fields, ...range }), askOf(theirs, path, { ...fields, ...range })]);
      const set = (x) => x.data.map((v) => (typeof v === 'string' ? v : key(v))).sort();
      assert.deepEqual(set(a), set(b), `${path} ${JSON.stringify(fields)}`);
    }
    for (const label of ['__name__', 'route', 'code', 'le']) {
      const url = (base) => fetch(`${base}/api/v1/label/${label}/values?${form({ 'match[]': '{job="e2e",__name__=~"shop_.*"}', ...range })}`).then((x) => x.json());
      assert.deepEqual((await url(mine)).data, (await url(theirs)).data, label);
    }
  });
});
