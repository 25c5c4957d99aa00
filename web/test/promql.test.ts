import test from 'node:test';
import assert from 'node:assert/strict';
import { argumentWords, functionOf, functions, signature } from '../src/lib/functions';
import { complaintAt, escapeLabel, placeInNote, placeOf, quote, selectors, spotAt, tokens, unquote, withMatcher, writeSelector } from '../src/lib/promql';

const spot = (s: string) => spotAt(s.replace('|', ''), s.indexOf('|'));

test('words cover a text, whatever it is', () => {
  assert.deepEqual(tokens('sum by (a) (rate(x{b!~"c"}[5m] offset 1h30m)) >= 0x1F # end').map((t) => t.text), ['sum', 'by', '(', 'a', ')', '(', 'rate', '(', 'x', '{', 'b', '!~', '"c"', '}', '[', '5m', ']', 'offset', '1h30m', ')', ')', '>=', '0x1F']);
  assert.deepEqual(tokens('"a\\"b" `c"` \'d').map((t) => [t.text, t.endless === true]), [['"a\\"b"', false], ['`c"`', false], ["'d", true]]);
  const parts = ['a', ' ', '"', '\\', '=', '!', '~', '{', '}', '[5m]', '(', ')', 'by', 'rate', ',', '#', '\n', '`', "'", '1.5e', '💳', '\0', '@', 'é'];
  let x = 1;
  for (let n = 0; n < 2000; n++) {
    let s = '';
    for (let k = 0; k < 10; k++) s += parts[(x = (x * 48271) % 2147483647) % parts.length];
    let at = 0;
    for (const t of tokens(s)) {
      assert.ok(t.from >= at && t.to > t.from && s.slice(t.from, t.to) === t.text, JSON.stringify(s));
      at = t.to;
    }
    for (let c = 0; c <= s.length; c++) {
      const p = spotAt(s, c);
      assert.ok(p.from >= 0 && p.from <= p.to && p.to <= s.length && p.from <= c, JSON.stringify([s, c, p]));
    }
    for (const one of selectors(s)) assert.ok(one.from < one.to && one.to <= s.length, JSON.stringify(s));
  }
});

test('what can stand where the caret is', () => {
  const cases: [string, string, string][] = [
    ['|', 'expression', ''], ['ra|', 'expression', 'ra'], ['rate(|', 'expression', ''], ['rate(x|', 'expression', 'x'], ['a + |', 'expression', ''], ['a |', 'operator', ''], ['a an|', 'operator', 'an'], ['sum |', 'operator', ''],
    ['sum(x) b|', 'operator', 'b'], ['a and |', 'expression', ''], ['a and on(|', 'label', ''], ['sum by (a, b|', 'label', 'b'], ['x{|', 'label', ''], ['x{jo|', 'label', 'jo'], ['x{job|}', 'label', 'job'], ['x{job |', 'match', ''],
    ['x{job=|', 'value', ''], ['x{job!|', 'match', '!'], ['x{job="pr|', 'value', 'pr'], ['x{job="pr|"}', 'value', 'pr'], ['x{job=~"a|b', 'value', 'a'], ['x{a="b", |', 'label', ''], ['x{a="b"|', 'none', ''], ['{"a.|', 'label', 'a.'], ['x[|', 'duration', ''], ['x[5|', 'duration', '5'],
    ['x offset |', 'duration', ''], ['x @ |', 'modifier', ''], ['"te|xt"', 'none', '"te'], ['a # com|', 'none', ''], ['12|', 'none', '12'], ['rate(x[5m])|', 'operator', ''], ['rate(x[5m]) / |', 'expression', ''],
  ];
  for (const [s, stage, text] of cases) assert.deepEqual([spot(s).stage, spot(s).text], [stage, text], s);
});

test('a completion knows what stands beside it', () => {
  assert.deepEqual(spot('rate(x{a="b", job="pr|", c=~"d"}[5m])').selectors, ['x{a="b", c=~"d"}']);
  assert.equal(spot('rate(x{a="b", "k.l"="pr|"}[5m])').label, 'k.l');
  assert.deepEqual(spot('{"a.b", |}').selectors, ['{"a.b"}']);
  assert.deepEqual(spot('x{a="b", jo|b="c"}').selectors, ['x{a="b"}']);
  assert.deepEqual(spot('sum by (|) (x{a="b"} / on(c) y)').selectors, ['x{a="b"}', 'y']);
  assert.deepEqual(spot('histogram_quantile(0.9, ra|)').call, { name: 'histogram_quantile', argument: 1 });
  assert.deepEqual(spot('sum by (a) (|)').call, { name: 'sum', argument: 0 });
  assert.equal(spot('sum by (|)').call, null);
  const p = spot('rate(x{job="pr|}[5m])'); // without its end only what was typed is replaced
  assert.deepEqual([p.from, p.to, p.quoted], [11, 14, true]);
});

test('names that need quotes get them, and are read again', () => {
  assert.equal(writeSelector('a'), 'a');
  assert.equal(writeSelector('a.b'), '{"a.b"}');
  assert.equal(writeSelector('by'), '{"by"}');
  assert.equal(writeSelector('', [{ label: 'x', op: '=~', value: 'a"\\\n' }]), '{x=~"a\\"\\\\\\n"}');
  assert.equal(writeSelector('a.b', [{ label: 'http.route', op: '!=', value: '/' }]), '{"a.b", "http.route"!="/"}');
  for (const s of ['', 'plain', 'a"b', 'new\nline', 'tab\t', 'back\\slash', '💳', '\\x41']) assert.equal(unquote(quote(s)), s);
  assert.equal(unquote('"\\x41\\u0042\\103"'), 'ABC');
  assert.equal(unquote('`a\\n`'), 'a\\n');
  for (const [name, escaped] of [['job', 'job'], ['a.b', 'U__a_2e_b'], ['a_b.c', 'U__a__b_2e_c'], ['💳', 'U___1f4b3_'], ['U__x', 'U__U____x']]) assert.equal(escapeLabel(name), escaped);
});

test('selectors of a text, and matchers put into them', () => {
  const of = (s: string) => selectors(s).map((x) => writeSelector(x.metric, x.matchers));
  assert.deepEqual(of('sum by (a) (rate(x{b="c"}[5m])) / on(d) group_left(e) {"y.z"} > bool 2'), ['x{b="c"}', '{"y.z"}']);
  assert.deepEqual(of('{__name__="a", b!="c"} unless sum without (q) (w)'), ['a{b!="c"}', 'w']);
  assert.deepEqual(of('time() + vector(1)'), []);
  const put = (s: string, metric = '') => withMatcher(s, { label: 'job', op: '=', value: 'p"q' }, metric);
  assert.equal(put('rate(x[5m])'), 'rate(x{job="p\\"q"}[5m])');
  assert.equal(put('x / y', 'y'), 'x / y{job="p\\"q"}');
  assert.equal(put('x{job="other", a="b"}'), 'x{a="b", job="p\\"q"}');
  assert.equal(put('{"a.b"}'), '{"a.b", job="p\\"q"}');
  assert.equal(put(put('x + y')), put('x + y'));
  assert.equal(withMatcher('x{job="a"}', { label: 'job', op: '!=', value: 'b' }), 'x{job="a", job!="b"}');
  assert.equal(put('x{job="a"'), 'x{job="p\\"q"}'); // what is not closed is, then
});

test('what the server says is wrong stands at its place, counted in bytes', () => {
  const c = complaintAt('invalid parameter "query": 1:8: parse error: unexpected "}"', 'rate(x)}');
  assert.deepEqual(c, { at: 7, to: 8, message: 'unexpected "}"' });
  assert.equal(placeOf('{a="é"} )', 1, 10), 8);
  assert.equal(placeOf('a\nb c', 2, 3), 4);
  assert.equal(placeOf('a', 9, 99), 1);
  assert.equal(complaintAt('query timed out in expression evaluation', 'a'), null);
  assert.equal(placeInNote('PromQL info: metric might not be a counter: "x" (1:6)', 'rate(x[5m])'), 5);
  assert.equal(placeInNote('something', 'x'), null);
});

test('functions have signatures and no name twice', () => {
  assert.equal(signature(functionOf('histogram_quantile')!), 'histogram_quantile(q, vector)');
  assert.deepEqual(argumentWords(functionOf('rate')!), ['range[5m]']);
  assert.deepEqual(argumentWords(functionOf('pi')!), []);
  assert.equal(new Set(functions.map((f) => f.name)).size, functions.length);
  for (const f of functions) assert.ok(f.help.length > 2 && f.help.length < 90, f.name);
});
