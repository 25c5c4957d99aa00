import test from 'node:test';
import assert from 'node:assert/strict';
import { alone } from '../src/hot/lines';
import { cellOf, LogColumns, lineOf, stacked, totals, unstacked, widthsOf } from '../src/hot/logs';
import { scrollInto, windowOf } from '../src/hot/rows';
import { nearest, scatter, selection } from '../src/hot/scatter';
import { readKey } from '../src/lib/where';

test('a window holds what is in sight and a few more', () => {
  assert.deepEqual(windowOf(0, 240, 24, 1000, 2), { first: 0, last: 12 });
  assert.deepEqual(windowOf(2400, 240, 24, 1000, 2), { first: 98, last: 112 });
  assert.deepEqual(windowOf(23_900, 240, 24, 1000, 2), { first: 993, last: 1000 });
  assert.deepEqual(windowOf(99_999, 240, 24, 3), { first: 3, last: 3 });
  assert.deepEqual([scrollInto(100, 240, 24, 0), scrollInto(0, 240, 24, 5), scrollInto(0, 240, 24, 20)], [0, 0, 264]);
});

test('dots lie where their time and duration say, and a rectangle says them again', () => {
  const box = { left: 0, top: 0, right: 100, bottom: 90 };
  const traces = [1, 2, 3].map((k) => ({ start: `2026-01-02T03:04:0${k}Z`, duration_ns: 10 ** (k + 5), error_count: k === 2 ? 1 : 0, span_count: 1 }));
  const from = Date.UTC(2026, 0, 2, 3, 4, 0), s = scatter(traces, from, from + 10_000, box);
  assert.deepEqual([s.low, s.high], [6, 8]);
  assert.deepEqual([...s.x], [10, 20, 30]);
  assert.deepEqual([...s.y], [90, 45, 0]);
  assert.deepEqual([...s.error], [0, 1, 0]);
  assert.equal(nearest(s, 21, 46, 5), 1);
  assert.equal(nearest(s, 60, 60, 5), -1);
  const p = selection(s, box, 40, 80, 10, 10);
  assert.equal(p.from, from + 1000);
  assert.equal(p.to, from + 4000);
  assert.ok(p.min < 10 ** 6.3 && p.max > 10 ** 7.7);
  assert.equal(scatter([], 0, 1, box).n, 0);
});

test('log columns grow and keep order', () => {
  const c = new LogColumns();
  for (let page = 0; page < 5; page++)
    c.append(Array.from({ length: 200 }, (_, i) => ({ time: `2026-01-02T03:04:05.${String(page * 200 + i).padStart(3, '0')}Z`, severity: i % 2 ? 'error' : 'odd', service: 's', body: { n: i } })));
  assert.equal(c.n, 1000);
  assert.equal(c.time[999] - c.time[0], 999);
  assert.deepEqual([c.severity[0], c.severity[1]], [0, 5]);
  assert.equal(c.line[1], '{"n":1}');
  assert.equal(c.record.length, 1000);
});

test('a tail forgets its oldest', () => {
  const c = new LogColumns();
  const at = (k: number) => ({ time: new Date(k * 1000).toISOString(), severity: 'info', service: 's', body: String(k) });
  for (let k = 0; k < 1000; k++) {
    c.append([at(k)]);
    c.keepLast(100);
    assert.ok(c.n <= 150);
    assert.equal(c.line[c.n - 1], String(k));
    assert.equal(c.time[c.n - 1], k * 1000);
    assert.equal(c.line.length, c.n);
    assert.equal(c.time[0], Number(c.line[0]) * 1000);
  }
});

test('a body is one short line', () => {
  assert.equal(lineOf('a\n\tb'), 'a ⏎ b');
  assert.equal(lineOf(null), '');
  assert.equal(lineOf('x'.repeat(5000)).length, 1000);
});

test('severities are stacked, errors at the bottom', () => {
  const s = stacked([{ start: '1970-01-01T00:00:10Z', unset: 1, trace: 1, debug: 1, info: 10, warn: 5, error: 2, fatal: 1 }]);
  assert.deepEqual(s.map((v) => v[0]), [10, 21, 18, 8, 3]);
});

test('severities are told one by one, and in all', () => {
  const b = [{ start: '1970-01-01T00:00:10Z', unset: 1, trace: 1, debug: 1, info: 10, warn: 5, error: 2, fatal: 1 }];
  assert.deepEqual(unstacked(b).map((v) => v[0]), [10, 3, 10, 5, 3]);
  assert.deepEqual(totals(b, 2), [21, null]);
});

test('a cell is a field or an attribute, of the record before its resource', () => {
  const r = {
    time: '', severity: 'info', service: 'web', body: 'b', trace_id: 'ff', attributes: { a: 1, both: 'own', list: [1, 2] },
    resourceOf: { environment: 'prod', attributes: { both: 'resource', 'host.name': 'h' } }, scopeOf: { name: 'io', version: '2', attributes: { x: true } },
  };
  const cases: [string, string][] = [['service', 'web'], ['trace_id', 'ff'], ['environment', 'prod'], ['a', '1'], ['both', 'own'], ['resource.both', 'resource'], ['log.both', 'own'], ['host.name', 'h'],
    ['log.host.name', ''], ['scope.name', 'io'], ['scope.x', 'true'], ['list', '[1,2]'], ['none', ''], ['a b', '']];
  for (const [key, text] of cases) assert.equal(cellOf(r, readKey(key)), text, key);
  assert.equal(cellOf({ time: '', severity: '', service: '', body: '', attributes: {} }, readKey('resource.x')), '');
  const w = widthsOf(['severity', 'a', 'body'], readKey, [r, { ...r, attributes: { a: 'x'.repeat(500) } }]);
  assert.equal(w.template, 'var(--severity) 238px minmax(220px, 1fr)');
  assert.ok(w.least > 600 && w.least < 800);
  assert.ok(widthsOf(['a'], readKey, []).template.endsWith('minmax(0, 1fr)'));
});

test('a value without neighbours gets a mark, since no line goes through it', () => {
  assert.deepEqual(alone([null, 5, null, 1, 2, null, 0]), [1, 6]);
  assert.deepEqual(alone([7]), [0]);
  assert.deepEqual(alone([NaN, 3, NaN]), [1]);
  assert.deepEqual(alone([1, 2, 3]), []);
  assert.deepEqual(alone([]), []);
});
