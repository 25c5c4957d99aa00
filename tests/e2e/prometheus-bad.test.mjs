// Questions in PromQL that would never end, or read everything, or are lies: each is answered soon, with what to do, and clew goes on.
import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startClew } from './clew.mjs';
import { ask, form, load } from './promql.mjs';

let clew;
const now = Math.floor(Date.now() / 1000);
before(async () => {
  clew = await startClew(['--memory-limit', '256MiB']);
  const lines = [];
  for (let i = 0; i < 20000; i++) lines.push(`many{i="${i}",pod="pod-${i % 1000}-${'a'.repeat(24)}b"} ${i} ${now * 1000}`);
  await load(clew, `${lines.join('\n')}\n`);
  for (let k = 1; k < 40; k++) await load(clew, Array.from({ length: 500 }, (_, i) => `some{i="${i}"} ${i * k} ${(now - 600 + k * 15) * 1000}`).join('\n') + '\n');
});
after(() => clew.stop());

const SECONDS = 10;
async function refused(fields, statuses, text, path = '/api/v1/query') {
  const begun = Date.now(), answer = await ask(clew, path, { method: 'POST', body: form({ time: now, ...fields }) });
  assert.ok(Date.now() - begun < SECONDS * 1000, `${fields.query}: ${Date.now() - begun} ms`);
  assert.ok([statuses].flat().includes(answer.status), `${fields.query?.slice(0, 100)}: ${answer.status} ${answer.text.slice(0, 300)}`);
  assert.equal(answer.body.status, 'error');
  assert.match(answer.body.error, text, fields.query?.slice(0, 100));
}
async function answered(fields, path = '/api/v1/query') {
  const begun = Date.now(), answer = await ask(clew, path, { method: 'POST', body: form({ time: now, ...fields }) });
  assert.equal(answer.status, 200, `${fields.query}: ${answer.text.slice(0, 300)}`);
  assert.ok(Date.now() - begun < SECONDS * 1000, `${fields.query}: ${Date.now() - begun} ms`);
  return answer.body.data.result;
}

test('expressions that explode, look around, refer back', async () => {
  for (const bad of ['(?=x)', '(?<!x)y', '(a)\\\\1', '(?R)', '(?P>x)']) await refused({ query: `many{pod=~"${bad}"}` }, 400, /error parsing regexp/);
  for (const slow of ['(.*)*(.*)*(.*)*c', '((a+)+)+$', '(a|aa)+$', '(.*a){20}c', `(${'a?'.repeat(60)})${'a'.repeat(60)}`]) {
    const answer = await ask(clew, '/api/v1/query', { method: 'POST', body: form({ query: `count(many{pod=~"pod-.*${slow}"})`, time: now }) });
    assert.ok([200, 422].includes(answer.status), `${slow}: ${answer.text.slice(0, 200)}`);
  }
  await refused({ query: 'many{pod=~"(((((((((((((((((((((((((((((("}' }, 400, /missing closing parenthesis/);
  await refused({ query: `many{pod=~"(x.y${'z'.repeat(60000)})"}` }, 400, /too large/);
  assert.equal((await answered({ query: `count(many{i=~"${Array.from({ length: 1000 }, (_, i) => i).join('|')}"})` }))[0].value[1], '1000'); // a list may be long
});

test('what dashboards send for "all of these": hundreds of addresses, escaped or not', async () => {
  for (const dot of ['.', '\\\\.']) {
    const list = Array.from({ length: 400 }, (_, i) => `10${dot}${i % 7}${dot}3${dot}${i}`).join('|');
    assert.deepEqual(await answered({ query: `many{i=~"${list}"}` }), []);
    assert.equal((await answered({ query: `many{i=~"${list}|77"}` })).length, 1);
  }
});

test('a timeout holds within one series, and a client that has gone ends its query', async () => {
  const range = { start: 0, end: 100000, step: 10 };
  for (const [fn, before] of [['quantile_over_time', '0.5,'], ['stddev_over_time', ''], ['deriv', ''], ['max_over_time', ''], ['changes', '']]) {
    const begun = Date.now();
    await refused({ query: `${fn}(${before}vector(1)[20d:1s])`, ...range, timeout: '1s' }, 503, /timed out/, '/api/v1/query_range');
    assert.ok(Date.now() - begun < 3000, `${fn}: ${Date.now() - begun} ms`);
  }
  const long = form({ query: 'quantile_over_time(0.5,vector(1)[20d:1s])', ...range, timeout: '30s' });
  const asker = new AbortController();
  const gone = Array.from({ length: 8 }, () => ask(clew, '/api/v1/query_range', { method: 'POST', body: long, signal: asker.signal }).catch(() => 'gone'));
  await new Promise((resolve) => setTimeout(resolve, 1000));
  asker.abort();
  await Promise.all(gone);
  const begun = Date.now();
  assert.equal((await answered({ query: '1+1' }))[1], '2');
  await load(clew, `after 1 ${now * 1000}\n`);
  assert.ok(Date.now() - begun < 4000, `${Date.now() - begun} ms`);
});

test('steps, subqueries of subqueries, times that are none', async () => {
  const year = { start: now - 31536000, end: now };
  await refused({ query: 'some', ...year, step: '0.001' }, 400, /exceeded maximum resolution of 11,000 points/, '/api/v1/query_range');
  await refused({ query: 'some', ...year, step: '1e-9' }, 400, /1 ms at least/, '/api/v1/query_range');
  await refused({ query: 'count_over_time(vector(1)[1y:1ms])' }, 422, /too many samples/);
  await refused({ query: 'sum(count_over_time(some[100y:1ms]))' }, 422, /too many samples/);
  let nested = 'some';
  for (let i = 0; i < 20; i++) nested = `max_over_time(${nested}[1m:15s])`;
  assert.equal((await answered({ query: nested })).length, 500);
  let deep = '1';
  for (let i = 0; i < 2000; i++) deep = `(${deep})`;
  await refused({ query: deep }, 400, /level|deep|nest/);
  await refused({ query: `${'1+'.repeat(40000)}1` }, 400, /64 KiB|long/);
  for (const time of ['-1e9', '-62135596800', '0', '1e11', '2016-12-31T23:59:59Z', '1969-07-20T20:17:40.5Z', '1972-06-30T23:59:59.999999999Z']) assert.deepEqual(await answered({ query: 'some', time }), []);
  for (const time of ['NaN', 'Inf', '1e400', '2016-13-01T00:00:00Z', '2016-02-30T00:00:00Z', '', 'now'].filter(Boolean)) await refused({ query: 'some', time }, 400, /cannot parse|Invalid time/);
  await answered({ query: 'some @ -1000000000000 offset -100y' });
  await answered({ query: 'rate(some[5m])', start: '-1000', end: '1000', step: '10' }, '/api/v1/query_range');
});

test('questions that would read everything are bounded', async () => {
  await refused({ query: 'many * on (i, pod) many * on (i, pod) many', start: now - 11000 * 15, end: now, step: 15 }, [422, 429], /memory|samples/, '/api/v1/query_range');
  await refused({ query: '{__name__!=""}[1000d]', timeout: '0.000001' }, 503, /timed out/);
  await refused({ query: 'quantile_over_time(0.5, some[10m:1ms])', timeout: '0.2', start: now - 3600, end: now, step: 1 }, [422, 429, 503], /timed out|too many samples|memory/, '/api/v1/query_range');
  const all = await ask(clew, `/api/v1/series?${form({ 'match[]': '{__name__!=""}', limit: '3' })}`);
  assert.equal(all.body.data.length, 3);
  assert.deepEqual(all.body.warnings, ['results truncated due to limit']);
  await refused({}, 400, /no match\[\] parameter/, '/api/v1/series');
  const matches = new URLSearchParams(Array.from({ length: 300 }, (_, i) => ['match[]', `m${i}`]));
  assert.equal((await ask(clew, '/api/v1/series', { method: 'POST', body: matches })).status, 400);
  const matchers = Array.from({ length: 100 }, (_, i) => `l${i}="x"`).join(',');
  await refused({ query: `some{${matchers}}` }, 422, /64/);
});

test('bodies that lie', async () => {
  const post = (path, body, type, encoding) => ask(clew, path, { method: 'POST', body, headers: { 'Content-Type': type, ...(encoding && { 'Content-Encoding': encoding }) } });
  for (const body of [Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]), Buffer.from([0xff, 0xff, 0xff, 0x07, 0xfe, 1, 0]), Buffer.alloc(0), Buffer.alloc(100, 0xff), Buffer.from([2, 4, 0x0a, 0x7f])]) {
    const answer = await post('/api/v1/read', body, 'application/x-protobuf', 'snappy');
    assert.ok([200, 400, 422].includes(answer.status), `${body.toString('hex').slice(0, 20)}: ${answer.status}`);
    if (body.length) assert.notEqual(answer.status, 200);
  }
  assert.equal((await post('/api/v1/query', 'query=%zz', 'application/x-www-form-urlencoded')).status, 400);
  assert.equal((await post('/api/v1/query', 'query=%ff%fe', 'application/x-www-form-urlencoded')).status, 400);
  assert.equal((await post('/api/v1/query', `query=${'a'.repeat(2000000)}`, 'application/x-www-form-urlencoded')).status, 413);
});

/** Whatever refuses it, and before its path has a meaning. */
test('what is too large, too long, or of another encoding is refused in the words of Prometheus', async () => {
  const large = [['/api/v1/query', `query=${'a'.repeat(300000)}`], ['/api/v1/series', `match[]=${'a'.repeat(2000000)}`], ['/api/v1/nothing', `x=${'a'.repeat(2000000)}`]];
  for (const [path, body] of large) {
    const answer = await ask(clew, path, { method: 'POST', body, headers: { 'Content-Type': 'application/x-www-form-urlencoded' } });
    assert.ok([400, 413].includes(answer.status), `${path}: ${answer.status}`);
    assert.deepEqual([answer.body.status, answer.body.errorType], ['error', 'bad_data'], answer.text);
  }
  const boxed = new FormData();
  boxed.set('query', '1');
  const answer = await ask(clew, '/api/v1/query', { method: 'POST', body: boxed });
  assert.deepEqual([answer.status, answer.body.error], [400, 'multipart/form-data is not read: send the form as application/x-www-form-urlencoded']);
  const long = await ask(clew, `/api/v1/label/pod/values?${form({ 'match[]': `many{i=~"${'x'.repeat(60000)}"}` })}`);
  assert.deepEqual([long.status, long.body.status, long.body.error], [414, 'error', 'the request line has more than 48 KiB']);
  assert.equal((await ask(clew, '/api/v1/nothing')).body.errorType, 'not_found');
});

test('long match[] may stand in the address', async () => {
  const fields = new URLSearchParams({ limit: '10' });
  for (let n = 0; n < 30; n++) fields.append('match[]', `many{i=~"${Array.from({ length: 160 }, (_, i) => n * 160 + i).join('|')}"}`);
  const path = `/api/v1/label/i/values?${fields}`, answer = await ask(clew, path);
  assert.ok(path.length > 30000, String(path.length));
  assert.deepEqual([answer.status, answer.body.data?.length], [200, 10], answer.text.slice(0, 300));
});

test('the first and the last time of Prometheus are times', async () => {
  for (const end of ['292277025-08-18T07:12:54.999999999Z', '9223309901257974'])
    assert.deepEqual((await ask(clew, `/api/v1/label/job/values?${form({ start: '-292273086-05-16T16:47:06Z', end })}`)).body.status, 'success', end);
});

test('clew is well', async () => {
  assert.equal((await ask(clew, '/-/ready')).status, 200);
  assert.equal((await answered({ query: 'count(many)' }))[0].value[1], '20000');
});
