// The settings in Chromium against a real clew: health, storage, retention, tokens.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { address, axe, eventually, hasBrowser, palette, shot, startBrowser, sweep, visitor } from './browser.mjs';
import { startClew } from './clew.mjs';
import { shop } from './page-data.mjs';

let clew, browser;
before(async () => {
  if (!hasBrowser) throw new Error('no Chromium: ./dev setup');
  clew = await startClew();
  await shop(clew);
  await fetch(`${clew.api}/api/v1/admin/flush`, { method: 'POST' });
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  await clew?.stop();
});
const at = visitor(() => ({ browser, clew }));
const order = async (base, body, token) => {
  const a = await fetch(`${base}/api/v1/admin/tokens`, { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) } });
  assert.equal(a.status, 200);
  return (await a.json()).token;
};

// ---- each section, in each dress -----------------------------------------------------------------------------------

const sections = [
  ['settings', '/settings', '.figure'],
  ['settings-storage', '/settings?section=storage&column=rows%2Fstring%2Forder.id', '.note.block pre'],
  ['settings-storage-none', '/settings?section=storage&signal=logs', '.facts'],
  ['settings-retention', '/settings?section=retention', '.pairs'],
  ['settings-tokens', '/settings?section=tokens', 'form'],
];
sweep(at, sections, {
  most: 2, // health is asked again
  promise: 'axe finds nothing, one question',
  then: async (page, name, dress) => {
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await shot(page, `${name}-end-${dress}`);
  },
});

test('settings: sections are addresses, reached by navigation, keys and the palette', async () => {
  await at('/', async (page) => {
    await page.getByRole('link', { name: 'Settings', exact: true }).click();
    await page.getByText('✓ Ready').waitFor();
    assert.equal(await address(page), '/settings');
    await page.getByRole('link', { name: 'Retention' }).click();
    await page.getByText('What would go').first().waitFor();
    assert.equal(await address(page), '/settings?section=retention');
    await page.goBack();
    await page.getByText('✓ Ready').waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('h');
    await page.locator('.charts').waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press(',');
    await page.getByText('✓ Ready').waitFor();
    await palette(page, 'settings: tok', 'Settings: tokens');
    await page.getByRole('heading', { name: 'There are no tokens' }).waitFor();
    assert.equal(await address(page), '/settings?section=tokens');
  });
});

// ---- what they show ------------------------------------------------------------------------------------------------

test('health: figures of the whole, and rates once there are two answers', async () => {
  await at('/settings', async (page) => {
    const spans = page.getByRole('row', { name: /^spans/ });
    await spans.waitFor();
    assert.match(await spans.innerText(), /840/);
    assert.match(await page.getByLabel('Disk', { exact: true }).innerText(), /that clew may take/);
    await shop(clew, { count: 10 });
    await page.waitForFunction(() => /^(?!–)[\d.]+$/.test(document.querySelector('tbody tr td').textContent) && document.querySelector('tbody tr td:nth-child(3)').textContent === '910', null, { timeout: 20_000 });
    await shot(page, 'settings-rates-light-1440');
  });
});

test('storage: columns by size, a rule that drops one, services that lead to their traces', async () => {
  await fetch(`${clew.api}/api/v1/admin/flush`, { method: 'POST' });
  const said = (await (await fetch(`${clew.api}/api/v1/admin/storage?signal=spans`)).json()).signals[0];
  await at('/settings?section=storage', async (page) => {
    const rows = page.getByRole('region', { name: 'Bytes by field and attribute' }).locator('tbody tr');
    await rows.first().waitFor();
    assert.equal(await rows.count(), said.columns.length);
    const exact = await rows.first().locator('td').nth(1).locator('span').getAttribute('title');
    assert.equal(exact, `${said.columns[0].bytes.toLocaleString('en').replaceAll(',', ' ')} bytes`);
    await page.getByRole('button', { name: 'order.id' }).click();
    await eventually(async () => assert.match(await page.locator('.note.block pre').innerText(), /do: drop\n {4}key: "order.id"\n {4}in: \[span\]/));
    assert.match(await address(page), /column=rows%2Fstring%2Forder.id/);
    await page.getByRole('button', { name: 'Logs' }).click();
    await page.getByRole('button', { name: 'user.id' }).waitFor();
    await page.goBack();
    await page.getByRole('region', { name: 'Bytes by service' }).getByRole('link', { name: 'cart' }).click();
    await page.locator('.scatter').waitFor();
    assert.equal(await address(page), '/traces?start=now-24h&service=cart');
  });
});

test('storage: with rows in memory alone it says so, and writes them when asked', async () => {
  const fresh = await startClew();
  try {
    await at('/settings?section=storage', async (page) => {
      await page.getByText('No spans on disk yet').waitFor();
      await page.getByText('Nothing was sent yet').waitFor();
      await shop(fresh, { count: 5 });
      await page.reload();
      await page.getByText('35 rows still in memory').waitFor();
      assert.deepEqual(await axe(page), []);
      await shot(page, 'settings-memory-light-1440');
      await page.getByRole('button', { name: 'Write them to disk now' }).click();
      await page.getByRole('region', { name: 'Bytes by service' }).waitFor();
    }, {}, fresh.api);
  } finally {
    await fresh.stop();
  }
});

// ---- tokens --------------------------------------------------------------------------------------------------------

test('tokens: the first one closes the door; one is made, used and revoked, and its session ends', async () => {
  const fresh = await startClew();
  try {
    await at('/settings?section=tokens', async (page) => {
      await page.getByText('from then on everybody needs one').waitFor();
      await page.getByRole('button', { name: 'Make the token' }).click();
      await page.getByText('It is shown this once').waitFor();
      const root = await page.locator('.snippet pre').innerText();
      assert.match(root, /^clew_[0-9a-f]{16}_[0-9a-f]{64}$/);
      assert.deepEqual(await axe(page), []);
      await shot(page, 'settings-first-token-light-1440');
      assert.equal((await fetch(`${fresh.api}/api/v1/services`)).status, 401);
      await page.getByRole('button', { name: 'log in with it' }).click();
      await page.getByRole('row', { name: /^admin yours/ }).waitFor();
      await page.getByLabel('Name').fill('reader');
      await page.getByLabel('Ends after').fill('soon');
      await page.getByRole('button', { name: 'Make the token' }).click();
      await page.getByText('expires_in').waitFor();
      await page.getByLabel('Ends after').fill('90d');
      await page.getByRole('button', { name: 'Make the token' }).click();
      const secret = await page.locator('.snippet pre').innerText();
      await page.getByRole('button', { name: 'I have copied it' }).click();
      await page.getByRole('row', { name: /^reader read/ }).waitFor();
      assert.equal((await page.content()).includes(secret), false);
      assert.deepEqual(await axe(page), []);
      await shot(page, 'settings-tokens-two-light-1440');
      await at('/traces', async (theirs) => { // a browser of its own
        await theirs.getByLabel('Token').fill(secret);
        await theirs.getByRole('button', { name: 'Log in' }).click();
        await theirs.getByRole('heading', { name: 'Traces', exact: true }).waitFor();
        await theirs.goto('/settings?section=tokens');
        await theirs.getByText('Your token may not see tokens').waitFor();
        assert.deepEqual(await axe(theirs), []);
        await shot(theirs, 'settings-denied-light-1440');
        await page.getByRole('button', { name: 'Revoke reader' }).click();
        await page.getByRole('button', { name: 'Keep' }).click();
        await page.getByRole('button', { name: 'Revoke reader' }).click();
        await page.getByRole('button', { name: 'Revoke reader' }).click();
        await page.getByRole('row', { name: /^reader/ }).waitFor({ state: 'detached' });
        await theirs.goto('/settings');
        await theirs.locator('.login').waitFor();
      }, {}, fresh.api);
      await page.getByRole('button', { name: 'Revoke admin' }).click();
      await page.getByRole('button', { name: /Revoke admin, and log out/ }).click();
      await page.getByText('is the last admin of tenant *').waitFor();
      await order(fresh.api, { name: 'other', role: 'admin', tenant: '*' }, root);
      await page.reload();
      await page.getByRole('button', { name: 'Revoke admin' }).click();
      await page.getByRole('button', { name: /Revoke admin, and log out/ }).click();
      await page.locator('.login').waitFor(); // one's own ended
    }, {}, fresh.api);
  } finally {
    await fresh.stop();
  }
});

test('a tenant sees its own figures alone, and is told so', async () => {
  const fresh = await startClew();
  try {
    const root = await order(fresh.api, { name: 'root', role: 'admin', tenant: '*' });
    const token = await order(fresh.api, { name: 'of-shop', role: 'admin', tenant: 'shop' }, root);
    await at('/settings', async (page) => {
      await page.getByLabel('Token').fill(token);
      await page.getByRole('button', { name: 'Log in' }).click();
      await page.getByText('These are the figures of tenant shop').waitFor();
      assert.equal(await page.locator('.figure').count(), 0);
      assert.deepEqual(await axe(page), []);
      await shot(page, 'settings-tenant-light-1440');
      await page.getByRole('link', { name: 'Tokens' }).click();
      await page.getByText('These are the tokens of tenant shop').waitFor();
      assert.equal(await page.getByRole('row', { name: /^root/ }).count(), 0);
      assert.equal(await page.getByLabel('Tenant').isDisabled(), true);
    }, {}, fresh.api);
  } finally {
    await fresh.stop();
  }
});
