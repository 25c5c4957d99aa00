// The service map, a service and the error inbox in Chromium against a real clew: a small shop with a database and a peer; and three hundred services.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { address, eventually, hasBrowser, shot, startBrowser, sweep, visitor } from './browser.mjs';
import { startClew } from './clew.mjs';

let clew, browser;
const hex = (n, size) => n.toString(16).padStart(size, '0');
const attributes = (of) => Object.entries(of).map(([key, stringValue]) => ({ key, value: { stringValue } }));
let traces = 0;

/** Traces of calls: each [caller, callee], failing or not; a callee that is { name, … } sends nothing, its attributes say what it is. */
async function send(environment, calls) {
  const at = BigInt(Date.now() - 300000) * 1000000n, of = new Map();
  const put = (service, span) => of.set(service, [...(of.get(service) ?? []), span]);
  for (const [client, server, failed, ms = 20] of calls) {
    const traceId = hex(++traces, 32), status = failed ? { code: 2, message: `<i>call</i> ${traces} declined` } : {};
    const span = (id, kind, more) => ({ traceId, spanId: hex(traces * 4 + id, 16), kind, startTimeUnixNano: `${at}`, endTimeUnixNano: `${at + BigInt(ms) * 1000000n}`, status, ...more });
    put(client, span(1, 3, { name: 'call', attributes: typeof server === 'string' ? [] : attributes(server) }));
    if (typeof server === 'string') put(server, span(2, 2, { name: 'serve', parentSpanId: hex(traces * 4 + 1, 16) }));
  }
  const resourceSpans = [...of].map(([service, spans]) => ({ resource: { attributes: attributes({ 'service.name': service, 'deployment.environment.name': environment, 'service.version': '2.4.0', 'telemetry.sdk.language': 'go', 'service.instance.id': `${service}-1` }) }, scopeSpans: [{ spans }] }));
  const answer = await fetch(`${clew.otlp}/v1/traces`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ resourceSpans }) });
  assert.equal(answer.status, 200, await answer.text());
}
const times = (n, ...call) => Array.from({ length: n }, (_, i) => [...call.slice(0, 2), i < (call[2] ?? 0), call[3]]);

before(async () => {
  if (!hasBrowser) throw new Error('no Chromium: ./dev setup');
  clew = await startClew();
  await send('prod', [
    ...times(100, 'web', 'cart'), ...times(50, 'cart', 'stock', 1), ...times(40, 'cart', 'pay <b>', 10), ...times(60, 'stock', { 'db.system.name': 'postgresql', 'db.namespace': 'stock' }),
    ...times(20, 'pay <b>', { 'peer.service': 'bank.example' }, 5), ...times(5, 'stock', 'cart'), ...times(3, 'cart', 'cart'),
  ]);
  const name = (i) => `service-${String(i).padStart(3, '0')}`, many = [];
  for (let i = 1; i < 300; i++) many.push(...times(1 + i % 5, name(Math.floor(i / 3)), name(i), i % 40 === 7 ? 5 : 0), ...(i % 4 ? [] : times(2, name((i * 7) % Math.max(1, Math.floor(i / 2))), name(i))));
  await send('large', many);
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  await clew?.stop();
});
const at = visitor(() => ({ browser, clew }));
const node = 'prod%2F%2Fservice%2Fcart';

sweep(at, [
  ['map', '/map?environment=prod', '.servicemap .node'], ['map-node', `/map?environment=prod&node=${node}`, '.mappanel'], ['map-list', '/map?environment=prod&as=list', '.table'],
  ['service', '/service?service=cart&environment=prod', '.newest'], ['service-logs', '/service?service=cart&show=logs', '.twoparts'], ['service-none', '/service?service=nobody', '.empty'],
  ['errors', '/errors?environment=prod', '.table tbody tr'], ['errors-none', '/errors?service=nobody', '.empty'],
  ['map-300', '/map?environment=large', '.servicemap .node'], ['map-none', '/map?start=now-2d&end=now-1d', '.empty'], ['map-nobody', '/map?focus=nobody', '.empty'],
]);

test('a node is chosen, what is known of it is told, and its callers lead on', async () => {
  await at('/map?environment=prod', async (page) => {
    await page.locator('.node', { hasText: 'pay <b>' }).click();
    assert.equal(await address(page), '/map?environment=prod&node=prod%2F%2Fservice%2Fpay%2520%253Cb%253E');
    const panel = page.getByRole('complementary', { name: 'pay <b>' });
    await eventually(async () => assert.match(await panel.innerText(), /failing[\s\S]*25%[\s\S]*go[\s\S]*2\.4\.0[\s\S]*Called by[\s\S]*cart[\s\S]*Calls[\s\S]*bank\.example/));
    assert.equal(await page.locator('.node:not(.dim)').count(), 3);
    await panel.getByRole('button', { name: 'cart' }).click();
    assert.equal(await address(page), `/map?environment=prod&node=${node}`);
    assert.match(await page.getByRole('link', { name: 'Traces', exact: true }).nth(1).getAttribute('href'), /service=cart/);
    await page.keyboard.press('Escape');
    await eventually(async () => assert.equal(await address(page), '/map?environment=prod'));
  });
});

test('a service: its operations, whom it calls, its instances, and the newest that failed', async () => {
  await at('/service?service=cart&environment=prod', async (page) => {
    const part = (name) => page.locator('.twoparts section', { has: page.getByRole('heading', { name, exact: true }) });
    await part('Newest').locator('.newest li').first().waitFor();
    assert.match(await page.locator('.servicefacts').innerText(), /healthy\s*in prod\s*written in go\s*version 2\.4\.0\s*1 instance/);
    assert.deepEqual((await part('Operations').locator('tbody tr td:first-child').allInnerTexts()).sort(), ['call', 'serve']);
    assert.deepEqual(await part('Dependencies').locator('tbody tr td:first-child').allInnerTexts(), ['web', 'stock', 'stock', 'pay <b>']);
    assert.deepEqual(await part('Instances').locator('tbody tr td:first-child').allInnerTexts(), ['cart-1']);
    assert.equal(await part('Newest').locator('.newest li').count(), 11);
    await part('Newest').getByRole('button', { name: 'Slowest' }).click();
    await eventually(async () => assert.equal(await part('Newest').locator('.newest li').count(), 12));
    await part('Newest').getByRole('button', { name: 'Logs' }).click();
    await eventually(async () => assert.match(await part('Newest').innerText(), /It logged nothing in this range/));
    await part('Dependencies').getByRole('link', { name: 'pay <b>' }).click();
    await eventually(async () => assert.equal(await page.locator('h1').innerText(), 'pay <b>'));
    await part('Dependencies').getByRole('link', { name: 'On the map' }).click();
    await eventually(async () => assert.deepEqual((await page.locator('.node .name').allTextContents()).sort(), ['bank.example', 'cart', 'pay <b>', 'stock', 'web']));
  });
});

test('what is near a node, by name, and back to all', async () => {
  await at('/map?environment=prod', async (page) => {
    await page.locator('.node').first().waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('stock');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'What is near it' }).click();
    await page.getByLabel('How far').selectOption('1');
    await eventually(async () => assert.deepEqual((await page.locator('.node .name').allTextContents()).sort(), ['cart', 'postgresql:stock', 'stock']));
    await page.getByRole('button', { name: 'The whole map' }).click();
    await eventually(async () => assert.equal(await page.locator('.node').count(), 6));
  });
});

test('keys go from node to node, and open what is told of it', async () => {
  await at('/map?environment=prod', async (page) => {
    await page.locator('.node').first().waitFor();
    await page.locator('.servicemap').focus();
    for (const [key, name] of [['ArrowRight', 'web'], ['ArrowRight', 'cart']]) {
      await page.keyboard.press(key);
      await eventually(async () => assert.equal(await page.locator('.node.chosen .name').textContent(), name));
    }
    await page.keyboard.press('v');
    await eventually(async () => assert.ok((await address(page)).includes('as=list')));
  });
});

test('three hundred services: words that can be read, all of it at a glance, dragging', async () => {
  await at('/map?environment=large', async (page) => {
    await page.locator('.node').first().waitFor();
    assert.equal(await page.locator('.node').count(), 300);
    const size = () => page.locator('.node .name').first().evaluate((e) => e.getBoundingClientRect().height);
    assert.ok(await size() >= 8, 'letters of a name are at least 8 px high');
    const view = () => page.locator('.servicemap').getAttribute('viewBox');
    const before_ = await view(), box = await page.locator('.servicemap').boundingBox();
    await page.mouse.move(box.x + 300, box.y + 300);
    await page.mouse.down();
    await page.mouse.move(box.x + 200, box.y + 250, { steps: 4 });
    await page.mouse.up();
    await eventually(async () => assert.notEqual(await view(), before_));
    assert.equal(await page.locator('.node.chosen').count(), 0, 'a drag chooses nothing');
    await page.getByRole('button', { name: 'Fit' }).click();
    const [, , width, height] = (await view()).split(' ').map(Number);
    assert.ok(width > 1500 && height > 1000);
    await shot(page, 'map-300-fit');
    for (let i = 0; i < 9; i++) await page.getByRole('button', { name: 'Closer' }).click();
    const seen = new Set();
    for (let i = 0; i < 3; i++) { // from one that fails to the next, wherever it is
      await page.keyboard.press('e');
      const chosen = page.locator('.node.failing.chosen');
      await eventually(async () => assert.ok(!seen.has(await chosen.getAttribute('data-node'))));
      seen.add(await chosen.getAttribute('data-node'));
      await eventually(async () => {
        const [of, frame] = await Promise.all([chosen.boundingBox(), page.locator('.servicemap').boundingBox()]);
        assert.ok(of.x >= frame.x - 1 && of.y >= frame.y - 1 && of.x + of.width <= frame.x + frame.width + 1 && of.y + of.height <= frame.y + frame.height + 1, JSON.stringify({ of, frame }));
      });
    }
  });
});

test('what fails: mistakes by what they say, one opened, and the way to its trace', async () => {
  await at('/errors?environment=prod', async (page) => {
    const rows = page.locator('.table > tbody > tr');
    await rows.first().waitFor();
    assert.deepEqual(await rows.locator('.num:nth-child(2)').allInnerTexts(), ['10', '5', '1']);
    assert.match(await page.locator('h1').innerText(), /27 failed spans, 3 mistakes, 11 of the spans only passed one on/);
    await page.getByRole('button', { name: '<i>call</i> <*> declined' }).first().click();
    const open = page.locator('.errorrow');
    assert.match(await open.innerText(), /Variants\s*10\s*Passed through\s*cart call 10\s*Fingerprint\s*[0-9a-f]{16}/);
    assert.match(await address(page), /error=[0-9a-f]{16}/);
    assert.equal(await open.locator('a[href^="/trace/"]').count(), 5);
    await open.locator('a[href^="/trace/"]').first().click();
    await page.locator('[role=treegrid]').waitFor();
    await page.goBack();
    await page.getByLabel('Trend').selectOption('steady');
    await eventually(async () => assert.equal(await page.locator('.empty').count(), 1));
  });
});
