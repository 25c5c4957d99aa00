// The page's search in Chromium: completion, conditions as chips, saved searches. By keyboard alone where it says so.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { axe, burst, eventually, hasBrowser, palette, shot, startBrowser, visitor } from './browser.mjs';
import { binary, startClew } from './clew.mjs';
import { shop } from './page-data.mjs';
import { temporary } from './processes.mjs';

let clew, browser;
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

const visit = visitor(() => ({ browser, clew }));
const at = (path, fn, options = {}, base = clew.api) => visit(path, fn, { permissions: ['clipboard-read', 'clipboard-write'], ...options }, base);
const search = (page) => page.evaluate(() => location.pathname + decodeURIComponent(location.search.replaceAll('+', ' ')));
const bar = (page) => page.getByRole('combobox', { name: 'Condition' });
const options = (page) => page.locator('#options [role=option]');
const ready = async (page) => { await page.locator('.table tbody tr, .loglist .row').first().waitFor(); };
const typed = (page, text) => eventually(async () => assert.equal(await bar(page).inputValue(), text));
const option = (page, text) => options(page).filter({ hasText: text }).first().waitFor();
const put = (name, body, query = '') => fetch(`${clew.api}/api/v1/searches/${encodeURIComponent(name)}${query}`, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });

// ---- completion ----------------------------------------------------------------------------------------------------

test('a condition is completed by keyboard alone: name, operator, value', async () => {
  await at('/traces', async (page) => {
    await ready(page);
    await page.keyboard.press('Tab');
    await bar(page).focus();
    await page.keyboard.type('status_c');
    await option(page, 'http.response.status_code');
    await page.keyboard.press('ArrowDown');
    await eventually(async () => {
      assert.equal(await options(page).first().getAttribute('aria-selected'), 'true');
      assert.equal(await bar(page).getAttribute('aria-activedescendant'), await options(page).first().getAttribute('id'));
    });
    await page.keyboard.press('Enter');
    await typed(page, 'http.response.status_code ');
    await page.keyboard.type('>');
    await option(page, 'at least');
    await page.keyboard.press('Tab');
    await typed(page, 'http.response.status_code >= ');
    await option(page, '500');
    await page.keyboard.type('5');
    await page.waitForFunction(() => document.querySelectorAll('#options [role=option]').length === 1);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.locator('.chip').waitFor();
    assert.equal(await search(page), '/traces?where=http.response.status_code >= 500');
    assert.equal(await bar(page).getAttribute('aria-expanded'), 'false');
    await page.waitForFunction(() => document.querySelectorAll('.table tbody tr').length === 12);
  });
});

test('fields, resources and free words are taken for what they are', async () => {
  await at('/traces', async (page) => {
    await ready(page);
    await bar(page).fill('serv');
    await option(page, 'resource.service.name');
    assert.match(await options(page).first().innerText(), /^service/);
    await page.keyboard.press('Tab');
    await page.keyboard.type('= ca');
    await option(page, 'cart');
    await page.keyboard.press('Tab');
    await page.waitForFunction(() => location.search === '?service=cart');
    await bar(page).fill('duration >= 5ms');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.search.includes('min_duration=5ms'));
    await bar(page).fill('card refused');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.search.includes('text=card+refused'));
  });
  await at('/logs', async (page) => {
    await ready(page);
    await bar(page).fill('user.id = user-');
    await option(page, 'user-3');
    assert.equal(await options(page).count(), 7);
    await page.keyboard.press('Escape');
    await options(page).first().waitFor({ state: 'detached' });
    assert.equal(await bar(page).inputValue(), 'user.id = user-');
    await bar(page).fill('severity >= err');
    await page.keyboard.press('Tab');
    await page.waitForFunction(() => location.search === '?severity=error');
  });
});

test('a burst of keys asks once, and late answers are dropped', async () => {
  await at('/traces', async (page) => {
    await ready(page);
    page.asked.length = 0;
    await bar(page).focus();
    await burst(page, 'http.request');
    await option(page, 'http.request.method');
    const asked = page.asked.filter((u) => u.includes('/api/v1/attributes'));
    assert.equal(asked.length, 1, asked.join('\n'));
    assert.match(asked[0], /prefix=http\.request/);
  });
});

// ---- chips ---------------------------------------------------------------------------------------------------------

test('chips are walked, edited, negated and removed by keys', async () => {
  await at('/traces?where=order.id%3Dorder-110&where=db.system+exists', async (page) => {
    await page.locator('.chip').nth(1).waitFor();
    await bar(page).focus();
    await page.keyboard.press('Backspace'); // from the empty field to the last chip
    assert.match(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), /Edit db\.system exists/);
    await page.keyboard.press('!');
    await page.waitForFunction(() => location.search.includes('db.system+absent'));
    await page.getByRole('button', { name: 'Edit db.system absent' }).focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Enter');
    await typed(page, 'order.id=order-110');
    await bar(page).fill('order.id=order-100');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.search.includes('order-100') && !location.search.includes('order-110'));
    await page.getByRole('button', { name: 'Edit db.system absent' }).focus();
    await page.keyboard.press('Delete');
    await page.waitForFunction(() => !location.search.includes('db.system'));
    await page.getByRole('button', { name: 'Negate order.id=order-100' }).click();
    await page.waitForFunction(() => location.search.includes('%21%3D+order-100'));
    await page.getByRole('button', { name: /^Remove/ }).click();
    await page.waitForFunction(() => location.search === '');
  });
});

test('what is wrong is told at its place: by the page at once, by the server after', async () => {
  await at('/traces', async (page) => {
    await ready(page);
    await bar(page).fill('order.id == 5');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    await page.getByText('== is not an operator').waitFor();
    await eventually(async () => assert.equal(await bar(page).evaluate((e) => e.selectionStart), 9));
    await bar(page).fill('order.id ~ (x');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    await page.locator('.chip.bad').waitFor();
    await page.locator('#where-wrong').getByText('at character').waitFor();
    await typed(page, 'order.id ~ (x');
    await shot(page, 'search-wrong');
    await bar(page).fill('order.id ~ (x)');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    await page.locator('.empty').waitFor();
    assert.equal(await page.locator('.chip').count(), 1);
  });
});

// ---- saved searches ------------------------------------------------------------------------------------------------

test('a search is saved, opened from the palette, seen by another browser, replaced and deleted', async () => {
  await at('/traces?start=now-6h&status=error', async (page) => {
    await ready(page);
    await page.getByRole('button', { name: 'Saved' }).click();
    await page.getByText('Nobody has saved a search yet').waitFor();
    await page.keyboard.type('Failed checkouts');
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'Failed checkouts' }).waitFor();
    await shot(page, 'search-saved');
    await page.getByRole('button', { name: 'Copy link' }).click();
    await eventually(async () => assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `${clew.api}/traces?start=now-6h&status=error`));
    await page.getByLabel('Name of this search').fill('Failed checkouts');
    await page.keyboard.press('Enter');
    await page.getByText('There is a search of that name').waitFor();
    await page.getByRole('button', { name: 'Replace it' }).click();
    await page.getByText('There is a search of that name').waitFor({ state: 'detached' });
  });
  await at('/logs', async (page) => { // another browser: nothing of the first one's is in it
    await ready(page);
    await palette(page, 'failed check', 'Search: Failed checkouts');
    await page.waitForFunction(() => location.pathname === '/traces');
    assert.equal(await search(page), '/traces?start=now-6h&status=error');
    await ready(page);
    await page.getByRole('button', { name: 'Saved' }).click();
    await page.getByRole('button', { name: 'Delete Failed checkouts' }).click();
    await page.getByText('Nobody has saved a search yet').waitFor();
  });
});

test('hostile names are shown as text or refused', async () => {
  const names = ['<img src=x onerror=alert(1)>', '"quoted" & \'so\'', '‮reversed'];
  for (const name of names) assert.equal((await put(name, { screen: 'logs', query: 'text=%3Cb%3E&//evil=1' }, '')).status, 400);
  for (const name of names) assert.equal((await put(name, { screen: 'logs', query: 'text=%3Cb%3E' })).status, 200);
  assert.equal((await put('../../etc/passwd', { screen: 'logs', query: '' })).status, 400);
  assert.equal((await put('x'.repeat(65536), { screen: 'logs', query: '' }).catch(() => ({ status: 431 }))).status >= 400, true);
  assert.equal((await put('a', { screen: 'logs', query: `text=${'x'.repeat(65536)}` })).status, 413);
  assert.equal((await put('a', { screen: 'javascript:alert(1)', query: '' })).status, 400);
  assert.equal((await put('a\nb', { screen: 'logs', query: '' })).status, 400);
  await at('/logs', async (page) => {
    await ready(page);
    await page.getByRole('button', { name: 'Saved' }).click();
    for (const name of names) await page.getByRole('link', { name, exact: true }).waitFor();
    assert.equal(await page.locator('.saved img').count(), 0);
    await shot(page, 'search-hostile');
    await page.getByRole('link', { name: names[0], exact: true }).click();
    await page.waitForFunction(() => location.search === '?text=%3Cb%3E');
    await palette(page, 'onerror', 'onerror=alert');
  });
  for (const name of names) assert.equal((await fetch(`${clew.api}/api/v1/searches/${encodeURIComponent(name)}`, { method: 'DELETE' })).status, 200);
});

test('a token that only reads sees the searches and is told why it cannot change them', async () => {
  const dir = temporary('e2e');
  const token = (name, role) => execFileSync(binary, ['token', 'new', name, '--role', role, '--tenant', 'shop', '--data', join(dir, 'data')], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  const reads = token('reads', 'read'), operates = token('operates', 'operate');
  const secured = await startClew([], dir);
  try {
    const headers = { Authorization: `Bearer ${operates}`, 'Content-Type': 'application/json' };
    assert.equal((await fetch(`${secured.api}/api/v1/searches/Ours`, { method: 'PUT', headers, body: '{"screen":"logs","query":""}' })).status, 200);
    await at('/logs', async (page) => {
      await page.locator('.login input').first().fill(reads);
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Saved' }).click();
      await page.getByRole('link', { name: 'Ours' }).waitFor();
      await page.getByLabel('Name of this search').fill('mine');
      await page.keyboard.press('Enter');
      await page.getByText('need a token of the role operate').waitFor();
    }, {}, secured.api);
  } finally {
    await secured.stop();
  }
});

// ---- looks ---------------------------------------------------------------------------------------------------------

for (const [theme, width] of [['light', 1440], ['dark', 1440], ['light', 380], ['dark', 380]])
  test(`the open list, ${theme}, ${width} px: axe finds nothing, nothing is cut off`, async () => {
    await at('/traces?where=order.id+exists&where=http.request.method+%3D+GET', async (page) => {
      await ready(page);
      await bar(page).fill('h');
      await option(page, 'http.response.status_code');
      await page.keyboard.press('ArrowDown');
      assert.deepEqual(await axe(page), []);
      await shot(page, `search-names-${theme}-${width}`);
      await bar(page).fill('http.response.status_code = ');
      await option(page, '500');
      assert.deepEqual(await axe(page), []);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${wide} px wide`);
      await shot(page, `search-values-${theme}-${width}`);
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Saved' }).click();
      await page.locator('.saved, .sheet .muted').first().waitFor();
      assert.deepEqual(await axe(page), []);
      await shot(page, `search-saved-${theme}-${width}`);
    }, { theme, width, height: width < 500 ? 800 : 900 });
  });

test('one trace alone is a point that can be seen, and the table says the same to the keyboard', async () => {
  await at('/traces?where=order.id%3Dorder-50', async (page) => {
    await ready(page);
    await page.waitForFunction(() => document.querySelector('.scatter canvas').width > 300);
    const accents = () => page.evaluate(() => {
      const c = document.querySelector('.scatter canvas'), { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
      let n = 0;
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 100 && Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 60) n++;
      return n;
    });
    await eventually(async () => {
      const n = await accents();
      assert.ok(n >= 20, `${n} coloured pixels`);
    });
    await shot(page, 'search-one-point');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.pathname.startsWith('/trace/'));
  });
});
