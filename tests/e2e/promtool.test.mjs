// Debian's promtool, and `clew query promql`, against clew: below /prometheus and at the root of --prometheus.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { binary, startClew } from './clew.mjs';
import { remoteWrite } from './promql.mjs';

let clew;
const now = Math.floor(Date.now() / 1000);
before(async () => {
  clew = await startClew(['--prometheus', '127.0.0.1:0']);
  const samples = (slope) => Array.from({ length: 241 }, (_, i) => [i * slope, (now - (240 - i) * 15) * 1000]);
  await remoteWrite(clew, [
    { labels: { __name__: 'hits_total', route: '/a', job: 'web' }, samples: samples(15) },
    { labels: { __name__: 'hits_total', route: '/b', job: 'web' }, samples: samples(30) },
    { labels: { __name__: 'heat', room: 'ü' }, samples: samples(0).map(([, ms], i) => [20 + 5 * Math.sin(i / 20), ms]) },
  ]);
});
after(() => clew.stop());

const run = (program, args, env = {}) => {
  const r = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C', ...env } });
  return { status: r.status, out: r.stdout, errors: r.stderr };
};

test('promtool query instant, range, series, labels', () => {
  for (const url of [`${clew.api}/prometheus`, clew.prometheus]) {
    const promtool = (...args) => {
      const r = run('promtool', ['query', ...args.map((a) => (a === 'URL' ? url : a))]);
      assert.equal(r.status, 0, `${args.join(' ')}: ${r.out}${r.errors}`);
      return r.out;
    };
    assert.match(promtool('instant', `--time=${now}`, 'URL', 'sum by (route) (increase(hits_total[5m]))'), /\{route="\/a"\} => 300 @\[\d+\]\n\{route="\/b"\} => 600 @\[\d+\]/);
    assert.match(promtool('instant', 'URL', '1+1'), /scalar: 2 @/);
    assert.deepEqual(JSON.parse(promtool('instant', '-o', 'json', `--time=${now}`, 'URL', 'hits_total{route="/a"}')),
      [{ metric: { __name__: 'hits_total', job: 'web', route: '/a' }, value: [now, '3600'] }]);
    const range = promtool('range', `--start=${now - 60}`, `--end=${now}`, '--step=15s', 'URL', 'round(sum(rate(hits_total[1m])))').trim().split('\n');
    assert.equal(range.length, 6, range.join('\n')); // {} => and five points
    assert.match(range[1], /^3(\.0+)? @\[\d+\]$/);
    assert.equal(promtool('series', '--match={job="web"}', '--match=heat', 'URL').trim().split('\n').length, 3);
    assert.deepEqual(promtool('labels', 'URL', 'route').trim().split('\n'), ['/a', '/b']);
    assert.deepEqual(promtool('labels', 'URL', '__name__').trim().split('\n'), ['heat', 'hits_total']);
  }
});

test('promtool is told what is wrong', () => {
  const r = run('promtool', ['query', 'instant', `${clew.api}/prometheus`, 'sum(']);
  assert.notEqual(r.status, 0);
  assert.match(r.errors, /bad_data: invalid parameter "query": 1:5: parse error: unclosed left parenthesis/);
  const range = run('promtool', ['query', 'range', `--start=0`, `--end=${now}`, '--step=1s', `${clew.api}/prometheus`, 'heat']);
  assert.match(range.errors, /exceeded maximum resolution of 11,000 points per timeseries/);
});

const ask = async (path, params) => {
  const r = await fetch(`${clew.api}/prometheus/api/v1/${path}?${new URLSearchParams(params)}`);
  return { status: r.status, body: await r.json() };
};

test('stats=all counts what each step looks at; mistakes stand where they are', async () => {
  const range = { start: now - 60, end: now, step: 30, stats: 'all' };
  for (const [query, each] of [['heat', 1], ['heat + heat', 2], ['hits_total', 2], ['rate(heat[1m])', 4], ['1', 0]]) {
    const { samples } = (await ask('query_range', { query, ...range })).body.data.stats;
    assert.equal(samples.totalQueryableSamples, each * 3, query);
    assert.deepEqual(samples.totalQueryableSamplesPerStep, [now - 60, now - 30, now].map((t) => [t, each]), query);
  }
  for (const [query, place] of [['1 == 1', '1:3'], ['heat + bool heat', '1:6'], ['heat{a="b",c=~"x{1001}"}', '1:12'], ['1[5m]', '1:2'], ['odd{__name__=~"req.*"}', '1:1']]) {
    const { status, body } = await ask('query', { query });
    assert.equal(status, 400, query);
    assert.match(body.error, new RegExp(`: ${place}: parse error: `), query);
  }
});

const query = (args, env) => run(binary, ['query', 'promql', '--server', clew.api, '--time', `${now}`, ...args], env);

test('clew query promql: values, JSON, mistakes with a caret', () => {
  assert.equal(query(['sum by (route) (hits_total)']).out, '          3600  {route="/a"}\n          7200  {route="/b"}\n');
  assert.equal(query(['1 + 1']).out, '             2\n');
  assert.equal(query(['heat{room="ü"} > 0']).out.split('  ')[1] !== undefined, true);
  const points = query(['hits_total{route="/a"}[30s]']).out.split('\n');
  assert.equal(points[0], 'hits_total{job="web", route="/a"}');
  assert.match(points[1], /^\s+3585 {2}@\d+$/);
  const json = JSON.parse(query(['hits_total', '--json']).out);
  assert.equal(json.data.result.length, 2);
  const wrong = query(['sum(rate(hits_total[5m])']);
  assert.equal(wrong.status, 2, wrong.errors);
  assert.equal(wrong.errors, 'clew: invalid parameter "query": 1:25: parse error: unclosed left parenthesis\n  sum(rate(hits_total[5m])\n                          ^\n');
  assert.match(query(['nobody']).errors, /no series has a sample there/);
  assert.match(query(['rate(heat[5m])']).errors, /^info: PromQL info: metric might not be a counter/);
});

test('clew query promql --range: charts in braille, or plain', () => {
  const plain = query(['heat', '--range', '1h']);
  assert.equal(plain.status, 0, plain.errors);
  assert.match(plain.out, /^heat\{room="ü"\} {2}min 15 {2}max 25 {2}last/);
  assert.match(plain.out, /\n +25 \+.*\*/);
  const rows = plain.out.split('\n');
  assert.equal(rows.length, 1 + 12 + 1 + 1);
  assert.ok(!/[\u2500-\u28ff]/.test(rows.slice(1).join('')));
  const dots = query(['heat', '--range', '1h', '--step', '30s'], { LC_ALL: 'C.UTF-8' });
  assert.match(dots.out, /┤/);
  assert.match(dots.out, /[\u2801-\u28ff]/);
  const two = query(['hits_total', '--range', '30m', '--limit', '1']);
  assert.match(two.errors, /truncated due to limit/);
  assert.equal(JSON.parse(query(['hits_total', '--range', '1h', '--json']).out).data.resultType, 'matrix');
  assert.match(query(['heat', '--step', '1m']).errors, /--step goes with --range/);
  assert.match(query(['heat[5m]', '--range', '1h']).errors, /must be Scalar or instant Vector/);
});
