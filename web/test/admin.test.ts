import test from 'node:test';
import assert from 'node:assert/strict';
import * as a from '../src/lib/admin';

test('bytes have three digits and their unit', () => {
  const cases: [number, string][] = [[0, '0 B'], [1, '1 B'], [999, '999 B'], [1000, '0.98 KiB'], [1024, '1.00 KiB'], [1536, '1.50 KiB'], [10240, '10.0 KiB'], [1 << 20, '1.00 MiB'], [5.5e9, '5.12 GiB'], [2 ** 50, '1.00 PiB']];
  for (const [n, text] of cases) assert.equal(a.bytes(n), text, String(n));
  assert.equal(a.exactBytes(1234567), '1 234 567 bytes');
});

test('the rule that drops an attribute names it and its place, whatever is in the name', () => {
  const column = (name: string, set?: a.Column['set']): a.Column => ({ name, set, kind: 'attribute', type: 'string', bytes: 1 });
  assert.equal(a.dropRule('spans', column('http.url', 'rows')), 'redact:\n  - name: "drop http.url"\n    do: drop\n    key: "http.url"\n    in: [span]\n');
  assert.match(a.dropRule('logs', column('a', 'rows')), /in: \[log\]/);
  assert.match(a.dropRule('spans', column('a', 'events')), /in: \[event\]/);
  assert.match(a.dropRule('spans', column('a', 'links')), /in: \[link\]/);
  const odd = a.dropRule('logs', column('a"\n  - do: drop\n    key: *', 'rows')); // stays one line, in quotes
  assert.equal(odd.split('\n').length, 6);
  assert.ok(odd.includes('key: "a\\"\\n  - do: drop\\n    key: *"'));
});

test('columns are named by what they are of', () => {
  assert.equal(a.columnName({ name: 'http.route', kind: 'attribute', set: 'rows', bytes: 1 }), 'http.route');
  assert.equal(a.columnName({ name: 'name', kind: 'field', set: 'events', bytes: 1 }), 'events: name');
  assert.equal(a.columnName({ name: 'strings', kind: 'dictionary', bytes: 1 }), 'dictionary: strings');
  assert.equal(a.columnName({ name: 'frame', kind: 'frame', bytes: 1 }), 'frame of the files');
});

test('rates need two answers of one run of the server', () => {
  assert.equal(a.perSecond(100, undefined, 5), null);
  assert.equal(a.perSecond(100, 50, 5), 10);
  assert.equal(a.perSecond(10, 50, 5), null); // it began anew
  assert.equal(a.perSecond(100, 50, 0), null);
});

test('retention and reasons read as sentences', () => {
  assert.equal(a.retentionText(0), 'for ever');
  assert.equal(a.retentionText(30 * 86_400e9), '30 days');
  assert.equal(a.retentionText(36 * 3_600e9), '36 hours');
  assert.equal(a.retentionText(90e9), '90 seconds');
  assert.equal(a.reasons({}, undefined), 'none');
  assert.equal(a.reasons({ too_old: 1200 }, { busy: 1 }), 'too old: 1 200, busy: 1');
});
