// The correlation explorer in Chromium against a real clew: orders that go through several traces by one id, and an id on 10,000 rows.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { address, eventually, hasBrowser, palette, shown, startBrowser, sweep, typeAt, visitor } from './browser.mjs';
import { getJson, startClew } from './clew.mjs';
import { metrics, shop, traceId } from './page-data.mjs';
import { large, log, orders, sendLogs, sendSpans, span, spanOf, traceOf } from './correlation-data.mjs';

const rowsOfLarge = 10_000, odd = 'a/b ?&#%=<i>x</i> ü "q"';
let clew, browser;
before(async () => {
  if (!hasBrowser) throw new Error('no Chromium: ./dev setup');
  clew = await startClew();
  await orders(clew);
  await shop(clew);
  await metrics(clew);
  await large(clew, 'bulk-7', rowsOfLarge);
  await sendSpans(clew, [span(9100, 0, -1, 'web', 'GET /odd', 2, Date.now() - 30_000, 10, { correlation_id: odd })]);
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  await clew?.stop();
});
const at = visitor(() => ({ browser, clew }));
const one = '/correlations?id=order-1015', failing = 30; // the number of its first trace
const rowNames = (page) => page.locator('.timeline .row .name').allTextContents();

sweep(at, [
  ['correlations', '/correlations', '.table tbody tr'], ['correlations-none', '/correlations?search=nobody', '.empty'], ['correlations-nothing', '/correlations?start=now-3d&end=now-2d', '.empty'],
  ['correlation', one, '.timeline .row'], ['correlation-row', `${one}&row=span-${spanOf(failing, 5)}`, '.detail'], ['correlation-traces', `${one}&tab=traces`, '.ofid'],
  ['correlation-logs', `${one}&tab=logs`, '.loglist .row'], ['correlation-flow', `${one}&tab=flow&row=service%2Forders%2F`, '.mappanel'], ['correlation-large', '/correlations?id=bulk-7', '.timeline .row'], ['correlation-unknown', '/correlations?id=nothing', '.empty'],
]);

// ---- the list ------------------------------------------------------------------------------------------------------

test('the list is that of the API: newest first, with what each ties together', () => at('/correlations?search=order', async (page) => {
  await shown(page, '.table tbody tr');
  const { correlations } = await getJson(`${clew.api}/api/v1/correlations?search=order&limit=100`);
  assert.equal(correlations.length, 20);
  assert.deepEqual(await page.locator('.idcell a').allTextContents(), correlations.map((c) => c.correlation_id));
  const first = await page.locator('.table tbody tr').first().locator('td').allTextContents();
  assert.deepEqual(first.slice(1, 8), ['order-1019', 'gateway POST /api/orders', '15m', '8', '3', '2', '–']);
}));

test('filters: words of an id, a service, errors, ids that are made of trace ids', () => at('/correlations', async (page) => {
  const ids = page.locator('.idcell a');
  await shown(page, '.table tbody tr');
  await typeAt(page, '/', 'input[data-search]', 'ORDER-100');
  await page.keyboard.press('Enter');
  await eventually(async () => assert.equal(await ids.count(), 10));
  assert.equal(await address(page), '/correlations?search=ORDER-100');
  await page.getByRole('button', { name: 'With errors' }).click();
  await eventually(async () => assert.deepEqual(await ids.allTextContents(), ['order-1005', 'order-1000']));
  await page.getByLabel('Id', { exact: true }).fill('');
  await page.getByLabel('Id', { exact: true }).press('Enter');
  await page.getByLabel('Service').fill('ledger');
  await page.getByLabel('Service').press('Enter');
  await eventually(async () => assert.deepEqual(await ids.allTextContents(), ['order-1015', 'order-1010', 'order-1005', 'order-1000']));
  await page.goto('/correlations?service=cron');
  await page.getByRole('button', { name: 'Remove all filters' }).waitFor();
  await page.getByRole('button', { name: 'Also without id' }).click();
  await eventually(async () => assert.equal(await ids.count(), 1));
  assert.match(await ids.first().innerText(), /[0-9a-f]{16}$/);
  await ids.first().click();
  await eventually(async () => assert.match(await page.locator('.timeline .row').innerText(), /nightly[\s\S]*cron · id of its trace id/));
}));

test('any attribute can be the id: its name is completed, and what has one value is one', () => at('/correlations', async (page) => {
  await shown(page, '.table tbody tr');
  await page.getByLabel('Id is the attribute').focus();
  await eventually(async () => assert.ok((await page.locator('#list-Idistheattribute option').evaluateAll((all) => all.map((o) => o.value))).includes('customer.id')));
  await page.getByLabel('Id is the attribute').fill('customer.id');
  await page.getByLabel('Id is the attribute').press('Enter');
  await eventually(async () => assert.deepEqual((await page.locator('.idcell a').allTextContents()).sort(), ['user-0', 'user-1', 'user-2']));
  await page.getByRole('link', { name: 'user-1' }).click();
  await eventually(async () => assert.match(await page.locator('h1').innerText(), /customer\.id\s*user-1/));
  assert.equal(await address(page), '/correlations?attribute=customer.id&id=user-1');
  await page.locator('.timeline .row').first().waitFor();
  assert.ok((await rowNames(page)).includes('POST /process'), 'what is below a row with the attribute');
  await page.getByRole('tab', { name: /Traces 7/ }).click();
  await eventually(async () => assert.equal(await page.locator('.ofid').count(), 7));
}));

test('more than a page: the rest comes by a cursor, each id once', async () => {
  await sendSpans(clew, Array.from({ length: 130 }, (_, i) => span(30_000 + i, 0, -1, 'pager', 'GET /', 2, Date.now() - 300_000 - i * 100, 5, { correlation_id: `page-${i}` })));
  await at('/correlations?service=pager', async (page) => {
    const ids = page.locator('.idcell a');
    await eventually(async () => assert.equal(await ids.count(), 100));
    assert.match(await page.locator('h1').innerText(), /130/);
    await page.getByRole('button', { name: 'Load 100 more' }).click();
    await page.getByText('That is all of them.').waitFor();
    assert.deepEqual(await ids.allTextContents(), Array.from({ length: 130 }, (_, i) => `page-${i}`));
  });
});

test('keys: j and Enter open one, u leads back to the list', () => at('/correlations?search=order', async (page) => {
  await shown(page, '.table tbody tr');
  for (const key of ['j', 'j', 'j', 'k', 'Enter']) await page.keyboard.press(key);
  await shown(page, '.timeline .row');
  assert.equal(await address(page), '/correlations?id=order-1018');
  await page.keyboard.press('u');
  await eventually(async () => assert.equal(await address(page), '/correlations?search=order'));
  await palette(page, 'order-1015', 'Correlation “order-1015”');
  await eventually(async () => assert.equal(await address(page), one));
  await page.keyboard.press('g');
  await page.keyboard.press('c');
  await eventually(async () => assert.equal(await address(page), '/correlations'));
}));

// ---- one -----------------------------------------------------------------------------------------------------------

test('the timeline: spans and records of all its traces by time, and where the id of each is from', () => at(one, async (page) => {
  await shown(page, '.timeline .row');
  assert.deepEqual(await rowNames(page), ['POST /api/orders', 'order received: order-1015', 'HTTP POST', 'POST /orders', 'SELECT stock', 'HTTP POST', 'POST /process', 'card refused: insufficient funds', '{"message":"booked","correlation_id":"order-1015"}', 'POST /send', 'send-email']);
  assert.deepEqual(await page.locator('.timeline .row .of').allTextContents(), ['gateway', 'gateway · id of its ancestor', 'gateway · id of its ancestor', 'orders · id of its ancestor', 'orders · id of its ancestor', 'orders · id of its ancestor', 'payment', 'payment · id of its ancestor', 'ledger', 'notification', 'notification · id of its ancestor']);
  assert.deepEqual(await page.locator('.timeline .which').allTextContents(), ['1', '1', '1', '1', '1', '1', '1', '1', '–', '2', '2']);
  const bar = async (name) => (await page.locator('.timeline .row', { hasText: name }).locator('.bar-of').boundingBox());
  const [first, last] = [await bar('POST /api/orders'), await bar('POST /send')];
  assert.ok(first.width > 200 && last.width > 130, 'a quarter of an hour of nothing takes little room');
  assert.match(await page.locator('.axiscut').first().innerText(), /^15m$/);
  await page.getByRole('button', { name: 'True scale' }).click();
  await eventually(async () => assert.ok((await bar('POST /api/orders')).width < 5));
  assert.match(await address(page), /scale=true/);
}));

test('clocks that are apart are put right and named; the stored times are a click away', async () => {
  const t = Date.now() - 600_000;
  await sendSpans(clew, [
    span(9300, 0, -1, 'k1', 'GET /', 2, t, 100, { correlation_id: 'skewed' }), span(9300, 1, 0, 'k1', 'to k2', 3, t + 10, 80),
    span(9300, 2, 1, 'k2', 'work', 2, t + 20 + 300_000, 60), span(9300, 3, 2, 'k2', 'to k3', 3, t + 30 + 300_000, 40), span(9300, 4, 3, 'k3', 'deep', 2, t + 40 - 240_000, 20),
  ]);
  await at('/correlations?id=skewed', async (page) => {
    await shown(page, '.timeline .row');
    const calls = ['GET /', 'to k2', 'work', 'to k3', 'deep'];
    assert.deepEqual(await rowNames(page), calls);
    assert.match(await page.locator('.facts').first().innerText(), /^\s*100(\.0+)? ms/);
    assert.match(await page.locator('.note.warn').innerText(), /the clock of k2 is 5m.* ahead \(1 call\), the clock of k3 is 4m.* behind \(1 call\).*Corrected here/);
    const edge = async (row) => { const b = await row.locator('.bar-of').boundingBox(), l = await row.locator('.took').boundingBox(); return [b.x + b.width, l.x]; };
    for (const row of await page.locator('.timeline .row').all()) { const [bar, label] = await edge(row); assert.ok(label >= bar - 1, 'what it took stands behind its end'); }
    await page.getByRole('button', { name: 'Stored times' }).click();
    await eventually(async () => assert.deepEqual(await rowNames(page), ['deep', 'GET /', 'to k2', 'work', 'to k3']));
    assert.equal(await address(page), '/correlations?id=skewed&stored=true');
    await page.getByRole('tab', { name: 'Flow' }).click();
    await eventually(async () => assert.deepEqual(await page.locator('[aria-label=Steps] tbody tr').evaluateAll((all) => all.map((r) => [...r.cells].slice(2, 4).map((c) => c.textContent).join('>'))), ['k1>k2', 'k2>k3']));
  });
});

test('the timeline: kinds, errors, words, by trace; keys go from row to row and to the next error', () => at(one, async (page) => {
  await shown(page, '.timeline .row');
  const count = (n) => eventually(async () => assert.equal(await page.locator('.timeline .row').count(), n));
  await page.getByRole('button', { name: 'Logs', exact: true }).click();
  await count(3);
  await page.getByRole('button', { name: 'All', exact: true }).click();
  await page.getByRole('button', { name: 'Errors', exact: true }).click();
  await count(4);
  await page.getByRole('button', { name: 'Errors', exact: true }).click();
  await page.locator('.timeline .rows').focus();
  await page.keyboard.press('e');
  await eventually(async () => assert.match(await page.locator('.detail h2').innerText(), /POST \/orders/));
  await page.keyboard.press('j');
  await eventually(async () => assert.match(await page.locator('.detail h2').innerText(), /SELECT stock/));
  assert.match(await page.locator('.detail').innerText(), /Its id\s*of its ancestor A span above it came with the id/);
  await page.keyboard.press('Escape');
  await page.locator('.detail').waitFor({ state: 'detached' });
  await typeAt(page, '/', 'input[data-search]', 'notification');
  await count(2);
  assert.match(await page.locator('.trace').locator('xpath=..').innerText(), /2 of 11 rows/);
}));

test('ways: from a row to its span and its record, from these back to the id', async () => {
  await at(`${one}&row=span-${spanOf(failing, 5)}`, async (page) => {
    await page.getByRole('link', { name: 'Open in its trace' }).click();
    await page.locator('.detail h2', { hasText: 'POST /process' }).waitFor();
    await eventually(async () => assert.equal(await page.locator('.detail .pairs a', { hasText: 'order-1015' }).getAttribute('href'), one));
    assert.equal(await page.locator('.detail').getByRole('link', { name: 'Its correlation' }).getAttribute('href'), one);
    assert.equal(await page.locator('.facts a', { hasText: 'order-1015' }).getAttribute('href'), one);
    await page.getByRole('link', { name: 'Correlation', exact: true }).click();
    await shown(page, '.timeline .row');
    assert.equal(await address(page), one);
    await page.locator('.timeline .row', { hasText: 'booked' }).click();
    await page.getByRole('link', { name: 'Open the record' }).click();
    await page.locator('.detail', { hasText: 'Correlation' }).waitFor();
    assert.match(await page.locator('.detail').innerText(), /booked/);
    await page.getByRole('link', { name: 'Its correlation' }).click();
    await shown(page, '.timeline .row');
    assert.equal(await address(page), one);
  });
});

test('traces: each in small, with the way to it and to what is like it', () => at(`${one}&tab=traces`, async (page) => {
  await shown(page, '.ofid');
  assert.deepEqual(await page.locator('.ofid h2').allInnerTexts(), ['gateway POST /api/orders', 'notification POST /send']);
  assert.match(await page.locator('.ofid').first().innerText(), /120 ms\s*3 errors[\s\S]*6 spans[\s\S]*2 log records[\s\S]*2 spans came with the id, 4 spans take it from a span above/);
  const ink = await page.locator('.smallfall canvas').first().evaluate((c) => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n / (c.width * c.height); });
  assert.ok(ink > 0.2 && ink < 0.9, `${ink} of it is drawn on`);
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.locator('[role=treegrid]').waitFor();
  assert.equal(await address(page), `/trace/${traceOf(failing)}`);
}));

test('logs: the list, with where the id of each is from; a record opens beside it', () => at(`${one}&tab=logs`, async (page) => {
  await shown(page, '.loglist .row');
  assert.deepEqual((await page.locator('.loglist .row').allInnerTexts()).map((t) => t.split('\n').at(-1)), ['order received: order-1015 · id of its ancestor', 'card refused: insufficient funds · id of its ancestor', '{"message":"booked","correlation_id":"order-1015"}']);
  await page.locator('.loglist .row').nth(1).click();
  await page.getByRole('link', { name: 'Open its trace' }).click();
  await page.locator('[role=treegrid]').waitFor();
  assert.equal(await address(page), `/trace/${traceOf(failing)}?span=${spanOf(failing, 5)}`);
}));

test('the path: who called whom in which order, and what only the id joins; a node leads on', () => at(`${one}&tab=flow`, async (page) => {
  await shown(page, '.servicemap .node');
  assert.deepEqual((await page.locator('.node .name').allTextContents()).sort(), ['gateway', 'notification', 'orders', 'payment', 'postgresql:orders']);
  assert.deepEqual((await page.locator('[aria-label=Steps] tbody tr').allInnerTexts()).map((t) => t.replace(/\s+/g, ' ').trim().replace(/^(\d+) \S+( [a-z]*s)? /, '$1 ').replace(/ \d+ \d+ \S+( [a-zµ]+)? \S+( [a-zµ]+)?$/, '')), [
    '1 gateway orders', '2 orders postgresql:orders', '3 orders payment', '4 payment has the same id as notification']);
  assert.equal(await page.locator('.edge.same_id').count(), 1);
  assert.equal(await page.locator('.edge.failing').count(), 2);
  await page.locator('.servicemap').focus();
  for (const [key, name] of [['ArrowRight', 'gateway'], ['ArrowRight', 'orders']]) {
    await page.keyboard.press(key);
    await eventually(async () => assert.equal(await page.locator('.node.chosen .name').textContent(), name));
  }
  await page.getByRole('link', { name: 'In the timeline' }).click();
  await eventually(async () => assert.deepEqual(await rowNames(page), ['POST /api/orders', 'POST /orders', 'SELECT stock', 'HTTP POST']));
}));

test('meanwhile: what its services did over the same time, each with its query to go on with; exemplars that name its traces', () => at(`/correlations?id=${traceId(117)}`, async (page) => {
  const meanwhile = page.getByRole('region', { name: 'Meanwhile' });
  await meanwhile.locator('.meanchart').first().waitFor();
  const of = await getJson(`${clew.api}/api/v1/correlations/${traceId(117)}/metrics`);
  assert.deepEqual(await meanwhile.locator('h3').allTextContents().then((all) => all.map((t) => t.trim().split(' ')[0])), [...new Set(of.charts.map((c) => c.service)), 'Samples']);
  const web = meanwhile.locator('.meanservices > li', { hasText: 'web' });
  assert.deepEqual(await web.locator('.meanchart a').allInnerTexts(), ['Calls', 'Errors', 'p95']);
  assert.match(await web.locator('.meanchart').first().innerText(), /0\.\d+\/s/);
  await web.getByRole('button', { name: /more/ }).click();
  assert.equal(await web.locator('.meanchart').count(), of.charts.filter((c) => c.service === 'web').length);
  assert.ok((await web.locator('.meanchart a').allInnerTexts()).includes('process_memory_usage_bytes'));
  assert.match(await web.locator('.meanchart', { hasText: 'process_memory_usage_bytes' }).innerText(), /MiB/);
  assert.ok(of.exemplars.length > 0);
  assert.equal(await meanwhile.locator('.newest li').count(), Math.min(5, of.exemplars.length));
  assert.match(await meanwhile.locator('.newest a', { hasText: 'trace' }).first().getAttribute('href'), new RegExp(`^/trace/${traceId(117)}`));
  await web.locator('.meanchart a').first().click();
  await page.locator('.plot canvas').first().waitFor();
  assert.match(decodeURIComponent(await address(page)), /^\/explore\?start=.*query=sum\(rate\(traces_spanmetrics_calls_total\{service="web"\}/);
}));

test('tabs by keys: v and numbers, and the arrows on the tabs', () => at(one, async (page) => {
  await shown(page, '.timeline .row');
  for (const [key, tab] of [['v', 'traces'], ['3', 'logs'], ['4', 'flow'], ['1', '']]) {
    await page.keyboard.press(key);
    await eventually(async () => assert.equal(await address(page), one.replace('id=order-1015', `id=order-1015${tab && `&tab=${tab}`}`)));
  }
  await page.getByRole('tab', { name: 'Timeline' }).focus();
  await page.keyboard.press('ArrowLeft');
  await eventually(async () => assert.match(await address(page), /tab=flow/));
  assert.equal(await page.evaluate(() => document.activeElement.id), 'tab-flow');
}));

// ---- odd ones ------------------------------------------------------------------------------------------------------

test('ids that no path can hold, and one of nothing to see, are opened from the list', async () => {
  const ids = ['..', '.', '../../etc/passwd', ' '];
  await sendSpans(clew, ids.map((id, i) => span(9400 + i, 0, -1, 'dots', `GET /${i}`, 2, Date.now() - 40_000 - i, 10, { correlation_id: id })));
  for (const [i, id] of ids.entries())
    await at('/correlations?service=dots', async (page) => {
      await page.getByRole('link', { name: id === ' ' ? '“ ”' : id, exact: true }).click();
      await eventually(async () => assert.deepEqual(await rowNames(page), [`GET /${i}`]));
      for (const tab of ['Traces', 'Logs', 'Flow']) await page.getByRole('tab', { name: tab }).click();
      await page.locator('.servicemap').waitFor();
      assert.equal(await page.locator('.note.error, .empty').count(), 0);
    });
});

test('an id of any letters is shown as text, and its address leads back to it', () => at('/correlations?search=%3Ci%3E', async (page) => {
  await page.locator('.idcell a').click();
  await shown(page, '.timeline .row');
  assert.equal(await page.locator('.oneid').textContent(), odd);
  assert.equal(await page.locator('.oneid i').count(), 0);
  await page.reload();
  await shown(page, '.timeline .row');
  assert.deepEqual(await rowNames(page), ['GET /odd']);
}));

test('a trace\'s id is an id, too; an unknown one says what to do', async () => {
  await at(`/correlations?id=${traceOf(failing)}`, async (page) => {
    await shown(page, '.timeline .row');
    assert.equal(await page.locator('.timeline .row').count(), 8);
  });
  await at('/correlations?id=nothing', async (page) => {
    await page.getByText('Nothing has this id').waitFor();
    await sendSpans(clew, [span(9200, 0, -1, 'web', 'GET /late', 2, Date.now() - 2000, 10, { correlation_id: 'nothing' })]);
    await sendLogs(clew, [log(9200, 0, 'web', 9, Date.now() - 1995, 'late')]);
    await page.getByRole('button', { name: 'Look again' }).click();
    await shown(page, '.timeline .row');
    assert.deepEqual(await rowNames(page), ['GET /late', 'late']);
  });
});

test(`${rowsOfLarge} rows of one id: few are in the document, and scrolling them is smooth`, () => at('/correlations?id=bulk-7', async (page) => {
  await shown(page, '.timeline .row');
  assert.match(await page.locator('.facts').innerText(), /6 666 spans\s*3 334 log records\s*40 traces/);
  await page.getByText('10 000 rows', { exact: true }).waitFor();
  assert.ok(await page.locator('.timeline .row').count() < 80);
  const frames = await page.evaluate(async () => {
    const box = document.querySelector('.timeline .rows'), took = [];
    let before = performance.now();
    for (let i = 0; i < 120; i++) {
      box.scrollTop = (i * 1777) % (box.scrollHeight - box.clientHeight);
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      took.push(now - before);
      before = now;
    }
    return took.sort((a, b) => a - b);
  });
  assert.ok(frames[60] < 50, `a frame takes ${frames[60].toFixed(1)} ms, the slowest of twenty ${frames[114].toFixed(1)} ms`);
  const began = Date.now();
  await page.keyboard.press('e');
  await page.locator('.detail').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'By trace' }).click();
  await eventually(async () => assert.deepEqual([...new Set((await page.locator('.timeline .which').allTextContents()).slice(0, 20))], ['1']));
  assert.ok(Date.now() - began < 5000);
}));
