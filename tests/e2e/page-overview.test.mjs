// The overview in Chromium against a real clew: its figures, the screens that they lead to, and that it asks by itself without jumping.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { address, eventually, hasBrowser, shown, startBrowser, sweep, visitor } from './browser.mjs';
import { getJson, startClew } from './clew.mjs';
import { shop } from './page-data.mjs';

let clew, browser, serial = 0;
before(async () => {
  if (!hasBrowser) throw new Error('no Chromium: ./dev setup');
  clew = await startClew();
  await shop(clew);
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  await clew?.stop();
});
const at = visitor(() => ({ browser, clew }));

/** n spans of a service that end a second before `ms`, each a trace of its own. */
async function send(service, n, ms, failed = false) {
  const spans = Array.from({ length: n }, () => ({ traceId: (++serial).toString(16).padStart(32, 'e'), spanId: serial.toString(16).padStart(16, 'e'), name: 'GET /new', kind: 2, startTimeUnixNano: `${ms - 1100}000000`, endTimeUnixNano: `${ms - 1000}000000`, status: failed ? { code: 2 } : {} }));
  const body = { resourceSpans: [{ resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] }, scopeSpans: [{ spans }] }] };
  const answer = await fetch(`${clew.otlp}/v1/traces`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  assert.equal(answer.status, 200);
}
const figure = (page, name) => page.locator('.tiles li', { has: page.locator('a', { hasText: name }) });
const services = (page) => page.locator('.table tbody tr td:first-child a').allInnerTexts();

sweep(at, [['overview', '/', '.newest li']], { most: 6, promise: 'axe finds nothing, six questions at most' });

test('figures are those of the API, and each leads to the screen that explains it', () => at('/?start=now-30m', async (page) => {
  await shown(page, '.newest li');
  const stats = await getJson(`${clew.api}/api/v1/traces/stats?start=now-30m&rollups=true&top=0`);
  assert.equal(stats.span_count, 840);
  const percent = (v) => (v < 0.1 ? `${(v * 100).toFixed(1)}%` : `${(v * 100).toFixed(0)}%`);
  for (const [name, wanted, href] of [
    ['Traces/s now', /^0\.\d\d/, /^\/traces\?start=now-5m$/], ['Spans/s', new RegExp(`^${stats.spans_per_second.toFixed(2)}`), /^\/traces\?start=now-30m&by=service$/], ['Services', /^4\s*2 failing/, /^\/map\?start=now-30m$/],
    ['Errors', new RegExp(`^${percent(stats.error_ratio)}`), /^\/errors\?start=now-30m$/], ['p50', /^\d.* ms/, /^\/traces\?start=now-30m&min_duration=\d+ns&order=longest$/], ['p95', /^\d.* ms/, /min_duration/], ['p99', /^\d.* m?s/, /min_duration/],
  ]) {
    const tile = figure(page, name);
    assert.match((await tile.innerText()).replace(/^.*\n+/, ''), wanted, name);
    assert.match(await tile.locator('a').getAttribute('href'), href, name);
  }
  assert.deepEqual((await page.locator('.table tbody .health').allTextContents()).sort(), ['▲ failing', '▲ failing', '● healthy', '● healthy']);
  const failed = await getJson(`${clew.api}/api/v1/traces?start=now-30m&status=error&limit=8`);
  const links = await page.locator('[aria-label="Newest failed traces"] .newest a').evaluateAll((all) => all.map((a) => a.getAttribute('href')));
  assert.deepEqual(links, failed.traces.map((t) => `/trace/${t.trace_id}`));
  await figure(page, 'p99').locator('a').click();
  await page.locator('.table tbody tr').first().waitFor();
  assert.ok(await page.locator('.table tbody tr').count() < 20, 'few spans are that long');
}));

test('it asks by itself: figures change, rows stay in their places, a new service comes below; paused it does not', () => at('/', async (page) => {
  await page.clock.install();
  await page.reload();
  await shown(page, '.newest li');
  assert.deepEqual(await services(page), ['web', 'cart', 'mail', 'pay']);
  const asked = () => page.asked.filter((u) => u.includes('/api/')).length;
  await send('aaa', 5000, Date.now(), true); // by its rate the first, by its name too
  await page.clock.runFor(11_000);
  await eventually(async () => assert.deepEqual(await services(page), ['web', 'cart', 'mail', 'pay', 'aaa']));
  await eventually(async () => assert.match(await page.locator('.newest').innerText(), /aaa: GET \/new/));
  assert.match(await figure(page, 'Services').innerText(), /5\s*3 failing/);
  await page.keyboard.press('r');
  await eventually(async () => assert.deepEqual((await services(page))[0], 'aaa'));
  await page.keyboard.press(' ');
  await eventually(async () => assert.equal(await address(page), '/?paused=true'));
  assert.equal(await page.getByRole('button', { name: 'Live' }).getAttribute('aria-pressed'), 'false');
  await shown(page, '.newest li');
  const before_ = asked();
  await page.clock.runFor(60_000);
  assert.equal(asked(), before_);
  await page.keyboard.press(' ');
  await eventually(async () => assert.equal(await page.getByRole('button', { name: 'Live' }).getAttribute('aria-pressed'), 'true'));
  await page.clock.runFor(11_000);
  await eventually(async () => assert.ok(asked() > before_));
}));

test('what is pointed at does not change under the pointer; a range of the past is not asked again', async () => {
  await at('/', async (page) => {
    await page.clock.install();
    await page.reload();
    await shown(page, '.newest li');
    const asked = () => page.asked.filter((u) => u.includes('/traces/stats')).length;
    await page.locator('.newest li').nth(2).hover();
    const before_ = asked();
    for (let i = 0; i < 8; i++) {
      await page.clock.runFor(2000);
      await page.mouse.move(200 + i, (await page.locator('.newest li').nth(2).boundingBox()).y + 8);
    }
    assert.equal(asked(), before_, 'sixteen seconds, and the pointer moved over it');
    await page.clock.runFor(5000);
    await eventually(async () => assert.ok(asked() > before_, 'it rests, and is no reason any more'));
  });
  const end = new Date().toISOString();
  await at(`/?start=${encodeURIComponent(new Date(Date.now() - 3600_000).toISOString())}&end=${encodeURIComponent(end)}`, async (page) => {
    await shown(page, '.newest li');
    assert.equal(await page.getByRole('button', { name: 'Live' }).count(), 0);
    assert.equal(await figure(page, 'Traces/s now').count(), 0);
  });
});

test('clew goes away: it says so, and what was there stays', async () => {
  const own = await startClew();
  await shop(own, { count: 20 });
  await at('/', async (page) => {
    await page.clock.install();
    await page.reload();
    await shown(page, '.newest li');
    await own.stop({ keep: true });
    await page.clock.runFor(11_000);
    await page.locator('.note.error', { hasText: 'clew does not answer' }).first().waitFor();
    assert.equal(await page.locator('.table tbody tr').count(), 4);
    assert.equal(await page.locator('.newest li').count(), 2);
    page.wrong = page.wrong.filter((w) => !/ERR_CONNECTION_REFUSED|ERR_EMPTY|ERR_CONNECTION_RESET/.test(w));
  }, {}, own.api);
});
