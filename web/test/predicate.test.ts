import test from 'node:test';
import assert from 'node:assert/strict';
import { fieldOf, logFields, takeField, traceFields } from '../src/lib/fields';
import { searchLink } from '../src/lib/screens';
import { complaint, negated, parseCondition, placeAt, readCondition, writeCondition, writeValue, type Condition } from '../src/lib/where';

/** "a >|" → the text and where the caret is. */
const caret = (s: string) => placeAt(s.replace('|', ''), s.indexOf('|'));

test('where the caret is says what is completed', () => {
  const cases: [string, string, string][] = [['|', 'key', ''], ['ht|', 'key', 'ht'], ['  ht|tp.x', 'key', 'ht'], ['resource.ser|', 'key', 'resource.ser'], ['a |', 'op', ''], ['a !|', 'op', '!'],
    ['a ex|', 'op', 'ex'], ['a =|', 'value', ''], ['a >|', 'op', '>'], ['a > |', 'value', ''], ['a >=|', 'value', ''], ['a >= 5|', 'value', '5'], ['a = "x y|', 'value', 'x y'], ['"a b" ~ c|', 'value', 'c'], ['a|= 5', 'key', 'a'], ['a exists|', 'op', 'exists']];
  for (const [s, stage, text] of cases) {
    const p = caret(s);
    assert.deepEqual([p.stage, p.text], [stage, text], s);
    assert.ok(p.from <= p.to, s);
  }
  assert.deepEqual([caret('span."a b" = 1|').prefix, caret('span."a b" = 1|').key], ['span.', 'a b']);
  const p = caret('  http.st| >= 500');
  assert.deepEqual([p.from, p.to], [2, 9]);
});

test('a caret anywhere in any text is in some place', () => {
  const parts = ['a', ' ', '"', '\\', '=', '!', '~', '>', 'exists', 'resource.', 'é', '💳', '\0', '\n'];
  let x = 1;
  for (let n = 0; n < 4000; n++) {
    let s = '';
    for (let k = 0; k < 8; k++) s += parts[(x = (x * 48271) % 2147483647) % parts.length];
    for (let at = 0; at <= s.length; at++) {
      const p = placeAt(s, at);
      assert.ok(p.from >= 0 && p.from <= p.to && p.to <= s.length, JSON.stringify(s));
    }
    const c = readCondition(s);
    if ('message' in c) assert.ok(c.at >= 0 && c.at <= s.length, JSON.stringify(s));
    else assert.deepEqual(parseCondition(writeCondition(c)), c, JSON.stringify(s));
  }
});

test('mistakes are told with their place', () => {
  const cases: [string, number][] = [['', 0], ['=1', 0], ['a b', 2], ['a == 1', 2], ['a = "x', 4], ['a = "x" y', 8], ['a = "\\n"', 5], ['resource.=1', 0]];
  for (const [s, at] of cases) assert.equal((readCondition(s) as { at: number }).at, at, s);
});

test('a condition turned round twice is what it was', () => {
  for (const s of ['a = 1', 'a != 1', 'a > 1', 'a >= 1', 'a < 1', 'a <= 1', 'a ~ x|y', 'a !~ x', 'a exists', 'a absent', '"resource.x" = "y "']) assert.equal(negated(negated(s)), s);
  assert.equal(negated('http.status_code>=500'), 'http.status_code < 500');
  assert.equal(negated('nothing'), 'nothing');
  assert.equal(writeValue('=x'), '"=x"');
});

test('a complaint of the server is found at its place, counted in bytes', () => {
  const where = ['a = 1', 'é ~ (', 'a = 1: at 2'];
  assert.deepEqual(complaint('where=é ~ (: at 6: at 2: missing )', where), { where: 'é ~ (', at: 4, message: 'at 2: missing )' });
  assert.equal(complaint('where=b: at 1: x', where), null);
  assert.equal(complaint('range: at 1: x', where), null);
});

test('fields become fields, quoted names stay attributes', () => {
  const take = (s: string, fields = traceFields) => {
    const c = parseCondition(s) as Condition, f = fieldOf(fields, c, s);
    return f && takeField(f, c);
  };
  assert.deepEqual(take('service = cart'), { service: 'cart' });
  assert.deepEqual(take('duration >= 250 ms'), { min_duration: '250ms' });
  assert.deepEqual(take('duration <= 1h30m'), { max_duration: '1h30m' });
  assert.deepEqual(take('status = ERROR'), { status: 'error' });
  assert.deepEqual(take('severity >= warn', logFields), { severity: 'warn' });
  assert.equal(take('"status" = 1'), undefined);
  assert.equal(take('span.status = 1'), undefined);
  assert.equal(take('severity >= warn'), undefined);
  for (const bad of ['service != cart', 'duration = 5ms', 'duration >= fast', 'status = bad', 'service =']) assert.equal(typeof take(bad), 'string', bad);
});

test('a saved search leads to its screen and nowhere else', () => {
  assert.equal(searchLink({ screen: 'traces', query: 'service=a%3Cb%3E&start=now-6h&evil=1' }), '/traces?start=now-6h&service=a%3Cb%3E');
  assert.equal(searchLink({ screen: 'logs', query: '//evil.example/?x=1' }), '/logs');
  assert.equal(searchLink({ screen: 'javascript:alert(1)' as 'logs', query: 'text=x' }), '/traces?text=x');
});
