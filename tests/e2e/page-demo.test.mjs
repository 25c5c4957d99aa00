// `./dev demo`, as somebody runs it: every address that it prints is opened in Chromium, and shows the story it is printed for.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { startBrowser } from './browser.mjs';
import { startDemo } from './demo.mjs';

let demo, browser;
before(async () => {
  demo = await startDemo();
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  await demo?.stop();
});

/** Rows of the waterfall, table or list; the service that each story is about; words that its trace's span and its logs have. */
const stories = {
  'slow query': { service: 'catalog', span: 'SELECT products', trace: /outdoor/, logs: /slow query: SELECT products took \d{4} ms for category outdoor: sequential scan/ },
  'error burst': { service: 'payment', span: 'POST /v1/charges', trace: /acquirer\.example answered 503/, logs: /POST \/charge failed .*503 Service Unavailable/ },
  'new version': { service: 'recommendation', span: 'recommendation.List', trace: /2\.4\.0/, logs: /24 features read one by one/ },
};

async function at(url, fn) {
  const page = await browser.open(demo.api, { width: 1440, height: 1000 });
  page.setDefaultTimeout(15_000);
  try {
    await page.goto(url);
    await fn(page);
    assert.deepEqual(page.wrong, []);
  } finally {
    await page.context().close();
  }
}

test('it tells three stories, each with four addresses in fixed ranges of time', () => {
  assert.deepEqual(demo.stories.map((s) => s.name), Object.keys(stories));
  for (const s of demo.stories) {
    assert.deepEqual(Object.keys(s.links), ['services', 'trace', 'traces', 'logs']);
    for (const [name, url] of Object.entries(s.links)) {
      assert.ok(url.startsWith(demo.api), url);
      if (name !== 'trace') assert.match(url, /[?&]start=\d{4}-[^&]*Z&end=\d{4}-[^&]*Z/);
    }
  }
});

for (const [name, of] of Object.entries(stories)) {
  const links = () => demo.stories.find((s) => s.name === name).links;

  test(`${name}: the services of its time, with its own among them`, () => at(links().services, async (page) => {
    await page.locator('.table tbody tr', { hasText: of.service }).waitFor();
    assert.equal(await page.locator('.table tbody tr').count(), 8);
  }));

  test(`${name}: its trace, opened at the span that shows it`, () => at(links().trace, async (page) => {
    await page.locator('.fall .row').first().waitFor();
    await page.locator('.detail h2', { hasText: of.span }).waitFor();
    assert.match(await page.locator('.detail').innerText(), new RegExp(of.service));
    await page.locator('.detail', { hasText: of.trace }).waitFor();
  }));

  test(`${name}: its traces, all of its service and none without it`, () => at(links().traces, async (page) => {
    await page.locator('.table tbody tr').first().waitFor();
    const rows = await page.locator('.table tbody tr').allInnerTexts();
    assert.ok(rows.length >= 10, `${rows.length} traces`);
    for (const row of rows) assert.ok(row.includes(of.service), row);
  }));

  test(`${name}: its logs say why, and lead to their trace`, () => at(links().logs, async (page) => {
    await page.locator('.loglist .row').first().waitFor();
    const rows = await page.locator('.loglist .row').allInnerTexts();
    assert.ok(rows.length >= 10, `${rows.length} records`);
    for (const row of rows) assert.match(row, of.logs);
    await page.locator('.loglist .row').first().click();
    await page.getByRole('link', { name: 'Open its trace' }).click();
    await page.locator('.fall .row').first().waitFor();
  }));
}

test('traffic goes on: the newest trace is of now', () => at('/traces?start=now-1m', async (page) => {
  await page.locator('.table tbody tr').first().waitFor();
}));
