// Redaction from the wire to the disk: what the rules take away is nowhere, what they leave is there.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary, getJson, startClew } from './clew.mjs';
import { prometheusOf, query } from './prometheus.mjs';
import { temporary } from './processes.mjs';

const rules = `redact:
- {name: tokens, do: mask, match: 'tok_[a-z0-9]+'}
- {name: users, do: hash, key: enduser.id}
- {name: passwords, do: drop, key: '*password*'}
`;
const s = (stringValue) => ({ stringValue });
const now = `${BigInt(Date.now()) * 1000000n}`;
const traceId = '5b8efff798038103d269b633813fc60c';
const spans = {
  resourceSpans: [{
    resource: { attributes: [{ key: 'service.name', value: s('redacted-shop') }, { key: 'db.password', value: s('hunter2secret') }] },
    scopeSpans: [{ spans: [{
      traceId, spanId: 'eee19b7ec3c1b174', name: 'pay tok_namesecret', startTimeUnixNano: now, endTimeUnixNano: now,
      attributes: [{ key: 'enduser.id', value: s('usersecret') }, { key: 'url', value: s('/keptvalue?t=tok_urlsecret') }],
      events: [{ timeUnixNano: now, name: 'e', attributes: [{ key: 'm', value: s('tok_eventsecret') }] }], status: { code: 2, message: 'tok_statussecret' },
    }] }],
  }],
};
const logs = {
  resourceLogs: [{ resource: { attributes: [{ key: 'service.name', value: s('redacted-shop') }] }, scopeLogs: [{ logRecords: [{
    timeUnixNano: now, body: { kvlistValue: { values: [{ key: 'text', value: s('keptbody tok_bodysecret') }, { key: 'password', value: s('nestedsecret') }] } },
    attributes: [{ key: 'enduser.id', value: s('usersecret') }],
  }] }] }],
};
const metrics = {
  resourceMetrics: [{ resource: { attributes: [{ key: 'service.name', value: s('redacted-shop') }, { key: 'db.password', value: s('hunter2secret') }] },
    scopeMetrics: [{ metrics: [{ name: 'kept_metric', sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints: [{ timeUnixNano: now, asDouble: 1,
      attributes: [{ key: 'enduser.id', value: s('usersecret') }, { key: 'url', value: s('keptlabel tok_labelsecret') }],
      exemplars: [{ timeUnixNano: now, asDouble: 1, filteredAttributes: [{ key: 'm', value: s('tok_exemplarsecret') }] }] }] } }] }] }],
};
const secrets = ['labelsecret', 'exemplarsecret', 'scrapedsecret', 'hunter2secret', 'usersecret', 'namesecret', 'urlsecret', 'eventsecret', 'statussecret', 'bodysecret', 'nestedsecret'];

const files = (dir) => readdirSync(dir, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? files(join(dir, e.name)) : [join(dir, e.name)]));
const found = (dir, text) => files(dir).some((f) => readFileSync(f).includes(text));
const send = async (url, body) => {
  const answer = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  assert.equal(answer.status, 200);
  assert.equal(await answer.text(), '{}');
};

test('no byte of what rules take away reaches the disk or an answer', async () => {
  const dir = temporary('e2e');
  const file = join(dir, 'redact.yaml'), data = join(dir, 'data');
  writeFileSync(file, rules);
  const clew = await startClew(['--redact', file], dir);
  await send(`${clew.otlp}/v1/traces`, spans);
  await send(`${clew.otlp}/v1/logs`, logs);
  await send(`${clew.otlp}/v1/metrics`, metrics);
  const scraped = await fetch(`${clew.api}/api/v1/import?label=url=tok_scrapedsecret`, { method: 'POST', body: 'kept_scrape{password="nestedsecret"} 1\n' });
  assert.equal((await scraped.json()).taken, 1);
  await clew.stop({ signal: 'SIGKILL', keep: true }); // the log as it was written, nothing flushed
  for (const kept of ['keptvalue', 'keptbody', 'keptlabel', 'kept_scrape']) assert.ok(found(data, kept), `${kept} is in the log: looking finds what is there`);
  for (const secret of secrets) assert.ok(!found(data, secret), `${secret} in the log`);
  assert.equal(statSync(join(data, 'redact.key')).mode & 0o777, 0o600);
  const again = await startClew(['--redact', file], dir);
  const trace = JSON.stringify(await getJson(`${again.api}/api/v1/traces/${traceId}?format=otlp`));
  const log = JSON.stringify(await getJson(`${again.api}/api/v1/logs/query?service=redacted-shop&format=otlp`));
  for (const secret of secrets) assert.ok(!trace.includes(secret) && !log.includes(secret), secret);
  const hash = /hash:[0-9a-f]{32}/.exec(trace)[0];
  assert.ok(log.includes(hash), 'equal values can be joined');
  const [point] = await query(prometheusOf(again), 'kept_metric_total'), [scrape] = await query(prometheusOf(again), 'kept_scrape');
  assert.deepEqual([point.metric.enduser_id, point.metric.url], [hash, 'keptlabel [redacted]']);
  assert.deepEqual(scrape.metric, { __name__: 'kept_scrape', url: '[redacted]' });
  assert.match(trace, /"pay \[redacted\]"/);
  assert.match(await (await fetch(`${again.api}/metrics`)).text(), /clew_ingest_redacted_values_total 0\n/);
  await fetch(`${again.api}/api/v1/admin/flush`, { method: 'POST' });
  for (const secret of secrets) assert.ok(!found(data, secret), `${secret} in a part`);
  await again.stop({ keep: true });
  const dry = spawnSync(binary, ['check', 'redact', '--rules', file, '--data', data, '--json'], { encoding: 'utf8' });
  assert.equal(dry.status, 0, dry.stderr);
  assert.equal(JSON.parse(dry.stdout).rows, 2);
  rmSync(dir, { recursive: true, force: true });
});

test('a dry run shows what would change, and hides what it is about', () => {
  const dir = temporary('e2e');
  writeFileSync(join(dir, 'redact.yaml'), rules);
  writeFileSync(join(dir, 'spans.json'), JSON.stringify({ ...spans, ...metrics }));
  const run = (...more) => spawnSync(binary, ['check', 'redact', '--rules', join(dir, 'redact.yaml'), '--input', join(dir, 'spans.json'), ...more], { encoding: 'utf8' });
  const hidden = run();
  assert.equal(hidden.status, 0, hidden.stderr);
  assert.match(hidden.stdout, /tokens: span url "\/keptvalue\?t=\*+" → "\/keptvalue\?t=\[redacted\]"/);
  assert.match(hidden.stdout, /tokens: point url "keptlabel \*+" → "keptlabel \[redacted\]"/);
  assert.match(hidden.stdout, /passwords: resource db\.password "\*+" → dropped/);
  for (const secret of secrets) assert.ok(!hidden.stdout.includes(secret), secret);
  assert.match(run('--show').stdout, /"hunter2secret" → dropped/);
  assert.equal(JSON.parse(run('--json').stdout).changed, 10);
  writeFileSync(join(dir, 'redact.yaml'), 'redact:\n- do: mask\n  match: "(?=x)"\n');
  const wrong = run();
  assert.notEqual(wrong.status, 0);
  assert.match(wrong.stderr, /redact\.yaml:3: match: regular expression/);
  rmSync(dir, { recursive: true, force: true });
});
