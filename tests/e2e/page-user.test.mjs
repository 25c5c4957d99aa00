// What somebody in an incident does across screens, in Chromium against a real clew: ways on and back, what is kept on the way, copying, widths
// between a desk's and a phone's, and services with the names that others gave them.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { address, eventually, hasBrowser, idle, shown, startBrowser, visitor } from './browser.mjs';
import { startClew } from './clew.mjs';

const hex = (n, size) => n.toString(16).padStart(size, '0');
const attributes = (of) => Object.entries(of).map(([key, stringValue]) => ({ key, value: { stringValue } }));
const long = 'x'.repeat(400), reversed = '\u202Egnp.exe', hours = 5;
let clew, browser, began, ids = 0;

/** A trace that is so many ms old: spans as [service, kind, name, parent (its number from 1), more of it, more of its resource]. */
async function send(agoMs, spans) {
  const traceId = hex(++ids, 32), at = BigInt(began - agoMs) * 1000000n, spanId = (i) => hex(ids * 16 + i, 16);
  const resourceSpans = spans.map(([service, kind, name, parent, { failed, ms = 20, ...of } = {}, resource = {}], i) => ({
    resource: { attributes: attributes({ 'service.name': service, ...resource }) },
    scopeSpans: [{ spans: [{ traceId, spanId: spanId(i + 1), parentSpanId: parent ? spanId(parent) : '', kind, name, startTimeUnixNano: `${at + BigInt(i) * 100000n}`, endTimeUnixNano: `${at + BigInt(ms) * 1000000n}`, status: failed ? { code: 2, message: 'declined' } : {}, attributes: attributes(of) }] }],
  }));
  const answer = await fetch(`${clew.otlp}/v1/traces`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ resourceSpans }) });
  assert.equal(answer.status, 200, await answer.text());
  return traceId;
}
const order = (n, more = {}) => [['shop', 2, 'POST /orders', 0, { correlation_id: `order-${n}`, 'order.id': `o "${n}"` }], ['shop', 3, 'call', 1, {}], ['pay', 2, 'charge', 2, more, { 'service.version': n % 2 ? '1.0.0' : '1.1.0', 'service.instance.id': `pay-${n % 2}` }]];
let first, second;

before(async () => {
  if (!hasBrowser) throw new Error('no Chromium: ./dev setup');
  clew = await startClew();
  browser = await startBrowser();
  began = Date.now();
  first = await send(400_000, order(1));
  second = await send(390_000, order(2, { failed: true }));
  for (let i = 0; i < 110; i++) await send(300_000 - i * 1000, [['robot', 3, 'visit', 0, { correlation_id: `visit-${i}` }], ...order(100 + i, { failed: i % 4 === 0 }).map(([s, k, n, p, more, r]) => [s, k, n, p + 1, { ...more, ms: 40 }, r])]);
  await send(hours * 3600_000, order(7)); // long ago
  for (const service of [long, reversed]) await send(60_000, [[service, 2, 'serve', 0, { failed: true }]]);
  for (const environment of ['prod', 'stage']) await send(50_000, [[`web-${environment}`, 3, 'call', 0, {}, { 'deployment.environment.name': environment }], ['cart', 2, 'serve', 1, {}, { 'deployment.environment.name': environment }]]);
});
after(async () => {
  await browser?.stop();
  await clew?.stop();
});
const at = visitor(() => ({ browser, clew }));

test('between a desk and a phone nothing is cut off, and the screen that one is on is in sight', async () => {
  const screens = [['/', '.table'], ['/map', '.servicemap .node'], ['/service?service=pay', '.newest'], ['/correlations', '.table tbody tr'], ['/correlations?id=order-1', '[role=grid]'], ['/propagation', '.table'], ['/errors', '.table'], ['/traces', '.table tbody tr'],
    [`/trace/${first}`, '[role=treegrid]'], [`/compare?a=${first}`, '.picks'], ['/settings', 'h1']];
  for (const width of [1100, 768, 380])
    for (const [path, sign] of screens)
      await at(path, async (page) => {
        await shown(page, sign);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= width, `${path} at ${width} px`);
        const [nav, here] = await Promise.all([page.locator('.nav').boundingBox(), page.locator('.nav [aria-current]').boundingBox()]);
        assert.ok(here.x >= nav.x - 1 && here.x + here.width <= nav.x + nav.width + 1, `${path} at ${width} px: ${JSON.stringify({ nav, here })}`);
      }, { width, height: 800 });
});

test('what is copied is copied also where the browser gives no clipboard, as over HTTP from another machine', async () => {
  await at('/correlations?id=order-1', async (page) => {
    await page.addInitScript(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
    await page.reload();
    await page.getByRole('button', { name: 'Copy the id' }).click();
    await page.getByText('Copied', { exact: true }).waitFor();
    await page.locator('input.find').focus();
    await page.keyboard.press('Control+v');
    await eventually(async () => assert.equal(await page.locator('input.find').inputValue(), 'order-1'));
    await page.evaluate(() => { document.execCommand = () => false; });
    await page.getByRole('button', { name: 'Copy the id' }).click();
    await page.getByText(/^Not copied/).waitFor();
  });
});

test('back leads to the list as it was: its filters, how far it was scrolled, its title', async () => {
  const list = '/correlations?start=now-2h&service=pay';
  await at(list, async (page) => {
    await shown(page, '.table tbody tr:nth-child(60)');
    assert.equal(await page.title(), 'Correlations · clew');
    await page.evaluate(() => scrollTo(0, 700));
    await page.locator('.table tbody tr:nth-child(25) a').first().click();
    await shown(page, '[role=grid]');
    assert.match(await page.title(), /^(visit|order)-\d+ · clew$/);
    assert.equal(await page.evaluate(() => scrollY), 0);
    await page.goBack();
    await eventually(async () => assert.equal(await page.evaluate(() => scrollY), 700));
    assert.equal(await page.title(), 'Correlations · clew');
    await page.reload();
    await eventually(async () => assert.equal(await page.evaluate(() => scrollY), 700));
    await page.locator('.table tbody tr:nth-child(25) a').first().click();
    await page.keyboard.press('3'); // a tab, which leaves no entry
    await page.getByRole('link', { name: '‹ All' }).click();
    await eventually(async () => assert.equal(await address(page), list));
    assert.equal(await page.title(), 'Correlations · clew');
    await page.goto('/service?service=pay');
    await eventually(async () => assert.equal(await page.title(), 'pay · clew'));
  });
});

test('keys across the map leave one entry behind; who sends nothing is told by what it calls; a name in two environments is told apart', async () => {
  await at('/errors', async (page) => {
    await page.locator('nav a', { hasText: 'Map' }).click();
    await page.locator('.node').first().waitFor();
    const names = await page.locator('.node .name').allTextContents();
    assert.ok(names.includes('cart in prod') && names.includes('cart in stage') && names.includes('pay'), names.join());
    const user = page.locator('.node.peer', { hasText: 'user' });
    assert.doesNotMatch(await user.first().locator('.sub').textContent(), / 0\/s/);
    await page.locator('.servicemap').focus();
    for (const key of ['ArrowRight', 'ArrowDown', 'ArrowDown', 'ArrowRight']) await page.keyboard.press(key);
    await page.locator('.mappanel').waitFor();
    await page.goBack();
    await eventually(async () => assert.equal(await address(page), '/map'));
    await page.goBack();
    await eventually(async () => assert.equal(await address(page), '/errors'));
  });
});

test('a name of any length leaves room for figures, and one that turns letters around turns only its own', async () => {
  await at('/', async (page) => {
    const row = (service) => page.locator('.table tbody tr', { hasText: service });
    await row(long).waitFor();
    const errors = await row(long).locator('td').nth(2).boundingBox();
    assert.ok(errors.x + errors.width < 1000, JSON.stringify(errors));
    const [name, health] = await Promise.all([row(reversed).locator('a').first().boundingBox(), row(reversed).locator('.health').boundingBox()]);
    assert.ok(health.x >= name.x + name.width - 1, JSON.stringify({ name, health }));
    await page.goto('/map?as=list');
    await page.locator('tbody tr', { hasText: long }).waitFor();
    assert.ok((await page.locator('tbody tr', { hasText: long }).locator('td').nth(2).boundingBox()).x < 1000);
  });
});

test('a value of a span is the way to everything with it', async () => {
  await at(`/trace/${first}?span=${hex(17, 16)}`, async (page) => {
    await shown(page, '.detail .values');
    await page.getByRole('link', { name: 'Everything with this order.id' }).click({ force: true });
    await page.locator('[role=grid]').waitFor();
    const asked = new URLSearchParams((await address(page)).split('?')[1]);
    assert.deepEqual([asked.get('attribute'), asked.get('id')], ['order.id', 'o "1"']);
    assert.match(await page.locator('.facts').innerText(), /3 spans/);
  });
});

test('from a request of hours ago services are looked at as they were then', async () => {
  await at('/correlations?id=order-7&tab=flow', async (page) => {
    await page.locator('.node', { hasText: 'pay' }).click();
    for (const link of [page.locator('.mappanel').getByRole('link', { name: 'Service' }), page.locator('.mappanel').getByRole('link', { name: 'On the map' }), page.locator('.facts .services a', { hasText: 'pay' })])
      assert.match(await link.getAttribute('href'), /start=20.*end=20/);
    await page.locator('.facts .services a', { hasText: 'pay' }).click();
    await page.locator('h1', { hasText: 'pay' }).waitFor();
    await eventually(async () => assert.match(await page.locator('main').innerText(), /charge/));
    await page.goBack();
    await page.goto(`/trace/${first}`);
    assert.match(await page.locator('.facts .services a', { hasText: 'pay' }).getAttribute('href'), /start=20.*end=20.*service=pay|service=pay.*start=20.*end=20|start=20.*service=pay.*end=20/);
  });
});

test('a version that fails is told from the one that does not, and the inbox of a service is one click away', async () => {
  await at('/service?service=pay', async (page) => {
    const table = page.locator('section', { has: page.getByRole('heading', { name: 'Instances' }) }).locator('tbody tr');
    await eventually(async () => assert.deepEqual((await table.allInnerTexts()).map((t) => t.split('\t').filter((_, i) => i !== 2 && i !== 4).join(' ')).sort(), ['pay-0 1.1.0 52%', 'pay-1 1.0.0 0%']));
    await table.locator('a', { hasText: '52%' }).click();
    await eventually(async () => assert.match(decodeURIComponent((await address(page)).replace(/\+/g, ' ')), /service\.version="1\.1\.0".*status=error|status=error.*service\.version="1\.1\.0"/));
    await page.goBack();
    await page.getByRole('link', { name: 'Errors', exact: true }).nth(1).click();
    await eventually(async () => assert.match(await address(page), /^\/errors\?.*service=pay/));
  });
});

test('to compare with are the traces that begin alike, however many newer ones only pass through the operation', async () => {
  await at(`/compare?a=${first}`, async (page) => {
    await shown(page, '.pickgroups');
    await idle(page);
    assert.equal(await page.getByRole('region', { name: 'With errors' }).locator('.picks a').count(), 1);
    assert.doesNotMatch(await page.locator('main').innerText(), /No other trace/);
  });
});

test('of a good and a bad trace it is told what runs differently where the bad one fails', async () => {
  await at(`/compare?a=${first}&b=${second}`, async (page) => {
    await eventually(async () => assert.match((await page.locator('.differs').innerText()).replace(/\s+/g, ' '), /2 attributes of charge of pay differ .*service\.version 1\.0\.0 1\.1\.0 service\.instance\.id pay-1 pay-0/));
  });
});

test('mistakes, and the rows of the map as a list, are walked and opened by keys alone', async () => {
  await at('/errors', async (page) => {
    await shown(page, '.table tbody tr');
    for (const key of ['j', 'j', 'k', 'Enter']) await page.keyboard.press(key);
    await page.locator('.errorrow').waitFor();
    assert.equal(await page.locator('.table tbody tr').first().locator('button').getAttribute('aria-expanded'), 'true');
    await page.goto('/map?as=list');
    await shown(page, '.table tbody tr');
    const third = await page.locator('.table tbody th button').nth(2).innerText();
    for (const key of ['j', 'j', 'j', 'Enter']) await page.keyboard.press(key);
    await page.locator('.mappanel h2', { hasText: third }).waitFor();
  });
});
