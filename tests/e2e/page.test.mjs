// The page as a browser gets it from a real clew, without one: files, sizes, types.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { request } from 'node:http';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { startClew } from './clew.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const sizes = JSON.parse(readFileSync(join(root, 'build/web/page.json'), 'utf8'));

/** As it comes over the wire: fetch would unpack it. */
function raw(url, headers = {}, method = 'GET') {
  return new Promise((resolve, reject) => {
    const r = request(url, { headers, method }, (a) => {
      const parts = [];
      a.on('data', (d) => parts.push(d));
      a.on('end', () => resolve({ status: a.statusCode, headers: a.headers, body: Buffer.concat(parts) }));
    });
    r.on('error', reject);
    r.end();
  });
}

test('every screen is the document, which may be asked whether it changed', async () => {
  const clew = await startClew();
  let first;
  for (const path of ['/', '/traces?service=a&where=b%3D1', `/trace/${'a'.repeat(32)}`, '/compare?a=b', '/correlations?id=a%2Fb', '/propagation', '/logs', '/explore?query=up', '/cardinality', '/dashboards', '/dashboard/clew.host?start=now-5m', '/start', '/settings?section=tokens', '/login?to=%2Flogs']) {
    const plain = await raw(clew.api + path), packed = await raw(clew.api + path, { 'accept-encoding': 'gzip, br' });
    assert.equal(plain.status, 200);
    assert.equal(plain.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(plain.headers['cache-control'], 'no-cache');
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.equal(packed.headers['content-encoding'], 'gzip');
    assert.deepEqual(gunzipSync(packed.body), plain.body);
    first ??= plain;
    assert.deepEqual(plain.body, first.body);
    const policy = plain.headers['content-security-policy'];
    assert.match(policy, /default-src 'self'/);
    assert.doesNotMatch(policy, /unsafe/);
  }
  const again = await raw(`${clew.api}/logs`, { 'if-none-match': first.headers.etag, 'accept-encoding': 'gzip' });
  assert.equal(again.status, 304);
  assert.equal(again.body.length, 0);
  assert.equal((await raw(`${clew.api}/logs`, { 'if-none-match': '"other"' })).status, 200);
  assert.equal((await raw(`${clew.api}/logs`, {}, 'HEAD')).body.length, 0);
  await clew.stop();
});

test('files have names for ever, nothing is loaded from elsewhere, and there are no others', async () => {
  const clew = await startClew();
  const document = (await raw(`${clew.api}/`)).body.toString();
  const links = [...document.matchAll(/(?:src|href)="([^"]+)"/g)].map((m) => m[1]).filter((l) => l.startsWith('/assets/'));
  assert.equal(links.length, 3);
  assert.doesNotMatch(document, /https?:\/\/|<style|style=|<script>/);
  for (const name of Object.keys(sizes.files).filter((n) => n !== 'index.html')) {
    const a = await raw(`${clew.api}/assets/${name}`, { 'accept-encoding': 'gzip' });
    assert.equal(a.status, 200, name);
    assert.equal(a.headers['cache-control'], 'public, max-age=31536000, immutable');
    assert.equal(a.body.length, sizes.files[name]);
    assert.match(name, /-[A-Z0-9]{8}\.(js|css|svg)$/);
    assert.deepEqual((await raw(`${clew.api}/assets/${name}`)).body, gunzipSync(a.body));
  }
  for (const path of ['/assets/nothing.js', '/assets/index.html', '/nowhere', '/trace/', '/index.html']) assert.equal((await raw(clew.api + path)).status, 404, path);
  await clew.stop();
});

test('sizes stay in their budgets', (t) => {
  t.diagnostic(`gzipped: entry ${sizes.entry} B, ${Object.entries(sizes.screens).map(([n, v]) => `${n} ${v}`).join(', ')}`);
  assert.ok(sizes.entry <= 60 * 1024, `entry ${sizes.entry}`);
  assert.deepEqual(Object.keys(sizes.screens).sort(), ['cardinality', 'compare', 'correlations', 'dashboard', 'dashboards', 'errors', 'home', 'login', 'logs', 'map', 'metrics', 'propagation', 'rules', 'service', 'settings', 'start', 'targets', 'trace', 'traces']);
  for (const [name, bytes] of Object.entries(sizes.screens)) assert.ok(bytes <= 110 * 1024, `${name} ${bytes}`);
});

test('the types of the page hold, and colours are tokens', () => {
  const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.'], { cwd: join(root, 'web'), encoding: 'utf8' });
  assert.equal(tsc.status, 0, tsc.stdout);
  const css = readFileSync(join(root, 'web/src/style/app.css'), 'utf8');
  assert.deepEqual(css.match(/#[0-9a-f]{3,8}\b(?![^{]*\{)/gi) ?? [], []);
});
