import test from 'node:test';
import assert from 'node:assert/strict';
import { agoOf, changesOf, countsOf, keyOf, poolsOf, readNotification, samplesOf, type Target, type TargetsAnswer } from '../src/lib/targets';

const target = (scrapePool: string, instance: string, health: Target['health'], some: Partial<Target> = {}): Target => ({
  discoveredLabels: { __address__: instance }, labels: { instance, job: scrapePool }, scrapePool, scrapeUrl: `http://${instance}/metrics`, lastError: '', lastScrape: '2026-01-01T00:00:00Z', lastScrapeDuration: 0, health, scrapeInterval: '15s', scrapeTimeout: '10s', ...some,
});
const dropped = (scrapePool: string, address: string) => ({ scrapePool, discoveredLabels: { __address__: address, __meta_zone: 'z1' } });
const answer: TargetsAnswer = {
  activeTargets: [target('a', 'a1', 'up'), target('b', 'b2', 'up'), target('b', 'b1', 'up'), target('b', 'b3', 'down', { lastError: 'Connection refused' }), target('c', 'c1', 'unknown'), target('__proto__', 'p', 'up')],
  droppedTargets: [dropped('a', 'a2'), dropped('a', 'a3')],
  droppedTargetCounts: Object.fromEntries([['a', 5], ['b', 0], ['c', 0], ['empty', 0], ['__proto__', 0]]),
};
const all = { state: 'all', pool: '', find: '' } as const;
const shown = (some: object) => poolsOf(answer, { ...all, ...some }).map((p) => `${p.name}: ${p.targets.map((t) => t.labels.instance)}${p.dropped.length ? ` -${p.dropped.length}` : ''}`);

test('jobs and targets: what is down first, what is not known next; a job without targets is one', () => {
  assert.deepEqual(shown({}), ['b: b3,b1,b2', 'c: c1', '__proto__: p', 'a: a1 -2', 'empty: ']);
  const [b, , , a] = poolsOf(answer, all);
  assert.deepEqual([b.of, a.droppedCount, a.dropped.length], [{ down: 1, unknown: 0, up: 2 }, 5, 2]);
  assert.deepEqual(countsOf(answer.activeTargets), { down: 1, unknown: 1, up: 4 });
});

test('filters: a state, a job, words in address, labels and errors; the counts of a job stay', () => {
  assert.deepEqual(shown({ state: 'down' }), ['b: b3']);
  assert.deepEqual(poolsOf(answer, { ...all, state: 'down' })[0].of, { down: 1, unknown: 0, up: 2 });
  assert.deepEqual(shown({ pool: 'a' }), ['a: a1 -2']);
  assert.deepEqual(shown({ pool: 'empty' }), ['empty: ']);
  assert.deepEqual(shown({ pool: 'gone' }), []);
  assert.deepEqual(shown({ find: 'refused  CONNECTION' }), ['b: b3']);
  assert.deepEqual(shown({ find: 'instance=b' }), ['b: b3,b1,b2']);
  assert.deepEqual(shown({ find: '__meta_zone=z1 a3' }), ['a:  -1']);
  assert.deepEqual(shown({ find: 'nothing' }), []);
});

test('labels before and after: what stands at the series first', () => {
  assert.deepEqual(changesOf({ __address__: 'x', job: 'a', zone: '1' }, { job: 'a', zone: '2', instance: 'x' }).map((c) => `${c.name} ${c.kind}`), ['instance made', 'job same', 'zone changed', '__address__ gone']);
});

test('how long ago, by a clock that may be behind', () => {
  const at = Date.parse('2026-01-01T00:00:00Z');
  assert.deepEqual([-5, 0.5, 3, 125, 7300, 200000].map((s) => agoOf('2026-01-01T00:00:00Z', at + s * 1000)), ['now', 'now', '3 s ago', '2 min ago', '2 h ago', '2 d ago']);
  assert.equal(agoOf('0001-01-01T00:00:00Z', at), null);
});

test('a notification names places', () => {
  assert.deepEqual(readNotification('Configuration reload has failed: /etc/p.yml:12: global: it is no mapping; really'), { what: 'Configuration reload has failed', places: [{ file: '/etc/p.yml', line: 12, message: 'global: it is no mapping; really' }] });
  assert.deepEqual(readNotification('Taken in part: p.yml:3: a: b; p.yml:9: c').places.map((p) => [p.line, p.message]), [[3, 'a: b'], [9, 'c']]);
  assert.deepEqual(readNotification('Configuration reload has failed: no such file'), { what: 'Configuration reload has failed: no such file', places: [] });
});

test('samples are found by the labels of a target', () => {
  const of = samplesOf([{ metric: { __name__: 'scrape_samples_scraped', job: 'a', instance: 'a1' }, value: [1, '12'] }, { metric: { job: 'b' } }]);
  assert.equal(of.get(keyOf(answer.activeTargets[0].labels)), 12);
  assert.equal(of.size, 1);
});
