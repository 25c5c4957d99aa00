// Starts a real clew for a test and ends it by its pid.
import https from 'node:https';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawn, temporary } from './processes.mjs';

export const binary = join(dirname(fileURLToPath(import.meta.url)), '../../build/clew');

/** A running clew on free ports and a fresh data folder: {api, otlp, dir, stop()}. It does not look at the machine by itself unless `options` say so.
 *  `around`: a command that turns into the one behind it. */
export async function startClew(options = [], dir = temporary('e2e'), around = []) {
  const args = ['serve', '--data', join(dir, 'data'), '--listen', '127.0.0.1:0', '--otlp-http', '127.0.0.1:0', '--otlp-grpc', '127.0.0.1:0', '--json',
    ...(options.includes('--host-metrics') ? [] : ['--host-metrics', 'off']), ...options];
  const [command, ...rest] = [...around, binary, ...args];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (d) => { errors += d; });
  const exited = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })));
  const line = await new Promise((resolve, reject) => {
    let out = '';
    child.stdout.on('data', (d) => { out += d; if (out.includes('\n')) resolve(out.split('\n')[0]); });
    exited.then(() => reject(new Error(`clew did not start: ${errors}`)));
  });
  const ready = JSON.parse(line);
  return {
    api: ready.api,
    otlp: ready.otlp_http,
    grpc: ready.otlp_grpc,
    jaeger: ready.jaeger,
    prometheus: ready.prometheus,
    ollystack: ready.ollystack,
    startMs: ready.start_ms,
    dir,
    pid: child.pid,
    errors: () => errors,
    /** Ends it and removes the folder unless `keep`; gives the exit status. */
    async stop({ signal = 'SIGTERM', keep = false } = {}) {
      child.kill(signal);
      const status = await exited;
      if (!keep) rmSync(dir, { recursive: true, force: true });
      return status;
    },
  };
}

/** The same with TLS by a certificate of its own, and tokens: {ca, sends, reads} are what a client of it needs. */
export async function startSecured() {
  const dir = temporary('e2e'), key = join(dir, 'key.pem'), certificate = join(dir, 'certificate.pem');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', certificate,
    '-subj', '/CN=clew', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'], { stdio: 'ignore' });
  const token = (name, role) => execFileSync(binary, ['token', 'new', name, '--role', role, '--tenant', 'shop', '--data', join(dir, 'data')],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  const sends = token('sends', 'ingest'), reads = token('reads', 'read');
  const clew = await startClew(['--tls-cert', certificate, '--tls-key', key], dir);
  return { ...clew, ca: readFileSync(certificate), sends, reads };
}

/** `who` is what startSecured gave, or nothing for plain text. */
export async function getJson(url, who = {}) {
  const answer = who.ca ? await getSecured(url, who) : await fetch(url);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** As fetch, which takes no certificates. */
const getSecured = (url, { ca, reads }) => new Promise((resolve, reject) => {
  https.get(url, { ca, headers: { Authorization: `Bearer ${reads}` }, agent: false }, (answer) => {
    const chunks = [];
    answer.on('data', (d) => chunks.push(d));
    answer.on('end', () => resolve({ ok: answer.statusCode === 200, status: answer.statusCode, text: async () => Buffer.concat(chunks).toString() }));
  }).on('error', reject);
});

/** Asks until `ready(answer)` or the time is over; the answer. */
export async function until(ask, ready, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask().catch((e) => ({ error: e }));
    if (!answer.error && ready(answer)) return answer;
    if (Date.now() > end) throw answer.error ?? new Error(`not in ${seconds} s: ${JSON.stringify(answer).slice(0, 500)}`);
    await new Promise((r) => setTimeout(r, 50));
  }
}
