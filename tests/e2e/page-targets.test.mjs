// The screen of targets in Chromium against a real clew that scrapes: what is up, down, awaited and dropped, labels, and a file that is wrong.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { address, axe, eventually, hasBrowser, palette, shot, startBrowser, sweep, visitor } from './browser.mjs';
import { getJson, startClew, until } from './clew.mjs';
import { freePort, startTarget } from './prometheus.mjs';
import { temporary } from './processes.mjs';

let clew, idle, other, browser, dir, file, good, wrongText, deadPort;
const put = (text) => { writeFileSync(`${file}.new`, text); renameSync(`${file}.new`, file); };

before(async () => {
  if (!hasBrowser) throw new Error('no Chromium: ./dev setup');
  dir = temporary('page-targets');
  file = join(dir, 'prometheus.yml');
  idle = await startClew(); // it scrapes nothing, and is scraped
  other = await startTarget(() => ({ type: 'text/plain; version=0.0.4', body: 'a 1\nb{x="1"} 2\nc 3\n' }));
  wrongText = await startTarget(() => ({ type: 'text/plain; version=0.0.4', body: 'a{x="1"} 1\n<img src=x onerror=alert(1)>\n' }));
  deadPort = await freePort();
  good = `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: clew
    static_configs: [{ targets: ['${idle.api.replace('http://', '')}'], labels: { env: prod } }]
  - job_name: shop
    static_configs:
      - { targets: ['${other.address}'], labels: { team: web, zone: z1 } }
      - { targets: ['127.0.0.1:${deadPort}'], labels: { team: web } }
      - { targets: ['old.example:9100', 'older.example:9100'], labels: { team: attic } }
    relabel_configs:
      - { source_labels: [team], regex: attic, action: drop }
      - { source_labels: [zone], regex: z(.), target_label: zone, replacement: zone-$1 }
      - { target_label: made, replacement: 'yes' }
  - job_name: text
    static_configs: [{ targets: ['${wrongText.address}'], labels: { instance: '<b>wrong</b>' } }]
  - job_name: seldom
    scrape_interval: 20h
    static_configs: [{ targets: ['${other.address}'] }]
`;
  put(`${good}  - job_name: broken\n    colour: red\n    static_configs: [{ targets: ['x:1'] }]\n`);
  clew = await startClew(['--scrape-config', file]);
  await until(() => getJson(`${clew.api}/prometheus/api/v1/query?query=up`), (a) => a.data.result.length === 4);
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  await clew?.stop();
  await idle?.stop();
  if (dir) rmSync(dir, { recursive: true, force: true });
});
const at = visitor(() => ({ browser, clew }));
const rows = (page, pool) => page.getByRole('region', { name: `Targets of ${pool}` }).locator('.targettable > tbody > tr');

// three questions at once, again each five seconds
sweep(at, [['targets', '/targets', '.targettable .wrong'], ['targets-down', '/targets?state=down&pool=shop&find=127', '.targettable .wrong']], { most: 12, promise: 'axe finds nothing, three questions at a time' });

test('targets: what is down comes first, with its error in full; nothing of it is markup', async () => {
  await at('/explore', async (page) => {
    await page.getByRole('link', { name: 'Targets', exact: true }).click();
    await page.locator('.targettable').first().waitFor();
    assert.equal(await address(page), '/targets');
    assert.equal(await page.locator('.nav [aria-current]').innerText(), 'Metrics');
    const summaries = page.locator('.pool > summary');
    const seen = (await summaries.allInnerTexts()).map((t) => t.replace(/\s+/g, ' ').trim());
    assert.deepEqual(seen, ['shop ▼ 1 down ▲ 1 up 2 dropped', 'text ▼ 1 down', 'seldom ○ 1 unknown', 'clew ▲ 1 up']);
    assert.deepEqual(await page.getByRole('group', { name: 'State' }).getByRole('button').allInnerTexts().then((all) => all.map((t) => t.replace(/\s+/g, ' '))), ['All 5', '▼ Down 2', '○ Unknown 1', '▲ Up 2']);
    const [down, up] = await rows(page, 'shop').allInnerTexts();
    assert.match(down, new RegExp(`^▼\\s*down\\s+http://127.0.0.1:${deadPort}/metrics\\s+instance="127.0.0.1:${deadPort}", job="shop", made="yes", team="web"\\s+.*(refused|connect)`, 'i'));
    assert.match(up, /^▲\s*up\s[^]*zone="zone-1"[^]*(now|\d s ago)\s*every 1s\s+[\d.]+ (ms|µs)\s+3\s+Labels ▸$/);
    assert.match(await rows(page, 'text').innerText(), /instance="<b>wrong<\/b>", job="text"[^]*line 2/);
    assert.match(await rows(page, 'seldom').innerText(), /not asked yet[^]*never\s*every 20h/);
    assert.equal(await page.locator('main img').count(), 0);
    const samples = Number((await page.getByRole('region', { name: 'Targets of clew' }).getByRole('link').innerText()).replace(/\D/g, ''));
    assert.ok(samples > 50, `${samples}`);
    await page.getByRole('link', { name: /^3 samples/ }).click(); // and there its metrics
    await page.getByRole('heading', { name: 'Metrics' }).waitFor();
    assert.match(decodeURIComponent(await address(page)), /match=\{instance="127[^}]*zone="zone-1"\}/);
  });
});

test('targets: filters are in the address, and are restored from it', async () => {
  await at('/targets', async (page) => {
    await page.locator('.targettable').first().waitFor();
    await page.getByRole('button', { name: 'Down' }).click();
    await eventually(async () => assert.equal(await page.locator('.targettable > tbody > tr').count(), 2));
    await page.getByLabel('Job').selectOption('shop');
    await eventually(async () => assert.equal(await page.locator('.pool').count(), 1));
    assert.equal(await address(page), '/targets?state=down&pool=shop');
    await page.keyboard.press('Escape');
    await page.locator('h1').click();
    await page.keyboard.press('/');
    await page.keyboard.type('zone-1');
    await page.getByText('None is like that.').waitFor();
    assert.equal(await address(page), '/targets?state=down&pool=shop&find=zone-1');
    await page.reload();
    await page.getByText('None is like that.').waitFor();
    await page.getByRole('button', { name: 'Show all' }).click();
    await eventually(async () => assert.equal(await page.locator('.targettable > tbody > tr').count(), 5));
    assert.equal(await address(page), '/targets');
  });
});

test('targets: labels before and after relabelling, and what was dropped, by keys alone', async () => {
  for (const [theme, width] of [['light', 1440], ['dark', 380]])
    await at('/targets?pool=shop', async (page) => {
      await page.locator('.targettable').waitFor();
      await page.keyboard.press('j');
      await page.keyboard.press('j');
      await page.keyboard.press('Enter');
      const labels = page.getByRole('region', { name: /^Labels of / });
      await labels.waitFor();
      const table = (await labels.locator('tbody tr').allInnerTexts()).map((t) => t.split(/\s+/).join(' '));
      const wide = width > 700; // else what relabelling did is left to the two values
      for (const [row, did] of [['zone z1 zone-1', 'changed'], ['made – yes', 'made'], [`__address__ ${other.address} –`, 'not kept']]) assert.ok(table.includes(wide ? `${row} ${did}` : row), table.join('\n'));
      await page.locator('.droppedlist > summary').focus();
      await page.keyboard.press('Space'); // it opens the list, and does not pause
      await eventually(async () => assert.match((await page.locator('.droppedlist li').allInnerTexts()).join('\n'), /^old.example:9100 __address__="old.example:9100".*team="attic"\nolder.example/));
      assert.equal(await address(page), '/targets?pool=shop');
      assert.deepEqual(await axe(page), []);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= width);
      await shot(page, `targets-labels-${theme}-${width}`);
    }, { theme, width, height: 900 });
});

test('targets: asked again without losing the place; paused, nothing is asked', async () => {
  const list = () => page_.asked.filter((u) => u.endsWith('/api/v1/targets')).length;
  let page_;
  await at('/targets?pool=shop', async (page) => {
    page_ = page;
    await page.locator('.targettable').waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('region', { name: /^Labels of / }).waitFor();
    const focus = () => page.evaluate(() => document.activeElement.getAttribute('aria-label'));
    const label = await focus(), asked = list();
    await eventually(async () => assert.ok(list() >= asked + 2)); // twice again by itself
    await page.getByRole('region', { name: /^Labels of / }).waitFor({ timeout: 100 });
    assert.equal(await focus(), label);
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('Space');
    await page.getByRole('button', { name: 'Go on' }).waitFor();
    assert.equal(await address(page), '/targets?pool=shop&paused=true');
    const before = list();
    await new Promise((r) => setTimeout(r, 6500)); // more than one turn
    assert.equal(list(), before);
    await page.keyboard.press('r'); // but by hand
    await eventually(async () => assert.equal(list(), before + 1));
    await page.keyboard.press('Space');
    await eventually(async () => assert.ok(list() >= before + 2));
  });
});

test('targets: what is wrong with the file stands on top, with its line', async () => {
  await at('/targets', async (page) => {
    const note = page.getByRole('alert');
    await note.waitFor();
    assert.match(await note.innerText(), /^Configuration is taken without what is wrong in it\s.*prometheus\.yml, line 20: field colour not found/);
    put(`${good}nonsense: [\n`);
    await page.getByText('Configuration reload has failed').waitFor(); // by itself
    assert.match(await note.innerText(), /prometheus\.yml, line \d+: /);
    assert.equal(await page.locator('.targettable > tbody > tr').count(), 5); // those from before
    assert.deepEqual(await axe(page), []);
    await shot(page, 'targets-failed-light-1440');
    put(good);
    await eventually(async () => assert.equal(await note.count(), 0));
  });
});

test('targets: a clew that does not answer is said, and what was known stays', async () => {
  await at('/targets', async (page) => {
    await page.locator('.targettable').first().waitFor();
    await page.route('**/api/v1/targets', (route) => route.fulfill({ status: 503, contentType: 'application/json', body: '{"status":"error","errorType":"unavailable","error":"not now"}' }));
    await page.keyboard.press('r');
    await page.locator('.note.error', { hasText: 'not now' }).waitFor();
    assert.equal(await page.locator('.targettable > tbody > tr').count(), 5);
    await page.unroute('**/api/v1/targets');
    await page.getByRole('button', { name: 'Try again' }).click();
    await eventually(async () => assert.equal(await page.locator('.note.error').count(), 0));
    page.wrong = page.wrong.filter((w) => !/status of 503/.test(w)); // the browser names it
  });
});

for (const [theme, width] of [['light', 1440], ['dark', 380]])
  test(`targets: where nothing is scraped it says what to do, ${theme}, ${width} px`, async () => {
    await at('/', async (page) => {
      await page.locator('h1').first().waitFor();
      await palette(page, 'targets what', 'Targets: what is scraped');
      await page.getByRole('heading', { name: 'Nothing is scraped' }).waitFor();
      assert.match(await page.getByRole('region', { name: 'prometheus.yml' }).innerText(), /scrape_configs:/);
      assert.match(await page.getByRole('region', { name: 'Commands' }).innerText(), /^clew scrape check prometheus.yml\nclew serve --scrape-config prometheus.yml$/);
      assert.deepEqual(await axe(page), []);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= width);
      await shot(page, `targets-none-${theme}-${width}`);
      await page.keyboard.press('g');
      await page.keyboard.press('h');
      await eventually(async () => assert.equal(await address(page), '/'));
      await page.keyboard.press('g');
      await page.keyboard.press('a');
      await eventually(async () => assert.equal(await address(page), '/targets'));
    }, { theme, width, height: 900 }, idle.api);
  });
