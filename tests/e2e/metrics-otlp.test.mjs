// What no SDK of JavaScript sends, by all three transports: summaries, exemplars, start times, points without a recorded value; and all
// kinds of points in by OTLP and out by remote read, sample by sample.
import test from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { binary, getJson, startClew } from './clew.mjs';
import { RESOURCE, attributes, ns, requestOf, senders, seriesOf } from './otlp-metrics.mjs';
import { prometheusOf, query, remoteRead } from './prometheus.mjs';

const DELTA = 1, CUMULATIVE = 2;
const job = 'tests/hand', target = { job, instance: RESOURCE['service.instance.id'] };
const common = { ...target, otel_scope_name: 'by.hand', otel_scope_version: '0.1', otel_scope_kind: 'x' };
const second = () => Math.floor(Date.now() / 1000) * 1000;
async function flush(clew) {
  assert.equal((await fetch(`${clew.api}/api/v1/admin/flush`, { method: 'POST' })).status, 200);
}

/** Points of every kind at one time; the n-th of cumulative ones. */
function everyKind(at, n, begun = at - 60000) {
  const point = (more, attr = { route: '/a', code: 200, ok: true, weight: 0.5, list: ['x', 1] }) => ({ attributes: attributes(attr), startTimeUnixNano: ns(begun), timeUnixNano: ns(at), ...more });
  const sum = (aggregationTemporality, isMonotonic, ...dataPoints) => ({ aggregationTemporality, isMonotonic, dataPoints });
  const histogram = (aggregationTemporality, k) => ({ aggregationTemporality, dataPoints: [
    point({ count: String(4 * k), sum: 120.25 * k, bucketCounts: [k, 0, 2 * k, k].map(String), explicitBounds: [0.005, 10, 100.5], min: 0.001, max: 700 }),
    point({ count: String(k), bucketCounts: [String(k)], explicitBounds: [] }, { no: 'bounds, no sum' })] });
  const exponential = (aggregationTemporality, k, scale) => ({ aggregationTemporality, dataPoints: [point({ count: String(9 * k), sum: -3.5 * k, scale, zeroCount: String(2 * k), zeroThreshold: 0.25,
    positive: { offset: -3, bucketCounts: [k, 0, 0, 0, 3 * k, k].map(String) }, negative: { offset: 7, bucketCounts: [2 * k].map(String) }, min: -9, max: 9 })] });
  return requestOf([
    { name: 'room.heat', unit: 'Cel', description: 'How warm', gauge: { dataPoints: [point({ asDouble: -3.25 + n }), point({ asInt: String(-7 * n) }, { of: 'integers' })] } },
    { name: 'memory.use', unit: '1', gauge: { dataPoints: [point({ asDouble: 0.1 * n }, {}), point({ asDouble: 'NaN' }, { odd: 'NaN' }), point({ asDouble: '-Infinity' }, { odd: 'Inf' })] } },
    { name: 'requests', unit: '{request}', sum: sum(CUMULATIVE, true, point({ asInt: String(9007199254740991n - 10n + BigInt(n)) }), point({ asDouble: 0.1 + n }, { of: 'doubles' })) },
    { name: 'queue.length', sum: sum(CUMULATIVE, false, point({ asInt: String(5 - n) })) },
    { name: 'sent', unit: 'By', sum: sum(DELTA, true, point({ asInt: '3' }), point({ asDouble: 0.125 }, { of: 'doubles' })) },
    { name: 'wait', unit: 's', histogram: histogram(CUMULATIVE, n + 1) },
    { name: 'wait.delta', unit: 'ms', histogram: histogram(DELTA, n + 1) },
    { name: 'size', unit: 'By', exponentialHistogram: exponential(CUMULATIVE, n + 1, 3) },
    { name: 'size.fine', exponentialHistogram: exponential(CUMULATIVE, n + 1, 10) },
    { name: 'size.delta', exponentialHistogram: exponential(DELTA, n + 1, 0) },
    { name: 'rpc.duration', unit: 's', description: 'How long', summary: { dataPoints: [point({ count: String(100 + n), sum: 12.5 * (n + 1),
      quantileValues: [[0, 0.001], [0.5, 0.125 + n], [0.99, 'NaN'], [1, 7]].map(([quantile, value]) => ({ quantile, value })) })] } },
  ]);
}
/** The same without a recorded value: times, attributes and, of summaries and histograms, nothing else; or which bounds they have, as
 * collectors say them. */
function nothingRecorded(at, bounds = false) {
  const parts = ({ sum, explicitBounds, bucketCounts, quantileValues }) => ({ ...(sum === undefined ? {} : { sum: 0 }),
    ...(bucketCounts ? { explicitBounds, bucketCounts: bucketCounts.map(() => '0') } : {}), ...(quantileValues ? { quantileValues } : {}) });
  const request = everyKind(at, 0);
  for (const m of request.resourceMetrics[0].scopeMetrics[0].metrics)
    for (const kind of ['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'])
      if (m[kind]) m[kind].dataPoints = m[kind].dataPoints.map((p) => ({ attributes: p.attributes, timeUnixNano: p.timeUnixNano, flags: 1, ...(bounds ? parts(p) : {}) }));
  return request;
}

for (const [wire, send] of Object.entries(senders)) {
  const run = (name, body) => test(`${wire}: ${name}`, { timeout: 60000 }, async () => {
    const clew = await startClew();
    try {
      await body(clew, (expression, time) => query(prometheusOf(clew), expression, time));
    } finally {
      assert.deepEqual(await clew.stop(), { code: 0, signal: null });
    }
  });

  run("a summary is quantiles, _sum and _count under Prometheus's names", async (clew, ask) => {
    const at = second();
    await send(clew, everyKind(at, 0));
    const labels = { ...common, route: '/a', code: '200', ok: 'true', weight: '0.5', list: '["x",1]' };
    const got = (await ask('{__name__=~"rpc_duration.*"}', at / 1000)).map((r) => [r.metric, r.value[1]]);
    const quantile = (q, value) => [{ __name__: 'rpc_duration_seconds', ...labels, quantile: q }, value];
    const rows = [quantile('0', '0.001'), quantile('0.5', '0.125'), quantile('0.99', 'NaN'), quantile('1', '7'),
      [{ __name__: 'rpc_duration_seconds_count', ...labels }, '100'], [{ __name__: 'rpc_duration_seconds_sum', ...labels }, '12.5']];
    const order = ([a], [b]) => (JSON.stringify([a.__name__, a.quantile]) < JSON.stringify([b.__name__, b.quantile]) ? -1 : 1);
    assert.deepEqual(got.sort(order), rows.sort(order));
    const metadata = await getJson(`${prometheusOf(clew)}/api/v1/metadata?metric=rpc_duration_seconds`);
    assert.deepEqual(metadata.data.rpc_duration_seconds, [{ type: 'summary', help: 'How long', unit: 'seconds' }]);
  });

  run('exemplars are read through query_exemplars, each on the series of its bucket, with its trace', async (clew) => {
    const at = second(), trace = 'ab'.repeat(16), span = 'cd'.repeat(8), time = { startTimeUnixNano: ns(at - 60000), timeUnixNano: ns(at) };
    const exemplar = (more, back) => ({ timeUnixNano: ns(at - back), traceId: trace, spanId: span, ...more });
    await send(clew, requestOf([
      { name: 'hits', sum: { aggregationTemporality: CUMULATIVE, isMonotonic: true, dataPoints: [{ ...time, asInt: '5', exemplars: [exemplar({ asInt: '2', filteredAttributes: attributes({ 'user.id': 'ann', n: 7 }) }, 3000)] }] } },
      { name: 'wait', unit: 's', histogram: { aggregationTemporality: CUMULATIVE, dataPoints: [{ ...time, count: '3', sum: 11, bucketCounts: ['1', '1', '1'], explicitBounds: [1, 5],
        exemplars: [exemplar({ asDouble: 0.5 }, 2000), exemplar({ asDouble: 5 }, 1500), { timeUnixNano: ns(at - 1000), asDouble: 5.5 }] }] } },
      { name: 'size', exponentialHistogram: { aggregationTemporality: CUMULATIVE, dataPoints: [{ ...time, count: '1', sum: 3, scale: 0, positive: { offset: 1, bucketCounts: ['1'] }, exemplars: [exemplar({ asDouble: 3 }, 500)] }] } },
    ]));
    const ask = async (name) => (await getJson(`${prometheusOf(clew)}/api/v1/query_exemplars?${new URLSearchParams({ query: name, start: (at - 5000) / 1000, end: at / 1000 })}`)).data;
    const traced = { span_id: span, trace_id: trace }, said = (labels, value, back) => ({ labels, value, timestamp: (at - back) / 1000 });
    const check = async (when) => {
      assert.deepEqual(await ask('rate(hits_total[1m])'), [{ seriesLabels: { __name__: 'hits_total', ...common }, exemplars: [said({ ...traced, n: '7', user_id: 'ann' }, '2', 3000)] }], when);
      const bucket = (le, ...exemplars) => ({ seriesLabels: { __name__: 'wait_seconds_bucket', ...common, le }, exemplars });
      const byBound = (list) => list.sort((a, b) => (a.seriesLabels.le < b.seriesLabels.le ? -1 : 1));
      assert.deepEqual(byBound(await ask('histogram_quantile(0.9, wait_seconds_bucket)')), [bucket('+Inf', said({}, '5.5', 1000)), bucket('1', said(traced, '0.5', 2000)), bucket('5', said(traced, '5', 1500))], when);
      assert.deepEqual(await ask('size'), [{ seriesLabels: { __name__: 'size', ...common }, exemplars: [said(traced, '3', 500)] }], when);
    };
    await check('in memory');
    await flush(clew);
    await check('in a file');
  });

  run('start times are kept with their samples; a question sees values alone, so that a restart is a fall', async (clew, ask) => {
    const at = second(), first = at - 300000, again = at - 25000, times = [at - 60000, at - 40000, at - 20000, at];
    const series = [['falls', CUMULATIVE, [10, 20, 4, 9], [first, first, again, again]], ['goes on', CUMULATIVE, [10, 20, 25, 30], [first, first, again, again]],
      ['deltas', DELTA, [10, 20, 4, 9], [first, ...times.slice(0, 3)]]];
    for (const [how, aggregationTemporality, values, starts] of series)
      for (const [i, t] of times.entries())
        await send(clew, requestOf([{ name: 'hits', sum: { aggregationTemporality, isMonotonic: true,
          dataPoints: [{ attributes: attributes({ how }), startTimeUnixNano: ns(starts[i]), timeUnixNano: ns(t), asInt: String(values[i]) }] } }]));
    const value = async (expression) => Object.fromEntries((await ask(expression, at / 1000)).map((r) => [r.metric.how, Number(r.value[1])]));
    assert.deepEqual(await value('resets(hits_total[5m])'), { falls: 1, 'goes on': 0, deltas: 0 });
    assert.deepEqual(await value('count_over_time(hits_total[10m])'), { falls: 4, 'goes on': 4, deltas: 4 }, 'no zero is made up at a start');
    assert.deepEqual(await value('hits_total'), { falls: 9, 'goes on': 30, deltas: 43 });
    await flush(clew);
    const files = join(clew.dir, 'data/tenants/default/series');
    const lines = readdirSync(files).filter((f) => f.endsWith('.part')).flatMap((f) => execFileSync(binary, ['dump', join(files, f), '--rows', '100'], { encoding: 'utf8' }).split('\n'));
    const since = (how) => { const from = lines.findIndex((l) => l.includes('hits_total') && l.includes(`how="${how}"`)); return lines.slice(from + 1, from + 5).map((l) => Date.parse(/ since (\S+)$/.exec(l)?.[1])); };
    for (const how of ['falls', 'goes on']) assert.deepEqual(since(how), [first, first, again, again], how);
    assert.deepEqual(since('deltas'), [first, first, first, first], 'a sum of deltas began with the first of them');
  });

  run('points without a recorded value end their series at once, until there is a value again', async (clew, ask) => {
    const at = second() - 30000, all = 'count by (__name__) ({job="tests/hand",__name__!="target_info"})';
    const counts = async (ms) => Object.fromEntries((await ask(all, ms / 1000)).map((r) => [r.metric.__name__, Number(r.value[1])]));
    const there = { room_heat_celsius: 2, memory_use_ratio: 3, requests_total: 2, queue_length: 1, sent_bytes_total: 2, wait_seconds_bucket: 5, wait_seconds_count: 2, wait_seconds_sum: 1,
      wait_delta_milliseconds_bucket: 5, wait_delta_milliseconds_count: 2, wait_delta_milliseconds_sum: 1, size_bytes: 1, size_fine: 1, size_delta: 1,
      rpc_duration_seconds: 4, rpc_duration_seconds_count: 1, rpc_duration_seconds_sum: 1 };
    await send(clew, nothingRecorded(at - 10000)); // of series that are not there yet
    assert.deepEqual(await counts(at - 10000), {});
    await send(clew, everyKind(at, 0));
    await send(clew, nothingRecorded(at + 10000));
    await send(clew, everyKind(at + 20000, 1));
    for (const when of ['in memory', 'in a file']) {
      assert.deepEqual(await counts(at + 9999), there, when);
      assert.deepEqual(await counts(at + 10000), {}, when);
      assert.deepEqual(await counts(at + 19999), {}, when);
      assert.deepEqual(await counts(at + 20000), there, when);
      await flush(clew);
    }
    await send(clew, nothingRecorded(at + 30000, true));
    assert.deepEqual(await counts(at + 30000), {}, 'what is in a file ends as well');
  });

  run('all kinds of points come out by remote read as the samples that the rules make of them', async (clew) => {
    const at = second() - 60000;
    const sent = [...[0, 1, 2].map((n) => everyKind(at + n * 10000, n, at - 60000)), nothingRecorded(at + 30000, true)];
    for (const request of sent) await send(clew, request);
    const wanted = seriesOf(sent);
    assert.equal(wanted.size, 36);
    assert.deepEqual(await remoteRead(clew, at, at + 60000), wanted, 'in memory');
    await flush(clew);
    assert.deepEqual(await remoteRead(clew, at, at + 60000), wanted, 'in a file');
    const middle = new Map([...wanted].map(([labels, list]) => [labels, list.filter(([t]) => t === at + 10000)]));
    assert.deepEqual(await remoteRead(clew, at + 5000, at + 15000), middle, 'a part of the time');
  });
}
