import test from 'node:test';
import assert from 'node:assert/strict';
import { heatOf, stacked, toneAt, valuesOf } from '../src/hot/panel';
import { linesOf } from '../src/hot/series';
import { chosenOf, fill, givenIn, legendOf, namesIn, optionQuery, rangeOf, refreshMs, withChosen, type Chosen, type Variable } from '../src/lib/dashboard';
import { changed, isChanged, redone, undone, type Draft } from '../src/lib/drafts';
import { columns, moved, settle, stepped, visible, type Box } from '../src/lib/layout';
import { inlines, markdown, safeHref } from '../src/lib/markdown';
import { formatter } from '../src/lib/units';

/* ---- places ---- */

const box = (id: number, x: number, y: number, w: number, h: number): Box => ({ id, x, y, w, h });
const at = (boxes: readonly Box[], id: number): number[] => { const b = boxes.find((o) => o.id === id)!; return [b.x, b.y, b.w, b.h]; };
const two = [box(1, 0, 0, 12, 8), box(2, 12, 0, 12, 8), box(3, 0, 8, 24, 4)];

function assertTight(boxes: readonly Box[]): void {
  for (const a of boxes) {
    assert.ok(a.x >= 0 && a.x + a.w <= columns && a.y >= 0 && a.w >= 2 && a.h >= 1, JSON.stringify(a));
    for (const b of boxes) assert.ok(a.id === b.id || a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y, `${a.id} over ${b.id}`);
  }
}

test('boxes that overlap are put one below another, and none hangs in the air', () => {
  const all = settle([box(1, 0, 0, 12, 8), box(2, 6, 0, 12, 8), box(3, 0, 50, 4, 2)]);
  assert.deepEqual([at(all, 1), at(all, 2), at(all, 3)], [[0, 0, 12, 8], [6, 8, 12, 8], [0, 8, 4, 2]]);
});

test('keys move a box past its neighbours, and back', () => {
  let all = stepped(two, 1, 'right');
  assert.deepEqual(at(all, 1).slice(0, 2), [1, 0]);
  assert.deepEqual(at(all, 2), [12, 8, 12, 8]); // it made way
  all = stepped(stepped(two, 1, 'down'), 1, 'down');
  assert.ok(at(all, 1)[1] > at(all, 3)[1]);
  assert.deepEqual(stepped(two, 1, 'up'), settle(two));
  assert.deepEqual(stepped(two, 1, 'left'), settle(two));
  let back = stepped(two, 1, 'down');
  back = stepped(back, 1, 'up');
  assert.deepEqual(at(back, 1).slice(0, 2), [0, 0]);
});

test('any move of any box keeps all within the grid and apart', () => {
  let seed = 7;
  const random = (n: number): number => { seed = (seed * 1103515245 + 12345) & 0x7fffffff; return seed % n; };
  let all: Box[] = Array.from({ length: 14 }, (_, i) => box(i + 1, random(20), random(30), 2 + random(10), 1 + random(8)));
  for (let k = 0; k < 400; k++) {
    const id = 1 + random(14);
    all = k % 2 ? moved(all, id, k % 4 === 1 ? { x: random(40) - 8, y: random(40) - 5 } : { w: random(40), h: random(12) }) : stepped(all, id, (['left', 'right', 'up', 'down'] as const)[random(4)]);
    assertTight(all);
    assert.deepEqual(settle(all), all);
  }
});

test('a collapsed row hides what is below it, up to the next one', () => {
  const p = (id: number, kind: string, y: number, collapsed = false) => ({ ...box(id, 0, y, 24, kind === 'row' ? 1 : 4), kind, collapsed });
  const seen = visible([p(1, 'stat', 0), p(2, 'row', 4, true), p(3, 'stat', 5), p(4, 'stat', 9), p(5, 'row', 13), p(6, 'stat', 14)]);
  assert.deepEqual(seen.map((x) => [x.id, x.y]), [[1, 0], [2, 4], [5, 5], [6, 6]]);
});

/* ---- variables ---- */

const moment = { fromMs: 0, toMs: 3_600_000, step: 30, title: 'D' };
const chosen = (v: Partial<Variable>, values: string[], options: string[] = []): [string, Chosen] => [v.name!, { variable: { kind: 'query', ...v } as Variable, values, options, failure: '' }];

test('variables are filled in as Grafana does for Prometheus', () => {
  const all = new Map([chosen({ name: 'one' }, ['a.b"c']), chosen({ name: 'many', multi: true }, ['a.b', 'c+']), chosen({ name: 'every', all: true }, ['*'], ['x', 'y.z']), chosen({ name: 'any', all: true, all_value: '.*' }, ['*']), chosen({ name: 'none', all: true }, ['*']), chosen({ name: 'step', kind: 'interval' }, ['auto']), chosen({ name: 'n', kind: 'text' }, ['5'])]);
  assert.equal(fill('x{a="$one"}', all, moment), 'x{a="a.b\\"c"}');
  assert.equal(fill('x{a=~"$many"}', all, moment), 'x{a=~"(a\\\\.b|c\\\\+)"}');
  assert.equal(fill('x{a=~"${every}"}', all, moment), 'x{a=~"(x|y\\\\.z)"}');
  assert.equal(fill('x{a=~"[[any]]",b=~"$none"}', all, moment), 'x{a=~".*",b=~".+"}');
  assert.equal(fill('topk($n, rate(x[$step]))', all, moment), 'topk(5, rate(x[30s]))');
  assert.equal(fill('${many:csv} ${many:pipe} ${many:regex}', all, moment, false), 'a.b,c+ a.b|c+ (a\\.b|c\\+)');
  assert.equal(fill('rate(x[$__rate_interval]) $__interval $__range $__range_s ${__interval_ms} $unknown $1', all, moment), 'rate(x[1m]) 30s 1h 3600 30000 $unknown $1');
  assert.equal(fill('$__rate_interval', all, { ...moment, step: 300 }), '315s');
  assert.equal(fill('$__rate_interval', all, { ...moment, step: 60, least: 60 }), '4m');
  assert.equal(fill('Load of $one', all, moment, false), 'Load of a.b"c');
  assert.deepEqual(namesIn('$a ${b:csv} [[c]]'), ['a', 'b', 'c']);
});

test('what is chosen: of the address, of the document, all, or the first', () => {
  const v = (some: Partial<Variable>): Variable => ({ name: 'v', kind: 'query', ...some });
  assert.deepEqual(chosenOf(v({}), undefined, ['a', 'b']), ['a']);
  assert.deepEqual(chosenOf(v({ value: ['b'] }), undefined, ['a', 'b']), ['b']);
  assert.deepEqual(chosenOf(v({ value: ['gone'] }), undefined, ['a', 'b']), ['a']);
  assert.deepEqual(chosenOf(v({}), ['gone'], ['a']), ['gone']); // a link says what it says
  assert.deepEqual(chosenOf(v({ value: ['*'], all: true }), undefined, ['a']), ['*']);
  assert.deepEqual(chosenOf(v({ value: ['*'] }), undefined, ['a']), ['a']);
  assert.deepEqual(chosenOf(v({ multi: true }), ['a', 'b'], ['a', 'b']), ['a', 'b']);
  assert.deepEqual(chosenOf(v({ kind: 'constant', value: ['c'] }), ['other'], []), ['c']);
  assert.deepEqual([...givenIn(['v=a', 'v=b', 'w=', '=x', 'q'])], [['v', ['a', 'b']], ['w', ['']]]);
  assert.deepEqual(withChosen(['v=a', 'w=1'], 'v', ['b', 'c']), ['w=1', 'v=b', 'v=c']);
});

test('what a variable asks', () => {
  assert.deepEqual(optionQuery('label_values(job)'), { path: '/label/job/values', match: '' });
  assert.deepEqual(optionQuery(' label_values(up{a="x,y"}, instance ) '), { path: '/label/instance/values', match: 'up{a="x,y"}' });
  assert.deepEqual(optionQuery('label_names()'), { path: '/labels', match: '' });
  assert.deepEqual(optionQuery('metrics(node_)'), { path: '/label/__name__/values', match: '{__name__=~".*(node_).*"}' });
  for (const bad of ['', 'query_result(up)', 'label_values()', 'label_values(up, a b)']) assert.equal(optionQuery(bad), null, bad);
});

test('range and refresh: of the address, else of the dashboard', () => {
  const doc = { title: 'x', panels: [], time: { start: 'now-6h' } };
  assert.deepEqual(rangeOf({ start: '', end: '' }, doc), { start: 'now-6h', end: '' });
  assert.deepEqual(rangeOf({ start: 'now-5m', end: '' }, doc), { start: 'now-5m', end: '' });
  assert.deepEqual(rangeOf({ start: '', end: '' }, null), { start: 'now-1h', end: '' });
  assert.deepEqual(['30s', '5m', 'off', '', undefined].map(refreshMs), [30_000, 300_000, 0, 0, 0]);
});

/* ---- words ---- */

test('Markdown: what it knows, and nothing of HTML', () => {
  assert.deepEqual(markdown('# A *b*\n\ntext **bold** `c<d>` [l](https://x.y/z)\nmore\n\n- one\n- two\n\n1. a\n\n> said\n\n---\n```\n<b>\n```').map((b) => b.kind), ['heading', 'paragraph', 'list', 'list', 'quote', 'line', 'code']);
  assert.deepEqual(inlines('<img src=x onerror=alert(1)> **b**'), [{ kind: 'text', text: '<img src=x onerror=alert(1)> ' }, { kind: 'bold', text: 'b' }]);
  assert.deepEqual(inlines('[x](javascript:alert(1))').map((i) => i.kind), ['text']);
  for (const bad of ['javascript:alert(1)', 'JaVaScRiPt:x', 'data:text/html,x', '//evil.example', '/\\evil.example', 'vbscript:x', 'ftp://x']) assert.equal(safeHref(bad), null, bad);
  for (const good of ['https://a.b/c?d', 'http://a', 'mailto:a@b.c', '/logs?service=a', '#x']) assert.equal(safeHref(good), good);
  assert.equal(markdown('| a | b |\n|---|---|\n| 1 | 2 |')[0].kind, 'table');
  const began = performance.now();
  markdown(`${'*'.repeat(20_000)}${'[a]('.repeat(5_000)}${'| '.repeat(5_000)}${'_a'.repeat(9_000)}`);
  assert.ok(performance.now() - began < 2000);
});

test('a legend is made of labels', () => {
  assert.equal(legendOf('{{ a }} of {{b}}{{c}}', { a: '1', b: '2' }), '1 of 2');
  assert.equal(legendOf('{{a}} {{b}}', { a: '$&' }), '$&');
});

test('numbers in their units', () => {
  const show = (unit: string, v: number, decimals?: number): string => formatter({ unit, decimals }, 'utc')(v);
  assert.deepEqual([show('ratio', 0.1234), show('ratio', 0.1234, 1), show('percent', 12.34, 0), show('bytes', 2048), show('ms', 1500), show('/s', 1234), show('none', 123456), show('short', NaN), show('time', 0), show('celsius', 21.5, 1)], ['12.3 %', '12.3 %', '12 %', '2 KiB', '1.50 s', '1.23k/s', '123456', '–', '1970-01-01 00:00:00', '21.5 °C']);
});

/* ---- answers ---- */

const steps = { start: 0, end: 30, step: 15, n: 3 };
test('a series becomes one value', () => {
  const r = { resultType: 'matrix' as const, result: [{ metric: { a: 'x' }, values: [[0, '1'], [15, '5'], [30, '3']] as [number, string][] }] };
  assert.deepEqual((['last', 'mean', 'max', 'min', 'sum'] as const).map((c) => valuesOf(r, 0, steps, c)[0].value), [3, 3, 5, 1, 9]);
  assert.equal(valuesOf({ resultType: 'vector', result: [{ metric: {}, value: [0, '7'] }] }, 0, steps, 'max')[0].value, 7);
});

test('lines on one another, with holes where none has a value', () => {
  assert.deepEqual(stacked([[1, null, 3], [1, null, null]]), [[1, null, 3], [2, null, 3]]);
});

test('cumulative buckets become what fell into each, lowest first', () => {
  const row = (le: string, v: string[]) => ({ metric: { le }, values: v.map((x, i) => [i * 15, x] as [number, string]) });
  const heat = heatOf(linesOf({ resultType: 'matrix', result: [row('+Inf', ['9', '9', '9']), row('0.1', ['2', '0', '1']), row('0.5', ['5', '9', '1'])] }, 0, steps), () => '');
  assert.deepEqual(heat.rows.map((r) => [r.name, r.values]), [['0.1', [2, 0, 1]], ['0.5', [3, 9, 0]], ['+Inf', [4, 0, 8]]]);
  assert.equal(heat.max, 9);
});

test('a tone is of the last threshold that is reached', () => {
  const t = [{ at: 90, tone: 'error' }, { at: 80, tone: 'warning' }];
  assert.deepEqual([79, 80, 95, NaN].map((v) => toneAt(v, t)), ['ok', 'warning', 'error', 'ok']);
});

test('a draft goes back and forth; changes of one field are one step', () => {
  const doc = (title: string) => ({ title, panels: [] });
  let d: Draft = { doc: doc('a'), saved: doc('a'), tag: 't', past: [], future: [], what: '' };
  d = changed(d, doc('b'), 'title');
  d = changed(d, doc('c'), 'title');
  d = changed(d, doc('d'), '');
  assert.equal(d.past.length, 2);
  assert.ok(isChanged(d));
  d = undone(undone(d));
  assert.equal(d.doc.title, 'a');
  assert.ok(!isChanged(d));
  assert.equal(redone(redone(d)).doc.title, 'd');
  assert.equal(undone(d), d);
});
