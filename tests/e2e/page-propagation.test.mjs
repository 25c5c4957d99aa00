// Correlation health in Chromium against a real clew: a shop in which one service loses the trace, one the id, one logs without a trace, and one never exports.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { address, eventually, hasBrowser, shown, startBrowser, sweep, visitor } from './browser.mjs';
import { getJson, startClew } from './clew.mjs';
import { log, sendLogs, sendSpans, span, spanOf, traceOf } from './correlation-data.mjs';

let clew, browser;

/** 40 requests: gateway → orders → payment. Of 12 payment begins a trace of its own; orders loses the id always; payment logs without a trace; of 5 the parent in between never comes. */
async function shop() {
  const spans = [], logs = [], end = Date.now() - 120_000;
  for (let r = 0; r < 40; r++) {
    const k = r * 3, at = end - r * 5000, id = `req-${r}`, lost = r < 12;
    spans.push(span(k, 0, -1, 'gateway', 'GET /', 2, at, 200, { correlation_id: id }), span(k, 1, 0, 'gateway', 'GET orders', 3, at + 2, 190, { correlation_id: id, 'server.address': 'orders' }), span(k, 2, 1, 'orders', 'GET /orders', 2, at + 4, 180),
      span(k, 3, 2, 'orders', 'POST payment', 3, at + 10, 100, { 'peer.service': 'payment' }),
      lost ? span(k + 1, 4, -1, 'payment', 'POST /pay', 2, at + 12, 90) : span(k, 4, 3, 'payment', 'POST /pay', 2, at + 12, 90));
    if (r >= 20 && r < 25) spans.push(span(k, 6, 5, 'stock', 'reserve', 2, at + 120, 10));
    logs.push(log(r < 30 ? null : k, 4, 'payment', 9, at + 20, 'paid'), log(k, 2, 'orders', 9, at + 30, 'ordered'));
  }
  await sendSpans(clew, spans);
  await sendLogs(clew, logs);
}
before(async () => {
  if (!hasBrowser) throw new Error('no Chromium: ./dev setup');
  clew = await startClew();
  await shop();
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  await clew?.stop();
});
const at = visitor(() => ({ browser, clew }));
const cards = (page) => page.locator('[data-finding]');
const lostTrace = (page) => cards(page).filter({ hasText: 'begin a new trace' });

sweep(at, [['propagation', '/propagation', '[data-finding]'], ['propagation-none', '/propagation?start=now-3d&end=now-2d', '.empty'], ['propagation-service', '/propagation?service=gateway', '.table']],
  { then: async (page, name) => {
    if (name !== 'propagation') return;
    await page.locator('[data-finding] > summary').first().click();
    await page.locator('[data-finding][open] .snippet').first().waitFor();
  } });

test('findings are those of the API: which call, how many of how many, how sure', () => at('/propagation', async (page) => {
  await shown(page, '[data-finding]');
  const { findings } = await getJson(`${clew.api}/api/v1/propagation?start=now-24h&limit=200`);
  assert.ok(findings.length >= 4, JSON.stringify(findings.map((f) => [f.kind, f.caller, f.service, f.count])));
  const words = await cards(page).locator('summary').allTextContents();
  assert.equal(words.length, findings.length);
  findings.forEach((f, i) => {
    assert.ok(words[i].includes(f.certainty) && words[i].includes(`${f.count} of ${f.of_count}`) && words[i].includes(f.caller ? `${f.caller} → ${f.service}` : f.service), `${words[i]}: ${JSON.stringify(f)}`);
  });
  const lost = findings.find((f) => f.kind === 'lost_trace' && f.service === 'payment');
  assert.deepEqual([lost.caller, lost.count, lost.of_count], ['orders', 12, 40]);
  assert.match((await lostTrace(page).locator('summary').innerText()).replace(/\s+/g, ' '), /orders → payment 12 of 40 calls begin a new trace 30%/);
  assert.ok(findings.some((f) => f.kind === 'log_without_trace' && f.service === 'payment' && f.count === 30 && f.of_count === 40));
  assert.ok(findings.some((f) => f.kind === 'missing_parent' && f.service === 'stock'));
  assert.ok(findings.some((f) => f.kind === 'lost_id' && f.caller === 'gateway' && f.service === 'orders'));
}));

test('a finding opens: traces to look at, and what mends it, to be copied', () => at('/propagation', async (page) => {
  await shown(page, '[data-finding]');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await eventually(async () => assert.ok(await cards(page).first().evaluate((d) => d.open)));
  await page.keyboard.press('Enter');
  await lostTrace(page).locator('summary').click();
  const snippet = lostTrace(page).locator('.snippet').first(), text = await snippet.locator('pre').textContent();
  assert.ok(text.length > 40);
  await snippet.getByRole('button', { name: 'Copy' }).click();
  await page.locator('#say', { hasText: 'Copied' }).waitFor();
  assert.equal((await page.evaluate(() => navigator.clipboard.readText())).trim(), text.trim());
  const sample = lostTrace(page).locator('.samples li').first().locator('a');
  const [caller, called] = await sample.evaluateAll((all) => all.map((a) => a.getAttribute('href')));
  const r = Array.from({ length: 12 }, (_, i) => i).find((i) => caller === `/trace/${traceOf(i * 3)}?span=${spanOf(i * 3, 3)}`);
  assert.ok(r !== undefined && called === `/trace/${traceOf(r * 3 + 1)}`, `${caller} ${called}`);
  await sample.first().click();
  await page.locator('.detail h2', { hasText: 'POST payment' }).waitFor();
}, { permissions: ['clipboard-read', 'clipboard-write'] }));

test('a service narrows it; log records without a trace are a search away', () => at('/propagation', async (page) => {
  await shown(page, '.table');
  await page.locator('.table button', { hasText: 'gateway' }).click();
  await eventually(async () => assert.equal(await address(page), '/propagation?service=gateway'));
  await eventually(async () => assert.equal(await lostTrace(page).count(), 0));
  await page.goto('/propagation?service=payment');
  const card = cards(page).filter({ hasText: 'name no trace' });
  await card.locator('summary').click();
  await card.getByRole('link', { name: 'Log records of payment' }).click();
  await shown(page, '.loglist .row');
  await page.getByText('Trace id', { exact: true }).waitFor();
  await eventually(async () => assert.ok((await page.locator('.loglist .row').first().innerText()).includes('–'), 'the newest names no trace'));
}));

test('keys and the palette lead here', () => at('/', async (page) => {
  await shown(page, '.tiles');
  await page.keyboard.press('g');
  await page.keyboard.press('p');
  await shown(page, '[data-finding]');
  assert.equal(await address(page), '/propagation');
  await page.getByRole('link', { name: 'Correlations' }).last().click();
  await eventually(async () => assert.equal(await address(page), '/correlations'));
}));
