import test from 'node:test';
import assert from 'node:assert/strict';
import { change, count, duration, percent, plural, rate, readDuration } from '../src/lib/format';
import { parseJson } from '../src/lib/json';
import { snippets } from '../src/lib/snippets';
import * as t from '../src/lib/time';
import { attributeKey, condition, parseCondition, readKey, writeKey } from '../src/lib/where';
import { narrowing } from '../src/ui/breakdown';
import { hostOf } from '../src/ui/logdetail';
import { refusedOf } from '../src/ui/states';
import { score } from '../src/ui/palette';

test('durations have three digits', () => {
  const cases: [number, string][] = [[0, '0'], [1, '1 ns'], [999, '999 ns'], [1250, '1.25 µs'], [999_600, '1.00 ms'], [38_000_000, '38.0 ms'], [999_900_000, '1.00 s'], [1.5e9, '1.50 s'],
    [59.9e9, '59.9 s'], [72e9, '1m 12s'], [120e9, '2m'], [899.7e9, '15m'], [7_199e9, '2h'], [7_500e9, '2h 5m'], [-1000, '−1.00 µs'], [NaN, '–']];
  for (const [ns, text] of cases) assert.equal(duration(ns), text, String(ns));
});

test('numbers are short', () => {
  assert.deepEqual([0, 12, 1234, 34_200, 5.6e6, 2e9].map(count), ['0', '12', '1.2k', '34k', '5.6M', '2.0G']);
  assert.deepEqual([0, 0.001, 2.4, 120, 1200].map(rate), ['0', '<0.01', '2.40', '120.0', '1.2k']);
  assert.deepEqual([0, 0.0001, 0.015, 0.5, 1].map(percent), ['0%', '<0.1%', '1.5%', '50%', '100%']);
  assert.equal(plural(1, 'trace'), '1 trace');
  assert.equal(plural(1200, 'trace'), '1 200 traces');
});

test('durations are taken as the API takes them', () => {
  assert.deepEqual(['', '250ms', '1h 30m', '10µs', '1.5s'].map(readDuration), ['', '250ms', '1h30m', '10us', '1.5s']);
  for (const bad of ['5', 'fast', '-5s', 's', '5q']) assert.equal(readDuration(bad), null, bad);
});

test('times keep their nanoseconds', () => {
  const a = t.parseInstant('2026-01-02T03:03:55.000000001Z'), b = t.parseInstant('2026-01-02T03:03:56Z');
  assert.equal(t.sinceNs(a, b), 999_999_999);
  assert.equal(t.parseMs('2026-01-02T03:03:55.5Z'), Date.UTC(2026, 0, 2, 3, 3, 55, 500));
  assert.equal(t.parseInstant('1969-12-31T23:59:59.9Z').s, -1);
});

test('times are read as people write them', () => {
  const cases: [string, string | null][] = [['now', 'now'], ['15m', 'now-15m'], ['now-2d', 'now-2d'], ['1767323045', '1767323045'], ['1767323045123', '1767323045123'], [' 1767323045123456 ', '1767323045123456'], ['1767323045123456789', '1767323045123456789'], ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05Z'],
    ['2026-01-02T03:04:05.123456789Z', '2026-01-02T03:04:05.123456789Z'], ['2026-01-02 03:04', '2026-01-02T03:04:00Z'], ['2026-01-02', '2026-01-02T00:00:00Z'],
    ['2026-01-02T03:04:05+01:00', '2026-01-02T02:04:05.000Z'], ['yesterday', null], ['now-5q', null], ['2026-13-40', null], ['', null]];
  for (const [typed, wanted] of cases) assert.equal(t.readTime(typed, 'utc'), wanted, typed);
});

test('a range has ends in milliseconds', () => {
  const now = Date.UTC(2026, 0, 2);
  assert.deepEqual(t.rangeMs({ start: 'now-1h', end: '' }, now), [now - 3_600_000, now]);
  assert.deepEqual(t.rangeMs({ start: '1767312000', end: '1767312000000000000' }, now), [1767312000000, 1767312000000]);
  assert.equal(t.rangeMs({ start: '', end: '2026-01-02T00:00:00Z' }, 0)[0], now - 3_600_000);
  assert.deepEqual(t.panned({ start: 'now-1h', end: '' }, -0.5, now), { start: '2026-01-01T22:30:00.000Z', end: '2026-01-01T23:30:00.000Z' });
});

test('a range is said in words', () => {
  assert.equal(t.showRange({ start: 'now-15m', end: '' }, 'utc'), 'Last 15 minutes');
  assert.equal(t.showRange({ start: 'now-1d', end: 'now' }, 'utc'), 'Last 1 day');
  assert.equal(t.showRange({ start: '2026-01-02T03:00:00Z', end: '2026-01-02T04:00:00Z' }, 'utc'), '2026-01-02 03:00:00 – 04:00:00');
  assert.equal(t.showClock(Date.UTC(2026, 0, 2, 3, 4, 5, 6), 'utc', Date.UTC(2026, 0, 2)), '03:04:05.006');
  assert.equal(t.showClock(Date.UTC(2026, 0, 2, 3, 4, 5, 6), 'utc', Date.UTC(2026, 0, 3)), '01-02 03:04:05.006');
});

test('conditions are read as the server reads them', () => {
  const good: [string, object][] = [
    ['a=1', { prefix: '', key: 'a', op: '=', value: '1' }], ['resource.k8s.pod.name != x', { prefix: 'resource.', key: 'k8s.pod.name', op: '!=', value: 'x' }],
    ['"resource.x" >= "a \\"b\\""', { prefix: '', key: 'resource.x', op: '>=', value: 'a "b"' }], ['a exists', { prefix: '', key: 'a', op: 'exists', value: '' }],
    ['a !~ ^x$', { prefix: '', key: 'a', op: '!~', value: '^x$' }], ['a=', { prefix: '', key: 'a', op: '=', value: '' }],
  ];
  for (const [text, parts] of good) assert.deepEqual(parseCondition(text), parts, text);
  for (const bad of ['', 'a', '=1', 'a==1', 'a=~1', 'a="x', 'a="x"y', '"a=1', 'resource.=1', 'a="\\n"']) assert.equal(typeof parseCondition(bad), 'string', bad);
});

test('a value becomes a condition that reads back as itself', () => {
  const values = ['x', '', ' padded ', 'a "quoted" \\ one', '=1', '~a', 'ümlaut', 5, true, 'two\nlines'];
  for (const key of ['a', 'resource.x', 'with blank', 'a=b', 'q"q'])
    for (const value of values) {
      const parsed = parseCondition(condition('span.', key, '!=', value)!);
      assert.deepEqual(parsed, { prefix: 'span.', key, op: '!=', value: String(value) });
      assert.equal((parseCondition(condition('', key, '=', value)!) as { key: string }).key, key);
    }
  assert.equal(condition('', 'a', '=', [1]), null);
  assert.equal(condition('', 'a', '=', null), null);
  assert.equal(writeKey('', 'resource.x'), '"resource.x"');
});

test('keys of groups and columns are fields or attributes, and read back as what they were', () => {
  assert.deepEqual(readKey('service'), { field: 'service' });
  assert.deepEqual(readKey('resource.host.name'), { prefix: 'resource.', key: 'host.name' });
  for (const bad of ['', 'a b', 'a=1', '"a', 'a absent']) assert.equal(readKey(bad), null, bad);
  for (const prefix of ['', 'resource.'])
    for (const key of ['user.id', 'service', 'body', 'with blank', 'resource.x']) assert.deepEqual(readKey(attributeKey(prefix, key)), { prefix, key });
});

test('a group becomes the filter that finds its rows', () => {
  assert.deepEqual(narrowing('service', 'pay'), { field: 'service', value: 'pay' });
  assert.deepEqual(narrowing('service', 'pay', true), { where: 'resource.service.name!=pay' });
  assert.deepEqual(narrowing('"service"', 'a b'), { where: 'service=a b' });
  assert.deepEqual(narrowing('resource.host.name', ''), { where: 'resource.host.name=""' });
  assert.deepEqual(narrowing('user.id', null), { where: 'user.id absent' });
  assert.deepEqual(narrowing('body', 'say "hi"'), { field: 'text', value: '"say  hi "' });
  for (const [by, value] of [['kind', 'server'], ['service', null], ['a b', 'x']] as const) assert.equal(narrowing(by, value), null, by);
});

test('the place of a record is the finest that its resource names', () => {
  const resource = (attributes: Record<string, unknown>) => ({ service: 's', environment: 'e', attributes });
  assert.deepEqual(hostOf(resource({ 'host.name': 'h', 'k8s.pod.name': 'p' })), { key: 'k8s.pod.name', value: 'p' });
  assert.deepEqual(hostOf(resource({ 'host.name': 'h', 'host.id': 1 })), { key: 'host.name', value: 'h' });
  assert.equal(hostOf(resource({ 'host.id': 7 })), null);
  assert.equal(hostOf(undefined), null);
});

test('differences are said with their sign', () => {
  const cases: [number, number, boolean, string][] = [[112, 100, false, '+12%'], [97, 100, false, '−3%'], [100, 100, false, '±0%'], [5, 0, false, 'new'], [0, 0, false, '±0%'], [0, 10, false, '−100%'],
    [3000, 100, false, '×30'], [0.05, 0.038, true, '+1.2 pp'], [0, 0.5, true, '−50 pp'], [0.1, 0.1, true, '±0 pp']];
  for (const [now, before, share, text] of cases) assert.equal(change(now, before, share), text);
});

test('what was refused at ingest is read from the figures', () => {
  const text = 'clew_ingest_rejected_rows_total{signal="spans",reason="too_old"} 1200\nclew_ingest_rejected_rows_total{signal="logs",reason="too_new"} 3\nclew_ingest_rejected_rows_total{signal="logs",reason="too_old"} 0\n';
  assert.equal(refusedOf(text, 'logs'), '3 more than a day ahead of the clock');
  assert.equal(refusedOf(text, 'spans'), '1 200 older than what is kept');
  assert.equal(refusedOf('clew_tenant_rejected_rows_total{signal="logs",tenant="a"} 7\n', 'logs'), '7');
  assert.equal(refusedOf('', 'logs'), '');
});

test('integers beyond 2^53 are kept to the digit', () => {
  assert.deepEqual(parseJson('{"a":9007199254740993,"b":"1:90071992547409931","c":[-9223372036854775808],"d":1.5,"e":1000000000000000}'),
    { a: '9007199254740993', b: '1:90071992547409931', c: ['-9223372036854775808'], d: 1.5, e: 1e15 });
  assert.deepEqual(parseJson('{"a":"\\"x\\":9007199254740993","b":2}'), { a: '"x":9007199254740993', b: 2 });
});

test('commands are found by their letters', () => {
  assert.equal(score('Traces of cart', 'xyz'), -1);
  assert.ok(score('Traces', 'tra') < score('Theme: dark as a', 'tra'));
  assert.ok(score('Logs of payment', 'pay') >= 0);
  assert.ok(score('Search: <img src=x onerror=1>', 'onerror') < score('Correlations with errors', 'onerror'), 'what was typed as it is comes first');
});

test('snippets name this clew, and a token where it wants one', () => {
  for (const s of snippets('https://clew.example', true, 'a'.repeat(32), 'b'.repeat(16))) {
    assert.ok(s.lines.includes(`https://clew.example/${{ Prometheus: 'prometheus/api/v1/write', 'curl a metric': 'api/v1/import' }[s.name] ?? 'otlp'}`), s.name);
    assert.ok(s.lines.includes('CLEW_TOKEN'), s.name);
  }
  for (const s of snippets('http://127.0.0.1:8080', false, 'a'.repeat(32), 'b'.repeat(16))) assert.ok(!s.lines.includes('TOKEN'), s.name);
});
