#!/usr/bin/env node
// ./dev shots: the pictures of the README, out of the demo, its shop after a bad deploy and its stories: docs/shots/NAME-light.png and
// NAME-dark.png. 256 colours are enough for a page of few; one over 150 KB is an error.
import { mkdirSync, statSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBrowser } from '../tests/e2e/browser.mjs';
import { until } from '../tests/e2e/clew.mjs';
import { startDemo } from '../tests/e2e/demo.mjs';

const shots = join(dirname(fileURLToPath(import.meta.url)), '../docs/shots'), bytesMax = 150 * 1024;
mkdirSync(shots, { recursive: true });
const demo = await startDemo();

/** Customers order one after another, some minutes' worth, half before and half after a deploy of payment-service that makes it slow and fail.
 * Gives the id of the last order whose payment failed. */
async function trade() {
  const order = async (id) => {
    const answer = await fetch(`${demo.gateway}/api/orders`, { method: 'POST', headers: { 'X-Correlation-ID': id }, body: JSON.stringify({ customerId: id, items: [{ productId: 1 + (Number(id.slice(-2)) % 10), quantity: 2 }] }) });
    return (await answer.text()).includes('payment_failed');
  };
  let failed = '';
  for (const [from, faults] of [[100, {}], [400, { latency_ms: 800, errors: 0.3, version: '1.1.0' }]]) {
    await fetch(`${demo.payment}/faults`, { method: 'POST', body: JSON.stringify(faults) });
    for (let i = 0; i < 60; i++) if (await order(`order-${from + i}`)) failed = `order-${from + i}`;
  }
  return failed;
}
const link = (story, kind) => demo.stories.find((s) => s.name === story).links[kind], seen = 'environment=production&start=now-5m';
/** name, address, what must be on it */
const views = (failed) => [
  ['services', `${demo.api}/?${seen}`, '.table tbody tr'],
  ['map', `${demo.api}/map?${seen}&node=${encodeURIComponent('production/shop/service/payment-service')}`, '.mappanel'],
  ['correlation', `${demo.api}/correlations?id=${failed}`, '.meanchart'],
  ['trace', link('slow query', 'trace'), '.detail h2'],
  ['logs', link('error burst', 'logs'), '.loglist .row'],
];

async function take(browser, [name, url, sign], theme) {
  const page = await browser.open(demo.api, { theme, width: 1280, height: 760 });
  const path = join(shots, `${name}-${theme}.png`);
  await page.goto(url);
  await page.locator(sign).first().waitFor();
  await page.waitForFunction(() => !document.querySelector('.progress.on') && [...document.querySelectorAll('.plot')].every((p) => p.querySelector('canvas')));
  await page.waitForTimeout(500); // canvases draw
  await page.screenshot({ path });
  await page.context().close();
  if (page.wrong.length) throw new Error(`${name}: ${page.wrong.join('; ')}`);
  execFileSync('pngquant', ['--force', '--strip', '--speed', '1', '--output', path, '256', path]);
  const bytes = statSync(path).size;
  console.log(`docs/shots/${name}-${theme}.png ${(bytes / 1024).toFixed(0)} KB`);
  if (bytes > bytesMax) throw new Error(`${path}: ${bytes} bytes, over ${bytesMax}`);
}

const browser = await startBrowser();
try {
  const failed = await trade();
  await until(async () => (await fetch(`${demo.api}/api/v1/correlations/${failed}`)).json(), (c) => c.service_count >= 4 && c.span_count >= 16); // all of it has come in
  for (const view of views(failed)) for (const theme of ['light', 'dark']) await take(browser, view, theme);
} finally {
  await browser.stop();
  await demo.stop();
}
