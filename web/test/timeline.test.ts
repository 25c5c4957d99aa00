// The timeline of a correlation: rows by time, what is wanted of them, and an axis on which hours of nothing are short.
import assert from 'node:assert/strict';
import test from 'node:test';
import { keyOfRow, rowOfKey, rowsOf, squeeze, straight, timeline, type ItemIn, type Timeline } from '../src/hot/timeline';

const second = 1_000_000_000;
const item = (ns: number, duration_ns: number, some: Partial<ItemIn> = {}): ItemIn => ({
  log: false, time: { s: 1000 + Math.floor(ns / second), ns: ns % second }, duration_ns, service: 'web', name: 'GET /', error: false, level: '', trace_id: 'a', span_id: `s${ns}`, from: 'own', id: '', ...some,
});
const log = (ns: number, some: Partial<ItemIn> = {}): ItemIn => item(ns, 0, { log: true, id: `id${ns}`, span_id: null, level: 'info', ...some });
const rows = (t: Timeline, some: Partial<Parameters<typeof rowsOf>[1]> = {}): number[] => {
  const out = new Int32Array(t.n);
  return [...out.subarray(0, rowsOf(t, { find: '', kind: 'all', errors: false, grouped: false, ...some }, out))];
};

test('rows stand by time, whatever order they came in; none is none', () => {
  const t = timeline([item(500, 10), log(20, { trace_id: null }), item(0, 600, { trace_id: 'b' }), item(20, 0)]);
  assert.deepEqual([...t.start], [0, 20, 20, 500]);
  assert.deepEqual([...t.log], [0, 1, 0, 0]);
  assert.deepEqual([...t.trace].map((k) => t.traces[k] ?? null), ['b', null, 'a', 'a']);
  assert.equal(t.total, 600);
  assert.deepEqual(t.origin, { s: 1000, ns: 0 });
  const none = timeline([]);
  assert.equal(none.n, 0);
  assert.deepEqual([squeeze(none).total, squeeze(none).cuts.length, rows(none).length], [0, 0, 0]);
});

test('times across seconds are exact', () => {
  const t = timeline([item(3 * second - 1, 1), item(3 * second, 1)]);
  assert.deepEqual([...t.start], [0, 1]);
});

test('a negative duration is none', () => assert.equal(timeline([item(0, -5)]).duration[0], 0));

test('keys lead back to their rows', () => {
  const t = timeline([item(0, 10), log(5), item(7, 1)]);
  for (let i = 0; i < t.n; i++) assert.equal(rowOfKey(t, keyOfRow(t, i)), i);
  assert.equal(rowOfKey(t, 'span-none'), -1);
});

test('what is wanted: words, kinds, errors; by trace those of none come last', () => {
  const t = timeline([item(0, 10, { name: 'Pay', error: true }), item(1, 10, { trace_id: 'trace-2', service: 'stock' }), log(2, { trace_id: null, name: 'paid' }), log(3, { trace_id: 'a', error: true, name: 'refused' })]);
  assert.deepEqual(rows(t), [0, 1, 2, 3]);
  assert.deepEqual(rows(t, { kind: 'logs' }), [2, 3]);
  assert.deepEqual(rows(t, { kind: 'spans' }), [0, 1]);
  assert.deepEqual(rows(t, { errors: true }), [0, 3]);
  assert.deepEqual(rows(t, { find: ' PA ' }), [0, 2]);
  assert.deepEqual(rows(t, { find: 'stock' }), [1]);
  assert.deepEqual(rows(t, { find: 'trace-2' }), [1]);
  assert.deepEqual(rows(t, { find: 's1' }), [1]);
  assert.deepEqual(rows(t, { grouped: true }), [0, 3, 1, 2]);
});

test('hours of nothing become short, and what happens keeps its length', () => {
  const hour = 3600 * second, t = timeline([item(0, 100), item(50, 100), item(hour, 200), item(2 * hour, 100)]), axis = squeeze(t);
  assert.deepEqual(axis.cuts.map((c) => c.ns), [hour - 150, hour - 200]);
  assert.ok(axis.total < 150 + 200 + 100 + 250, `${axis.total} ns`);
  assert.equal(axis.at[1] - axis.at[0], 50);
  for (let i = 0; i < t.n; i++) assert.ok(Math.abs(axis.real(axis.at[i]) - t.start[i]) < 1e-3, `row ${i}`);
  assert.ok(Math.abs(axis.real((axis.cuts[0].at + axis.cuts[0].to) / 2) - (150 + (hour - 150) / 2)) < 1);
  assert.equal(axis.real(axis.total), 2 * hour + 100);
});

test('what lies near is not cut, nor are moments alone', () => {
  for (const t of [timeline([item(0, 100), item(350, 100)]), timeline([log(0), log(5 * second), log(50 * second)])]) assert.deepEqual([squeeze(t).at, squeeze(t).cuts, squeeze(t).total], [straight(t).at, [], t.total]);
});

test('the axis never runs back, for any rows', () => {
  let x = 1;
  const next = (below: number): number => (x = (x * 1103515245 + 12345) % 2147483648) % below;
  for (let round = 0; round < 200; round++) {
    const t = timeline(Array.from({ length: 1 + next(30) }, () => item(next(10) * 1000 * second + next(1000), next(500)))), axis = squeeze(t);
    for (let i = 1; i < t.n; i++) assert.ok(axis.at[i] >= axis.at[i - 1] && axis.at[i] + t.duration[i] <= axis.total + 1e-6);
    for (let i = 0; i < t.n; i++) assert.ok(Math.abs(axis.real(axis.at[i]) - t.start[i]) < 1e-3);
  }
});

test('10,000 rows are laid out in milliseconds', () => {
  const items = Array.from({ length: 10_000 }, (_, i) => (i % 3 ? item((i * 7919) % 60 * second + i, 1000 * (i % 50), { trace_id: `t${i % 400}` }) : log(i * 1000)));
  const began = performance.now(), t = timeline(items);
  squeeze(t);
  rows(t, { find: 'get', grouped: true });
  assert.ok(performance.now() - began < 500, `${performance.now() - began} ms`);
});
