import test from 'node:test';
import assert from 'node:assert/strict';
import { allAlerts, healthOf, listGroups, sentenceOf, showLabels, strip, type Group, type Rule } from '../src/lib/rules';

const rule = (some: Partial<Rule> = {}): Rule => ({ type: 'alerting', name: 'A', query: 'x', labels: {}, health: 'ok', lastEvaluation: '2026-01-01T00:00:00Z', evaluationTime: 0, ...some });
const group = (file: string, rules: Rule[], some: Partial<Group> = {}): Group => ({ name: 'g', file, interval: 60, rules, lastEvaluation: '2026-01-01T00:00:00Z', evaluationTime: 0, ...some });
const row = (id: string) => ({ id, name: `name of ${id}`, version: 1, tag: 'a', updated: '', updated_by: '' });

test('rows and groups are one list: deleted rows are gone, new ones wait', () => {
  const all = listGroups([group('a.yml', []), group('/api/v1/rules/one', [rule()]), group('/api/v1/rules/gone', [])], [row('one'), row('new')]);
  assert.deepEqual(all.map((l) => [l.name, l.row?.id, l.group !== null]), [['name of one', 'one', true], ['name of new', 'new', false], ['g', undefined, true]]);
  assert.deepEqual(all.map(healthOf), ['ok', 'waiting', 'ok']);
});

test('health: what is worst', () => {
  const of = (g: Group) => healthOf({ key: '', name: '', row: null, group: g });
  assert.equal(of(group('f', [rule({ state: 'firing' }), rule({ health: 'err' })])), 'bad');
  assert.equal(of(group('f', [], { error: 'x' })), 'bad');
  assert.equal(of(group('f', [rule({ state: 'pending' }), rule({ state: 'firing' })])), 'firing');
  assert.equal(of(group('f', [rule({ state: 'pending' })])), 'pending');
  assert.equal(of(group('f', [rule()], { lastEvaluation: '0001-01-01T00:00:00Z' })), 'waiting');
});

test('alerts: firing first, the longest first', () => {
  const alert = (state: 'pending' | 'firing', activeAt: string) => ({ labels: { alertname: 'A', b: '1', a: 'x"' }, annotations: {}, state, activeAt, value: '1e+00' });
  const all = allAlerts([group('f', [rule({ alerts: [alert('pending', '1'), alert('firing', '3'), alert('firing', '2')] })])]);
  assert.deepEqual(all.map((x) => x.alert.activeAt), ['2', '3', '1']);
  assert.equal(showLabels(all[0].alert.labels), 'a="x\\"", b="1"');
});

test('a test is a sentence and a strip', () => {
  const of = { group: 'g', name: 'A', line: 1, step_ns: 1, reads_recorded: false };
  assert.equal(sentenceOf({ ...of, count: 0 }), 'would not have fired');
  assert.equal(sentenceOf({ ...of, count: 1, firing_ns: 60e9 }), 'would have fired once, for 1m in all');
  assert.equal(sentenceOf({ ...of, count: 3, firing_ns: 7200e9 }), 'would have fired 3 times, for 2h in all');
  assert.equal(sentenceOf({ ...of, error: 'no' }), 'cannot be tested: no');
  const at = (s: number) => new Date(s * 1000).toISOString(), f = (a: number, b: number | null) => ({ labels: {}, pending: at(a), start: at(a), end: b === null ? null : at(b) });
  assert.deepEqual(strip([f(50, null), f(0, 10), f(5, 20), f(30, 30)], 0, 100_000), [[0, 0.2], [0.3, 0.302], [0.5, 1]]);
  assert.deepEqual(strip([f(0, 10)], 5000, 5000), [[0, 1]]);
});
