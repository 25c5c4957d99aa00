// Ids in addresses, whatever they are; times of a timeline by clocks that are apart.
import assert from 'node:assert/strict';
import test from 'node:test';
import { farthest, paramsOf, pathOf, readTimeline, shownId, type TimelineAnswer } from '../src/lib/correlation';
import { correlationLink, correlations } from '../src/lib/screens';
import { earlier } from '../src/lib/time';

const opened = (id: string, encoded = ''): { url: string; id?: string } => {
  const state = correlations.read(correlationLink(id, encoded).replace(/^[^?]*/, '')), params = paramsOf(state);
  return { url: new URL(pathOf(state, '/flow'), 'http://clew').pathname, ...('id' in params ? { id: params.id } : {}) };
};

test('the way to an id leads to it, whatever it is', () => {
  assert.deepEqual(opened('order-7'), { url: '/api/v1/correlations/order-7/flow' });
  assert.deepEqual(opened('a/b..c'), { url: '/api/v1/correlations/a%2Fb..c/flow' });
  for (const id of ['.', '..', '../../etc/passwd', 'a\\..', 'a\0b']) assert.deepEqual(opened(id), { url: '/api/v1/correlations/-/flow', id });
  assert.deepEqual(opened('bad\ufffd\ufffdid', 'bad%FF%FEid'), { url: '/api/v1/correlations/bad%FF%FEid/flow' });
  assert.deepEqual(opened('x', '../../admin'), { url: '/api/v1/correlations/x/flow' }); // no such thing was ever given
});

test('an id of nothing to see is seen', () => {
  assert.deepEqual(['a', ' ', ' a', 'a b'].map(shownId), ['a', '“ ”', '“ a”', 'a b']);
});

test('an instant is moved exactly, over seconds and both ways', () => {
  assert.deepEqual(earlier({ s: 100, ns: 5 }, 10), { s: 99, ns: 999_999_995 });
  assert.deepEqual(earlier({ s: 100, ns: 5 }, -2_999_999_999), { s: 103, ns: 4 });
  assert.deepEqual(earlier({ s: 100, ns: 5 }, 300_000_000_000), { s: -200, ns: 5 });
});

test('a timeline is by right times, or by the stored ones', () => {
  const row = { type: 'span', description: '', duration_ns: 10, is_error: false, trace_id: 'a', span_id: 'b', correlation_from: 'own' } as const;
  const answer: TimelineAnswer = { partial: false, items_left_out: 0, timeline: [{ ...row, time: '2026-01-01T00:00:00Z', service: 'caller' }, { ...row, time: '2026-01-01T00:05:00.000000001Z', skew_ns: 300_000_000_000, service: 'callee' }] };
  assert.equal(readTimeline(answer).total, 11);
  assert.equal(readTimeline(answer, true).total, 300_000_000_011);
});

test('of the clocks of several traces the farthest of a service is named, the farthest first', () => {
  const clock = (service: string, ahead_ns: number) => ({ trace_id: 'a', service, ahead_ns, call_count: 1 });
  assert.deepEqual(farthest([clock('a', 5), clock('b', -9), clock('a', 7)]).map((c) => [c.service, c.ahead_ns]), [['b', -9], ['a', 7]]);
});
