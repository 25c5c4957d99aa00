// A trace in Chromium against a real clew: its views, what is found in it, two beside each other, and how long a large one takes.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { address, eventually, hasBrowser, shot, shown, startBrowser, sweep, visitor } from './browser.mjs';
import { startClew } from './clew.mjs';
import { largeTrace, orphan, shop, skewed, spanId, traceId } from './page-data.mjs';

const failing = 110, slow = 100, usual = 111, alone = 7001, apart = 7002;
let clew, browser;
before(async () => {
  if (!hasBrowser) throw new Error('no Chromium: ./dev setup');
  clew = await startClew();
  await shop(clew);
  await orphan(clew, alone);
  await skewed(clew, apart);
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  await clew?.stop();
});
const at = visitor(() => ({ browser, clew }));
const trace = (k, query = '') => `/trace/${traceId(k)}${query}`;
const compare = (a, b, more = '') => `/compare?a=${traceId(a)}${b ? `&b=${traceId(b)}` : ''}${more}`;
const rows = (page) => page.locator('.grid-row[aria-selected]');
const hasNames = (page, column, wanted) => eventually(async () => assert.deepEqual(await names(page, column), wanted));
const names = async (page, column = 1) => (await page.locator(`.grid-row[aria-selected] > :nth-child(${column})`).allInnerTexts()).map((t) => t.replace(/\s+/g, ' ').trim());

// ---- looks -----------------------------------------------------------------------------------------------------------

const views = [
  ['trace-table', trace(failing, '?as=table&sort=-duration'), '.grid-row[aria-selected]'],
  ['trace-table-span', trace(failing, `?as=table&span=${spanId(failing, 5)}`), '.detail .events'],
  ['trace-operations', trace(failing, '?as=operations'), '.grid-row[aria-selected]'],
  ['trace-analysis', trace(failing, '?as=analysis'), '.analysis table'],
  ['trace-found', trace(failing, '?find=order-110&path=true'), '.fall .row.found'],
  ['trace-orphan', trace(alone), '.note.warn'],
  ['trace-apart', trace(apart), '.note.warn'],
  ['compare-choose', compare(usual), '.picks a'],
  ['compare', compare(usual, slow), '.grid-row[aria-selected]'],
  ['compare-tree', compare(usual, failing, '&sort=tree'), '.grid-row[aria-selected]'],
  ['compare-unknown', compare(usual, 99_999), '.empty'],
  ['compare-nothing', '/compare', '.empty'],
];
sweep(at, views);

test('a bar as long as all: what it took stands behind its end, and in its row', () => at(trace(alone), async (page) => {
  for (const width of [1440, 380]) {
    await page.setViewportSize({ width, height: 800 });
    const row = page.locator('.fall .row').first();
    await row.locator('.took').waitFor();
    assert.match(await row.locator('.took').innerText(), /10\.0 ms/);
    await eventually(async () => {
      const [bar, label, whole] = await Promise.all(['.bar-of', '.took', null].map((part) => (part ? row.locator(part) : row).boundingBox()));
      assert.ok(bar.width > 50 && label.x >= bar.x + bar.width - 1 && label.x + label.width <= whole.x + whole.width, `${width}: ${JSON.stringify({ bar, label, whole })}`);
    });
  }
}));

test('the overview of a few spans is drawn, in the colours of the theme', async () => {
  for (const theme of ['light', 'dark'])
    await at(trace(usual), async (page) => {
      await page.locator('.fall .row').first().waitFor();
      const drawn = () => page.evaluate(() => {
        const c = document.querySelector('.mini canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const seen = Array.from({ length: c.height }, (_, y) => d.subarray(y * c.width * 4, (y + 1) * c.width * 4).some((v, i) => i % 4 === 3 && v > 0));
        return seen.filter((s, y) => s && !seen[y - 1]).length;
      });
      await page.waitForFunction(() => document.querySelector('.mini canvas').width > 300);
      await eventually(async () => assert.equal(await drawn(), 7)); // a bar for each span
    }, { theme });
});

test('analysis: what failed first, where the time went, and the way to its spans', async () => {
  await at(trace(failing, '?as=analysis'), async (page) => {
    await shown(page, '.analysis table');
    const part = (name) => page.getByRole('region', { name });
    assert.match(await page.locator('.analysis > p').first().innerText(), /^Failed: 7 spans of 4 services .* The deepest failure is pay: POST \/charge\./);
    assert.deepEqual((await part('What failed first').locator('tbody th').allInnerTexts()).map((s) => s.replace(/\s+/g, ' ').trim()), ['! error POST /charge pay', '! error POST /charge web', '! error GET /checkout web']);
    assert.match(await part('What failed first').locator('tbody td').first().innerText(), /^CardError: card refused$/);
    assert.match(await part('Services').innerText(), /pay\s+1\s+1/);
    await part('Critical path').locator('tbody a').first().click();
    await shown(page, '.fall .row');
    await eventually(async () => assert.match(await address(page), new RegExp(`span=${spanId(failing, 5)}`)));
    assert.equal(await page.locator('.detail').count(), 1);
  });
});

test('clocks that are apart are told of and corrected; stored times are one click away', async () => {
  await at(trace(apart, `?span=${spanId(apart, 4)}`), async (page) => {
    const bars = () => page.locator('.fall .bar-of').evaluateAll((all) => all.map((b) => Math.round(parseFloat(b.style.left))));
    await shown(page, '.fall .row');
    assert.match(await page.locator('.note.warn').innerText(), /the clock of pay is 2m 3s ahead \(1 call\).*Corrected here/s);
    assert.deepEqual(await bars(), [0, 10, 20, 30]);
    assert.match(await page.locator('.facts').innerText(), /100 ms/);
    assert.match(await page.locator('.detail').innerText(), /Clock\s*2m 3s ahead/);
    await page.getByRole('button', { name: 'Stored times' }).click();
    await eventually(async () => assert.match(await address(page), /stored=true/));
    await eventually(async () => assert.deepEqual(await bars(), [0, 0, 100, 100]));
    assert.match(await page.locator('.note.warn').innerText(), /as they were stored/);
    await page.reload();
    await eventually(async () => assert.deepEqual(await bars(), [0, 0, 100, 100]));
  });
});

// ---- keys, and what the URL keeps ------------------------------------------------------------------------------------

test('keys: e, c, v, j, k, brackets, Enter, Esc and y do what the help says', async () => {
  await at(trace(failing), async (page) => {
    await shown(page, '.fall .row');
    const press = (key) => page.keyboard.press(key);
    const sees = (text) => page.waitForFunction((t) => location.search.includes(t), text);
    await press('e');
    await sees(`span=${spanId(failing, 0)}`);
    await press('j');
    await sees(`span=${spanId(failing, 1)}`);
    await press('k');
    await sees(`span=${spanId(failing, 0)}`);
    await press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('.fall .row').length === 1);
    await press(']');
    await page.waitForFunction(() => document.querySelectorAll('.fall .row').length === 7);
    await press('[');
    await sees('collapsed=*');
    await press(']');
    await press('c');
    await sees('path=true');
    await press('c');
    await press('Escape');
    await page.waitForFunction(() => location.search === '');
    await press('v');
    await sees('as=table');
    await press('j');
    await press('j');
    await sees(`span=${spanId(failing, 1)}`);
    await press('v');
    await sees('as=operations');
    await press('v');
    await sees('as=analysis');
    await press('v');
    await page.waitForFunction(() => !location.search.includes('as='));
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await press('y');
    await eventually(async () => assert.equal(await page.evaluate(() => navigator.clipboard.readText()), page.url()));
    await press('?');
    const help = await page.locator('dialog').innerText();
    for (const words of ['next error of a trace', 'critical path', 'collapse, expand all', 'tree, table, operations, analysis', 'copy the link']) assert.ok(help.includes(words), words);
  });
});

test('the waterfall is a tree grid: level, index, count, what is expanded', async () => {
  await at(trace(usual, `?span=${spanId(usual, 2)}`), async (page) => {
    const grid = page.locator('[role=treegrid]');
    await grid.waitFor();
    assert.equal(await grid.getAttribute('aria-rowcount'), '7');
    assert.equal(await grid.getAttribute('aria-activedescendant'), 'span-2');
    const row = page.locator('#span-2');
    assert.deepEqual(await row.evaluate((r) => ['level', 'rowindex', 'expanded', 'selected'].map((n) => r.getAttribute(`aria-${n}`))), ['3', '3', 'true', 'true']);
    assert.equal(await page.locator('#span-3').getAttribute('aria-expanded'), null);
  });
});

test('the whole view is in the URL: table, order, find, path, span, zoom', async () => {
  const query = `?as=table&sort=-self&span=${spanId(failing, 5)}&find=POST&path=true`;
  await at(trace(failing, query), async (page) => {
    await page.locator('.detail .events').first().waitFor();
    assert.equal(await address(page), trace(failing, query));
    await hasNames(page, 1, ['! error POST /charge', '! error POST /charge']);
    assert.equal(await page.locator('[role=columnheader][aria-sort=descending]').innerText(), 'Own time ↓');
    assert.equal(await rows(page).first().getAttribute('aria-selected'), 'true');
    await page.goto(trace(failing, '?view=20000000-70000000&collapsed=*'));
    await page.locator('.fall .row').first().waitFor();
    assert.equal(await page.locator('.fall .row').count(), 1);
    assert.match(await page.locator('.axis .marks').innerText(), /20 ms|30 ms/);
  });
});

// ---- tables ----------------------------------------------------------------------------------------------------------

test('table: every column sorts both ways, a row opens its span', async () => {
  await at(trace(usual, '?as=table'), async (page) => {
    await rows(page).first().waitFor();
    await hasNames(page, 1, ['GET /checkout', 'cart.Get', 'cart.Get', 'SELECT items', 'POST /charge', 'POST /charge', 'send']);
    await page.getByRole('button', { name: 'Duration' }).click();
    await hasNames(page, 4, ['80.0 ms', '50.0 ms', '46.0 ms', '30.0 ms', '12.0 ms', '9.00 ms', '5.00 ms']);
    await page.getByRole('button', { name: 'Duration' }).click();
    await eventually(async () => assert.equal((await names(page, 4))[0], '5.00 ms'));
    await page.getByRole('button', { name: 'Service' }).click();
    await hasNames(page, 2, ['cart', 'cart', 'mail', 'pay', 'web', 'web', 'web']);
    await rows(page).nth(3).click();
    await page.locator('.detail h2', { hasText: 'POST /charge' }).waitFor();
    await page.reload();
    await page.locator('.detail h2', { hasText: 'POST /charge' }).waitFor();
    assert.equal(await page.locator('[role=grid]').getAttribute('aria-rowcount'), '8');
  });
});

test('operations: calls, errors, shares of the duration, and the way to their spans', async () => {
  await at(trace(failing, '?as=operations'), async (page) => {
    await rows(page).first().waitFor();
    assert.deepEqual((await names(page)).slice(0, 3), ['POST /charge', 'send', 'GET /checkout']);
    const first = (await rows(page).first().innerText()).split('\n');
    assert.deepEqual(first.map((t) => t.trim()).filter(Boolean), ['POST /charge', 'pay', '1', '1', '46.0 ms', '46.0 ms · 45%', '46.0 ms · 45%']);
    const shares = (await names(page, 7)).map((t) => Number.parseFloat(t.split('· ')[1]));
    assert.ok(Math.abs(shares.reduce((a, b) => a + b) - 100) < 1.5, `${shares}`);
    await page.getByRole('link', { name: 'cart.Get' }).first().click();
    await page.waitForFunction(() => /as=table&sort=-duration&find=cart\.Get/.test(location.search));
    await page.waitForFunction(() => document.querySelectorAll('.grid-row[aria-selected]').length === 2);
  });
});

test('find: names at once, attributes and conditions by the server', async () => {
  await at(trace(failing), async (page) => {
    await page.locator('.fall .row').first().waitFor();
    const field = page.getByLabel('Find in spans'), found = page.locator('.fall .row.found');
    const counts = (n) => page.waitForFunction((wanted) => document.querySelector('.head [role=status]')?.textContent === `${wanted} span${wanted === 1 ? '' : 's'}`, n);
    await field.fill('select');
    await found.first().waitFor();
    await counts(1);
    await field.fill('postgresql'); // a value of db.system
    await counts(1);
    assert.match(await found.innerText(), /SELECT items/);
    await field.fill('http.response.status_code >= 500');
    await counts(3);
    await field.fill('refused'); // in a status message and in an event's attribute
    await counts(3);
    await field.fill('"unended');
    await counts(0);
    await field.fill('no such thing');
    await counts(0);
  });
});

test('a parent that never came is told, in the trace, on the row and of the span', async () => {
  await at(trace(alone, `?span=${spanId(alone, 1)}`), async (page) => {
    await page.locator('.note.warn', { hasText: '1 span that others name as their parent never came' }).waitFor();
    assert.match(await page.locator('.fall .row').innerText(), /its parent never came/);
    await page.locator('.detail', { hasText: spanId(alone, 0) }).waitFor();
    await eventually(async () => assert.match(await page.locator('.detail').innerText(), /never came/));
  });
});

// ---- two traces ------------------------------------------------------------------------------------------------------

test('compare: from a trace by what is offered, or by an id; and all of it again from the URL', async () => {
  await at(trace(usual), async (page) => {
    await page.getByRole('link', { name: 'Compare with …' }).click();
    await page.locator('section[aria-label=Slower] a').first().click();
    await page.getByText('explain', { exact: false }).first().waitFor();
    await eventually(async () => {
      assert.match(await page.locator('main').innerText(), /B takes 1\.94 s longer than A, 20 times as long/);
      assert.equal((await names(page))[0], 'POST /charge pay in POST /charge');
    });
    await page.getByRole('button', { name: 'Swap A and B' }).click();
    await page.getByText('1.94 s less').waitFor();
    await page.getByRole('button', { name: 'As a tree' }).click();
    await eventually(async () => assert.deepEqual((await names(page)).map((n) => n.split(' ')[0]), ['GET', 'cart.Get', 'cart.Get', 'SELECT', 'POST', 'POST', 'send']));
    const here = await address(page), before = await names(page);
    assert.match(here, /sort=tree/);
    await page.reload();
    await hasNames(page, 1, before);
    await page.getByLabel('Which operations').selectOption('a');
    await page.getByText('None of these').waitFor();
    await page.getByRole('link', { name: 'Another B …' }).click();
    const field = page.getByLabel('Id or link of another trace');
    await field.fill('not an id');
    await page.getByText('An id has 32 hexadecimal digits').waitFor();
    await field.fill(`http://elsewhere.example/trace/${traceId(alone)}?x=y`);
    await field.press('Enter');
    await page.waitForFunction((id) => location.search.includes(`b=${id}`), traceId(alone));
    await page.getByLabel('Which operations').selectOption('b');
    await page.waitForFunction(() => document.querySelectorAll('.grid-row[aria-selected]').length === 1);
    assert.match((await names(page))[0], /only in B\s+GET \/alone/);
    await page.keyboard.press('Escape');
    await page.locator('main').focus();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.waitForFunction((id) => location.pathname.endsWith(id) && location.search.includes('find='), traceId(alone));
  });
});

// ---- large traces ----------------------------------------------------------------------------------------------------

const middle = (v) => [...v].sort((a, b) => a - b)[v.length >> 1];

/** Milliseconds of CPU: of the page's thread, of the server. */
async function usedBy(session) {
  const { metrics } = await session.send('Performance.getMetrics');
  const server = readFileSync(`/proc/${clew.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return { page: metrics.find((m) => m.name === 'TaskDuration').value * 1000, server: (Number(server[11]) + Number(server[12])) * 10 };
}

/** From the change of the address to the first row: the time it took, the CPU of page and server; and the longest task until all is quiet. */
async function openTrace(page, path) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const before = await usedBy(session);
  const took = await page.evaluate(async (p) => {
    window.long = [];
    new PerformanceObserver((list) => window.long.push(...list.getEntries().map((e) => e.duration))).observe({ type: 'longtask' });
    const began = performance.now();
    history.pushState(null, '', p);
    dispatchEvent(new PopStateEvent('popstate'));
    while (!document.querySelector('.fall .row')) await new Promise((r) => requestAnimationFrame(r));
    return performance.now() - began;
  }, path);
  const after = await usedBy(session);
  await session.detach();
  await page.evaluate(() => new Promise((r) => setTimeout(r, 1000)));
  return { took, page: after.page - before.page, server: after.server - before.server, long: await page.evaluate(() => Math.max(0, ...window.long)) };
}

const scroll = (page) => page.evaluate(async () => {
  const box = document.querySelector('.rows'), times = [];
  let last = performance.now();
  for (let i = 1; i <= 120; i++) {
    box.scrollTop = (box.scrollHeight * i) / 120;
    const now = await new Promise((r) => requestAnimationFrame(r));
    times.push(now - last);
    last = now;
  }
  return times.sort((a, b) => a - b);
});

async function heapOf(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.enable');
  for (let i = 0; i < 3; i++) await session.send('HeapProfiler.collectGarbage');
  const { usedSize, backingStorageSize = 0, embedderHeapUsedSize = 0 } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return (usedSize + backingStorageSize + embedderHeapUsedSize) / 2 ** 20;
}

// Time is told and held far above the budget, since the machine of a test may be busy; what is held to the budget is CPU.
for (const [n, k, budget] of [[10_000, 9001, 300], [100_000, 9002, 800]])
  test(`${n} spans open, scroll, sort and are found; bytes a span, heap`, async (t) => {
    await largeTrace(clew, n, k);
    const body = Buffer.from(await (await fetch(`${clew.api}/api/v1/traces/${traceId(k)}/columns`)).arrayBuffer());
    const bytes = gzipSync(body, { level: 1 }).length / n;
    t.diagnostic(`${n} spans as columns: ${(body.length / n).toFixed(1)} bytes a span, ${bytes.toFixed(1)} by gzip -1`);
    assert.ok(bytes <= 40, `${bytes} bytes a span`);
    const opened = [];
    for (let i = 0; i < 5; i++)
      await at('/start', async (page) => {
        await page.locator('#snippet').waitFor();
        opened.push(await openTrace(page, trace(k)));
        if (i < 4) return;
        const frames = await scroll(page), heap = await heapOf(page);
        const of = (what) => middle(opened.map((o) => o[what])).toFixed(0);
        t.diagnostic(`${n} spans: open ${of('took')} ms (${opened.map((o) => o.took.toFixed(0)).join(' ')}; budget ${budget}), CPU of the page ${of('page')} ms, of the server ${of('server')} ms, longest task ${of('long')} ms, ` +
          `frame p50 ${frames[60].toFixed(1)} p95 ${frames[114].toFixed(1)} ms, heap ${heap.toFixed(1)} MiB, ${await page.evaluate(() => document.querySelectorAll('*').length)} nodes, load ${loadavg()[0].toFixed(1)}`);
        assert.ok(heap <= 80, `${heap} MiB`);
        assert.ok(Number(of('page')) + Number(of('server')) <= budget, 'CPU of both');
        assert.ok(opened.every((o) => o.took < 20_000) && frames[114] < 3000);
        assert.ok((await page.locator('.fall .row').count()) < 80);
        assert.equal(await page.locator('[role=treegrid]').getAttribute('aria-rowcount'), String(n));
        await shot(page, `trace-${n}`);
        await page.keyboard.press('v');
        await rows(page).first().waitFor();
        await page.getByRole('button', { name: 'Duration' }).click();
        await eventually(async () => assert.equal((await names(page, 4))[0], '4.00 s'));
        const table = await scroll(page);
        t.diagnostic(`${n} spans as a table: frame p95 ${table[114].toFixed(1)} ms`);
        assert.ok((await rows(page).count()) < 80);
        await page.getByLabel('Find in spans').fill(`row.number = ${n - 1}`);
        await page.waitForFunction(() => document.querySelectorAll('.grid-row[aria-selected]').length === 1);
      });
  });
