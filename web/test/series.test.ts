import test from 'node:test';
import assert from 'node:assert/strict';
import { axisOf, cellsOf, drawn, keyOf, linesOf, marksOf, quantile, sortCells, summaryOf, telling } from '../src/hot/series';
import { savedBy, dropMetricRule } from '../src/lib/cardinality';
import { measured, short, ticks } from '../src/lib/format';
import { labelsText, measureOf, readStep, showStep, stepOf, stepsBefore, stepsOf, suggestions, type Labels, type Native, type Result } from '../src/lib/prom';
import { groupedBy, selectors, tokens, writeSelector } from '../src/lib/promql';
import { bestFit, fit } from '../src/ui/metrics/complete';

const measure = (q: string) => measureOf(tokens(q), selectors(q).map((s) => s.metric));

test('a step fits the chart, and never asks for too many points', () => {
  assert.equal(stepOf(3_600_000, 1000), 15);
  assert.equal(stepOf(3_600_000, 300), 30);
  assert.equal(stepOf(60_000, 1400), 1);
  assert.equal(stepOf(7 * 86_400_000, 1000), 1800);
  for (const range of [1, 1000, 3.6e6, 8.64e7, 3.2e10, 3e12])
    for (const px of [0, 300, 1000, 4000]) {
      const step = stepOf(range, px);
      assert.ok(step >= 1 && range / 1000 / step < 11_000, `${range} ${px} ${step}`);
    }
  for (const [typed, s] of [['15s', 15], ['1m', 60], ['1h30m', 5400], ['0.5', 0.5], ['250ms', 0.25], ['', null], ['0', null], ['0s', null], ['x', null], ['5', 5], ['-5', null]] as const) assert.equal(readStep(typed), s, typed);
  for (const [s, text] of [[15, '15s'], [60, '1m'], [90, '90s'], [7200, '2h'], [0.25, '250ms'], [86400, '1d']] as const) assert.equal(showStep(s), text);
});

test('the last point is the end of the range, and the period before stands point for point', () => {
  const s = stepsOf(1_000_000_123, 1_003_600_123, 15);
  assert.deepEqual(s, { start: 1_000_015, end: 1_003_600, step: 15, n: 240 });
  assert.deepEqual(stepsBefore(s), { start: 996_415, end: 1_000_000, step: 15, n: 240 });
  assert.deepEqual(stepsOf(0, 4_000, 15), { start: 4, end: 4, step: 15, n: 1 }); // 1970
  assert.equal(stepsOf(0, 1e12, 1).n, 11_000);
});

const steps = { start: 100, end: 130, step: 10, n: 4 };

test('answers become lines on the steps, with their figures', () => {
  const r: Result = { resultType: 'matrix', result: [{ metric: { a: '1' }, values: [[100, '1'], [110, 'NaN'], [130, '4.5']] }, { metric: { a: '2' }, values: [[90, '7'], [105, '8'], [120, '+Inf']] }] };
  const [x, y] = linesOf(r, 0, steps);
  assert.deepEqual(x.values, [1, null, null, 4.5]);
  assert.deepEqual([x.n, x.last, x.min, x.max, x.mean], [2, 4.5, 1, 4.5, 2.75]);
  assert.deepEqual(y.values, [null, null, null, null]);
  assert.deepEqual([y.n, y.last], [0, null]);
  assert.ok(Number.isNaN(y.mean));
  const [s] = linesOf({ resultType: 'scalar', result: [110, '3'] }, 1, steps);
  assert.deepEqual(s.values, [null, 3, null, null]);
  assert.notEqual(x.key, y.key);
  assert.equal(keyOf(0, { b: '1', a: '2' }), keyOf(0, { a: '2', b: '1' }));
  assert.notEqual(keyOf(0, { a: '1' }), keyOf(1, { a: '1' }));
});

const native: Native = { count: '10', sum: '50', buckets: [[0, '1', '2', '4'], [0, '2', '4', '4'], [0, '4', '8', '2']] };

test('native histograms are drawn as their mean and told as a summary', () => {
  const r: Result = { resultType: 'matrix', result: [{ metric: {}, histograms: [[100, native], [110, { count: '0', sum: '0' }]] }] };
  const [line] = linesOf(r, 0, steps);
  assert.ok(line.native);
  assert.deepEqual(line.values, [5, null, null, null]);
  assert.equal(quantile(native, 0.4), 2);
  assert.equal(quantile(native, 0.5), 2.5);
  assert.equal(quantile(native, 1), 8);
  assert.ok(Number.isNaN(quantile({ count: '0', sum: '0' }, 0.5)));
  assert.deepEqual(summaryOf(native), { count: 10, sum: 50, mean: 5, p50: 2.5, p95: 7, buckets: 3 });
  const [cell] = cellsOf({ resultType: 'vector', result: [{ metric: { a: 'b' }, histogram: [100, native] }] }, 0);
  assert.equal(cell.value, 5);
  assert.equal(cell.native!.count, 10);
});

test('a table has a row a series, sorted by number or by natural order', () => {
  const cells = cellsOf({ resultType: 'vector', result: [{ metric: { i: 'n10' }, value: [1, '2'] }, { metric: { i: 'n9' }, value: [1, 'NaN'] }, { metric: { i: 'n1' }, value: [1, '1e3'] }] }, 0);
  const by = (sort: string) => sortCells(cells, sort).map((c) => c.labels.i);
  assert.deepEqual(by(''), ['n10', 'n9', 'n1']);
  assert.deepEqual(by('i'), ['n1', 'n9', 'n10']);
  assert.deepEqual(by('-value'), ['n1', 'n10', 'n9']);
  assert.deepEqual(by('value'), ['n9', 'n10', 'n1']);
  const range = cellsOf({ resultType: 'matrix', result: [{ metric: {}, values: [[1, '1'], [2, '5']] }] }, 2);
  assert.deepEqual([range[0].text, range[0].samples, range[0].time, range[0].query], ['5', 2, 2, 2]);
  assert.deepEqual(cellsOf({ resultType: 'string', result: [1, 'x'] }, 0)[0].text, 'x');
});

test('only labels that tell rows apart are named', () => {
  const rows: Labels[] = [{ __name__: 'a', job: 'x', i: '1' }, { __name__: 'a', job: 'x', i: '2', extra: 'e' }];
  assert.deepEqual(telling(rows), { common: { __name__: 'a', job: 'x' }, names: ['extra', 'i'] });
  assert.deepEqual(telling([]), { common: {}, names: [] });
  assert.equal(labelsText({ __name__: 'a', i: '"q"' }), 'a{i="\\"q\\""}');
  assert.equal(labelsText({ __name__: 'a', i: '1' }, new Set(['__name__'])), '{i="1"}');
  assert.equal(labelsText({}), '{}');
});

test('a chart draws those looked for, the greatest where there are too many, or those that were picked', () => {
  const lines = Array.from({ length: 100 }, (_, i) => ({ query: 0, labels: { i: String(i) }, key: `k${i}`, values: [i], native: false, n: 1, last: i, min: i, max: i, mean: i }));
  assert.equal(drawn(lines, '', [], 50).length, 50);
  assert.equal(drawn(lines, '', [], 50)[0].key, 'k50');
  assert.deepEqual(drawn(lines, 'i="7"', [], 50).map((l) => l.key), ['k7']);
  assert.deepEqual(drawn(lines, '', ['k3', 'k1'], 50).map((l) => l.key), ['k1', 'k3']);
  assert.deepEqual(axisOf([]), [0, 1]);
  assert.equal(axisOf(lines)[0], 0);
  const [from, to] = axisOf([{ min: 1000, max: 1010, n: 2 }]);
  assert.ok(from > 990 && from < 1000 && to > 1010);
  assert.ok(axisOf([{ min: -5, max: 5, n: 2 }])[0] < -5);
  assert.deepEqual(axisOf([{ min: 0, max: 0, n: 1 }]), [0, 1]);
});

test('exemplars: each once, the slow ones stay', () => {
  const of = (n: number) => [{ seriesLabels: { a: 'b' }, exemplars: Array.from({ length: n }, (_, i) => ({ labels: { trace_id: i.toString(16), span_id: 'AB' }, value: String(i % 97), timestamp: 1000 + i })) }];
  const all = marksOf(of(50), 100);
  assert.equal(all.length, 50);
  assert.deepEqual([all[1].trace, all[1].span], [`${'0'.repeat(31)}1`, '00000000000000ab']);
  assert.equal(marksOf([...of(50), ...of(50)], 100).length, 50);
  const few = marksOf(of(1000), 100);
  assert.ok(few.length <= 100 && few.some((m) => m.value === 96));
  assert.deepEqual(marksOf([{ seriesLabels: {}, exemplars: [{ labels: { trace_id: '../../x' }, value: '1', timestamp: 1 }] }], 10)[0].trace, '');
});

test('units are named where names and functions leave no doubt', () => {
  for (const [q, unit] of [['process_cpu_seconds_total', 'seconds'], ['rate(process_cpu_seconds_total[5m])', ''], ['http_bytes', 'bytes'], ['sum by (a) (rate(http_bytes_total[5m]))', 'bytes/s'], ['histogram_quantile(0.9, sum by (le) (rate(x_seconds_bucket[5m])))', 'seconds'],
    ['x_seconds_bucket', ''], ['sum(x_seconds_sum) / sum(x_seconds_count)', ''], ['count(x_bytes)', ''], ['x_bytes * 8', ''], ['avg_over_time(x_ratio[1h])', 'ratio'], ['x_bytes or y_seconds', ''], ['x', ''], ['max(x_bytes{a="b"})', 'bytes']] as const)
    assert.equal(measure(q), unit, q);
  for (const [v, unit, text] of [[0.25, 'seconds', '250 ms'], [1536, 'bytes', '1.5 KiB'], [2048, 'bytes/s', '2 KiB/s'], [0.123, 'ratio', '12.3 %'], [NaN, 'seconds', 'NaN'], [-90, 'seconds', '−1m 30s']] as const) assert.equal(measured(v, unit), text);
  for (const [v, text] of [[0, '0'], [12.5, '12.5'], [1234, '1.23k'], [999.6, '1k'], [0.05, '0.05'], [4.2e-7, '4.2e-7'], [1.84e19, '1.84e19'], [-3, '−3'], [Infinity, '+Inf'], [150, '150'], [123.456, '123.5']] as const) assert.equal(short(v), text, String(v));
});

test('marks of an axis are told apart', () => {
  assert.deepEqual(ticks([1845, 1850, 1855], ''), ['1.845k', '1.850k', '1.855k']);
  assert.deepEqual(ticks([0, 50, 100], ''), ['0', '50', '100']);
  assert.deepEqual(ticks([-0.2, 0, 0.2], ''), ['−0.2', '0', '0.2']);
  assert.deepEqual(ticks([0, 0.5, 1], 'seconds'), ['0', '0.5 s', '1.0 s']);
  assert.deepEqual(ticks([0.95, 0.955], 'seconds'), ['950 ms', '955 ms']);
  assert.deepEqual(ticks([0, 524288, 1048576], 'bytes/s'), ['0', '0.5 MiB/s', '1.0 MiB/s']);
  assert.deepEqual(ticks([0, 0.05], 'ratio'), ['0', '5 %']);
  for (const v of [[1e-9, 2e-9], [1e18, 2e18], [5], [0]]) assert.equal(ticks(v, '').length, v.length);
});

test('queries that are offered fit the type of the metric', () => {
  const of = (name: string, type: string) => suggestions(name, type, ['job', 'le'], (m) => writeSelector(m))[0].query;
  assert.equal(of('x_total', 'counter'), 'sum(rate(x_total[5m]))');
  assert.equal(of('x', 'gauge'), 'x');
  assert.equal(of('x_bucket', 'histogram'), 'histogram_quantile(0.95, sum by (le) (rate(x_bucket[5m])))');
  assert.equal(of('x_count', 'histogram'), 'sum(rate(x_count[5m]))');
  assert.equal(of('x', 'histogram'), 'histogram_quantile(0.95, sum(rate(x[5m])))');
  assert.equal(of('a.b', 'gauge'), '{"a.b"}');
  assert.ok(suggestions('x_total', 'counter', ['http.route'], (m) => m).some((s) => s.query === 'sum by ("http.route") (rate(x_total[5m]))'));
});

test('a label groups what is there', () => {
  for (const [q, to] of [['x', 'sum by (job) (x)'], ['sum(x)', 'sum by (job) (x)'], ['sum by (a) (x)', 'sum by (a, job) (x)'], ['sum by (job) (x)', 'sum by (job) (x)'], ['sum(x) / sum(y)', 'sum by (job) (sum(x) / sum(y))'], ['sum by (a) (x) + 1', 'sum by (job) (sum by (a) (x) + 1)'], ['topk(3, x)', 'topk by (job) (3, x)']])
    assert.equal(groupedBy(q, 'job'), to, q);
});

test('names that begin so come first, then parts that do', () => {
  assert.deepEqual(bestFit(['ahttp', 'x_http', 'http_x', 'other'], 'HTTP', 9), ['http_x', 'x_http', 'ahttp']);
  assert.equal(fit('abc', ''), 0);
  assert.equal(fit('abc', 'x'), -1);
  assert.equal(fit('ahttp_http', 'http'), 1);
});

test('what a drop saves is the series that fall together', () => {
  assert.deepEqual(savedBy({ label: 'pod', series: 100, series_left: 10, bytes: 5000 }), { series: 90, bytes: 4500 });
  assert.deepEqual(savedBy({ label: 'pod', series: 0, series_left: 0, bytes: 0 }), { series: 0, bytes: 0 });
  assert.ok(dropMetricRule('a.b').includes('regex: "a\\\\.b"'));
});
