// A PostgreSQL of a test's own, from Debian's package, on loopback in a temporary folder.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './prometheus.mjs';
import { spawn, temporary } from './processes.mjs';

const bin = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').map((v) => `/usr/lib/postgresql/${v}/bin`).find((d) => existsSync(join(d, 'initdb'))) : undefined;
const root = process.getuid() === 0;
export const mayPostgres = bin && (!root || spawnSync('id', ['postgres']).status === 0);

/** A fresh one, whose host lines of pg_hba.conf say `method`; it does not run as root. {port, dir, child, kill(), start(), stop()}. */
export async function startPostgres(method, secret) {
  const dir = temporary('e2e-pg'), port = await freePort();
  const as = (command, args, options) => (root ? [`setpriv`, ['--reuid=postgres', '--regid=postgres', '--init-groups', command, ...args], options] : [command, args, options]);
  if (root) execFileSync('chown', ['postgres:', dir]);
  chmodSync(dir, 0o700);
  writeFileSync(join(dir, 'password'), secret);
  if (root) execFileSync('chown', ['postgres:', join(dir, 'password')]);
  execFileSync(...as(join(bin, 'initdb'), ['-D', join(dir, 'data'), '-U', 'watcher', '-A', method, `--pwfile=${join(dir, 'password')}`, '--no-sync', '-E', 'UTF8', '--locale=C.UTF-8'], { stdio: 'pipe' }));
  const settings = readFileSync(join(dir, 'data', 'postgresql.conf'), 'utf8');
  if (method === 'md5') assert.match(settings, /^password_encryption = md5/m);
  const end = async (child, signal) => { const gone = new Promise((r) => child.once('exit', r)); child.kill(signal); await gone; };
  const postgres = {
    port, dir,
    start() { postgres.child = spawn(...as(join(bin, 'postgres'), ['-D', join(dir, 'data'), '-h', '127.0.0.1', '-p', String(port), '-k', dir, '-F', '-c', 'max_connections=37'], { stdio: 'ignore' })); },
    async kill() { await end(postgres.child, 'SIGKILL'); },
    async stop() { await end(postgres.child, 'SIGINT'); rmSync(dir, { recursive: true, force: true }); },
  };
  postgres.start();
  return postgres;
}
