import test from 'node:test';
import assert from 'node:assert/strict';
import * as s from '../src/lib/screens';

/** What a screen reads is written again as it was; one that means the default is empty. */
function holds<S>(codec: { read(q: string): S; write(v: S): string }, query: string, written = query): void {
  const state = codec.read(query);
  assert.equal(codec.write(state), written);
  assert.deepEqual(codec.read(written), state);
}

test('a default state has no query', () => {
  for (const codec of [s.home, s.traces, s.trace, s.compare, s.logs, s.metrics, s.cardinality, s.targets, s.rules, s.dashboards, s.dashboard, s.settings, s.login]) holds(codec as never, '');
});

test('every field of every screen survives its URL', () => {
  holds(s.home, '?start=now-5m&end=2026-01-02T03%3A04%3A05Z&environment=prod&compare=true');
  holds(s.traces, '?start=now-24h&service=a+b&environment=%2F&operation=GET+%2F%26&status=error&min_duration=1ms&max_duration=2s&text=%22a+b%22&where=a%3D1&where=b%3E2&order=longest&compare=true&by=resource.host.name');
  holds(s.trace, '?as=table&sort=-self&span=00f067aa0ba902b7&find=x&collapsed=a&collapsed=b&path=true&view=1-200&stored=true');
  holds(s.compare, '?a=0af7651916cd43dd8448eb211c80319c&b=1af7651916cd43dd8448eb211c80319c&sort=tree&show=b');
  holds(s.logs, '?service=a&severity=warn&text=x&trace_id=0af7651916cd43dd8448eb211c80319c&span_id=00f067aa0ba902b7&where=resource.%22x%22%3D1&order=oldest&compare=true&by=severity&column=body&column=user.id&record=17-ab&around=17-ab&within=host');
  holds(s.metrics, '?start=now-6h&query=sum%28x%29&query=%7B%22a.b%22%7D&off=B&as=table&step=30s&compare=true&exemplars=hidden&find=a+b&series=0%5B%5D&sort=-value&match=%7Bjob%3D%22x%22%7D&metric=a.b&label=job&browser=closed');
  holds(s.cardinality, '?start=now-7d&match=%7Bjob%3D%22x%22%7D&by=pair&sort=bytes&find=x&drop=label%3Apod');
  holds(s.targets, '?state=down&pool=a+b&find=x%3D1&paused=true');
  holds(s.rules, '?start=now-30d&end=2026-01-02T03%3A04%3A05Z&id=a.b-c&edit=new&show=bad&find=x');
  holds(s.dashboards, '?search=a+b');
  holds(s.dashboard, '?start=now-6h&end=now-1h&var=a%3Db&var=a%3Dc%3Dd&refresh=off&edit=true&panel=12');
  holds(s.settings, '?section=storage&signal=logs&column=rows%2Fstring%2Fhttp.route');
  holds(s.login, '?to=%2Ftraces%3Fservice%3Da');
});

test('what is unknown is dropped, and choices fall back to the first', () => {
  holds(s.traces, '?status=fine&order=sideways&nonsense=1&where=&where=a%3D1&where=a%3D1', '?where=a%3D1');
  holds(s.logs, '?severity=loud', '');
  holds(s.targets, '?state=sideways&paused=perhaps', '');
  assert.equal(s.traces.read(`?${'where=a&'.repeat(3)}${Array.from({ length: 50 }, (_, i) => `where=k${i}`).join('&')}`).where.length, 32);
});

test('paths name screens, and nothing else does', () => {
  assert.deepEqual(s.placeOf('/'), { screen: 'home', id: '' });
  assert.deepEqual(s.placeOf('/compare'), { screen: 'compare', id: '' });
  assert.deepEqual(s.placeOf('/explore'), { screen: 'metrics', id: '' });
  assert.deepEqual(s.placeOf('/targets'), { screen: 'targets', id: '' });
  assert.deepEqual(s.placeOf('/logs'), { screen: 'logs', id: '' });
  assert.deepEqual(s.placeOf('/dashboards'), { screen: 'dashboards', id: '' });
  assert.deepEqual(s.placeOf('/dashboard/clew.host'), { screen: 'dashboard', id: 'clew.host' });
  assert.deepEqual(s.placeOf('/trace/0AF7651916CD43DD8448EB211C80319C'), { screen: 'trace', id: '0af7651916cd43dd8448eb211c80319c' });
  for (const path of ['/trace/', '/trace/12', '/trace', '/logs/', '/api/v1/traces', '/docs', '/metrics', '/explore/', '/dashboard', '/dashboard/', '/dashboard/a/b', '/dashboard/..%2f', '/dashboard/.a', '/Traces', '//']) assert.equal(s.placeOf(path), null, path);
});

test('links hold what was given and leave the rest at its default', () => {
  assert.equal(s.tracesLink({ service: 'a', status: 'error' }), '/traces?service=a&status=error');
  assert.equal(s.traceLink('0af7651916cd43dd8448eb211c80319c', { span: 'b' }), '/trace/0af7651916cd43dd8448eb211c80319c?span=b');
  assert.equal(s.homeLink(), '/');
  assert.equal(s.serviceMetricsLink('a.b', 'shop'), '/explore?match=%7Bjob%3D%22shop%2Fa.b%22%7D');
  assert.equal(new URL(`http://x${s.serviceMetricsLink('a.b', null)}`).searchParams.get('match'), '{job=~"(.+/)?a\\\\.b"}');
  assert.equal(s.searchLink({ screen: 'metrics', query: 'query=up&nonsense=1&as=table' }), '/explore?query=up&as=table');
  assert.equal(s.settingsLink({ section: 'tokens' }), '/settings?section=tokens');
});

test('a login leads back to this page alone', () => {
  assert.equal(s.safePath('/traces?service=a'), '/traces?service=a');
  for (const bad of ['', '//evil.example', '/\\evil.example', 'https://evil.example/', 'javascript:alert(1)', '/nowhere', '/api/v1/logout']) assert.equal(s.safePath(bad), '/', bad);
});
