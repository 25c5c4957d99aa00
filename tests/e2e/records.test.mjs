// Records in PostgreSQL: kept through kill -9 of both sides, refused while it is gone, one clew at a time, no password anywhere.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { binary, getJson, startClew, until } from './clew.mjs';
import { mayPostgres, startPostgres } from './postgres.mjs';
import { temporary } from './processes.mjs';

const put = (clew, id, title) => fetch(`${clew.api}/api/v1/dashboards/${id}`, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ title, panels: [] }) });
const titles = async (clew) => (await getJson(`${clew.api}/api/v1/dashboards`)).dashboards.map((d) => d.name ?? d.title).filter((t) => t === 'One' || t === 'Two').sort();

test('records in PostgreSQL', { timeout: 180000, skip: !mayPostgres && 'PostgreSQL is not installed' }, async () => {
  const secret = 'päss:w@rd/1', postgres = await startPostgres('scram-sha-256', secret);
  const url = `postgresql://watcher:${encodeURIComponent(secret)}@127.0.0.1:${postgres.port}/postgres?sslmode=disable`;
  const dir = temporary('e2e'), other = temporary('e2e');
  let clew, errors = '';
  try {
    clew = await startClew(['--db', url], dir);
    assert.equal((await put(clew, 'one', 'One')).status, 200);
    assert.ok(!readdirSync(join(dir, 'data')).includes('records.db'));
    const change = await fetch(`${clew.api}/api/v1/changes/ä%2F1`, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ kind: 'deployment', service: 'web', labels: { a: 'b' } }) });
    assert.equal(change.status, 200, await change.text());
    assert.deepEqual((await getJson(`${clew.api}/api/v1/changes?service=web&limit=1`)).changes.map((x) => x.id), ['ä/1']);
    // A second one is told, after it has waited for the first to go.
    const second = spawnSync(binary, ['serve', '--data', join(other, 'data'), '--listen', '127.0.0.1:0', '--otlp-http', '', '--otlp-grpc', '', '--db', url], { encoding: 'utf8', timeout: 60000 });
    assert.equal(second.status, 5, second.stderr);
    assert.match(second.stderr, /--db: opening PostgreSQL at 127\.0\.0\.1:\d+, database postgres: another clew has these records open/);
    errors += second.stderr;
    // The clew is killed: the next one has what the first had.
    await clew.stop({ signal: 'SIGKILL', keep: true });
    errors += clew.errors();
    clew = await startClew(['--db', url], dir);
    assert.deepEqual(await titles(clew), ['One']);
    // The database is killed: 503 and no waiting, then all is well again.
    await postgres.kill();
    const from = Date.now(), refused = await put(clew, 'two', 'Two');
    assert.equal(refused.status, 503);
    assert.ok(Date.now() - from < 10000);
    assert.match(await refused.text(), /PostgreSQL/);
    assert.equal((await fetch(`${clew.api}/health`)).status, 200);
    postgres.start();
    await until(() => put(clew, 'two', 'Two'), (r) => r.status === 200);
    assert.deepEqual(await titles(clew), ['One', 'Two']);
    // A backup says what is not in it.
    const backup = join(other, 'backup');
    const said = execFileSync(binary, ['backup', backup, '--server', clew.api], { encoding: 'utf8' });
    assert.match(said, /records: not contained: they are in PostgreSQL at 127\.0\.0\.1:\d+, database postgres, which pg_dump copies/);
    assert.ok(!readdirSync(backup).includes('records.db'));
    errors += said;
  } finally {
    if (clew) { await clew.stop({ keep: true }); errors += clew.errors(); }
    await postgres.stop();
    rmSync(dir, { recursive: true, force: true });
    rmSync(other, { recursive: true, force: true });
  }
  for (const form of [secret, encodeURIComponent(secret), 'w@rd', 'w%40rd']) assert.ok(!errors.includes(form), `the password is in: ${errors}`);
});

test('a --db that is none', () => {
  const dir = temporary('e2e');
  const start = (db) => spawnSync(binary, ['serve', '--data', join(dir, 'data'), '--listen', '127.0.0.1:0', '--otlp-http', '', '--otlp-grpc', '', '--db', db], { encoding: 'utf8', timeout: 60000 });
  try {
    for (const [db, says] of [['records.db', /--db: a URL begins with postgresql:/], ['postgresql://u:s3cr3t@[::1/x', /--db: the URL of the records is as/],
      ['postgresql://u:s3cr3t@127.0.0.1:1/x?connect_timeout=1', /--db: opening PostgreSQL at 127.0.0.1:1, database x: /]]) {
      const r = start(db);
      assert.notEqual(r.status, 0);
      assert.match(r.stderr, says);
      assert.ok(!r.stderr.includes('s3cr3t'), r.stderr);
    }
  } finally { rmSync(dir, { recursive: true, force: true }); }
});
