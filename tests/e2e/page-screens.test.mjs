// The page in Chromium against a real clew: every screen and what it is for. Screenshots go to build/shots.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { address, axe, eventually, hasBrowser, palette, shot, shown, startBrowser, sweep, typeAt, visitor } from './browser.mjs';
import { binary, startClew } from './clew.mjs';
import { shop, spanId, traceId } from './page-data.mjs';

const failing = 110; // a trace with errors
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

const at = visitor(() => ({ browser, clew }));

// ---- each screen, in each dress ------------------------------------------------------------------------------------

const screens = [
  ['home-empty', '/?start=2020-01-01T00%3A00%3A00Z&end=2020-01-02T00%3A00%3A00Z', '.empty'],
  ['traces', '/traces?service=web', '.table tbody tr'],
  ['traces-none', '/traces?where=order.id%3Dnobody', '.empty'],
  ['trace', `/trace/${traceId(failing)}`, '.fall .row'],
  ['trace-span', `/trace/${traceId(failing)}?span=${spanId(failing, 5)}&path=true`, '.detail .events'],
  ['trace-unknown', `/trace/${'f'.repeat(32)}`, '.empty'],
  ['logs', '/logs', '.loglist .row'],
  ['start', '/start', '#snippet'],
  ['login', '/login', '.login'],
];
sweep(at, screens);

// ---- home ----------------------------------------------------------------------------------------------------------

test('home: figures of services, order, environment, and the way to their traces', async () => {
  await at('/', async (page) => {
    const rows = page.locator('.table tbody tr');
    await rows.first().waitFor();
    assert.equal(await rows.count(), 4);
    assert.match(await rows.first().innerText(), /web/);
    await page.getByRole('button', { name: /^Service/ }).click();
    await eventually(async () => assert.match(await rows.first().innerText(), /cart/));
    await page.getByLabel('Environment').selectOption('staging');
    await page.waitForFunction(() => document.querySelectorAll('.table tbody tr').length === 1);
    assert.equal(await address(page), '/?environment=staging');
    await page.goBack();
    await page.waitForFunction(() => document.querySelectorAll('.table tbody tr').length === 4);
    await page.getByRole('link', { name: 'pay', exact: true }).click();
    await page.locator('.charts').waitFor();
    assert.equal(await address(page), '/service?service=pay');
    await page.getByRole('link', { name: 'Traces', exact: true }).nth(1).click();
    await page.locator('.scatter').waitFor();
    assert.equal(await address(page), '/traces?service=pay');
  });
});

test('home: dragging over a chart picks a range of time', async () => {
  await at('/', async (page) => {
    await shown(page, '.u-over');
    const box = await page.locator('.u-over').first().boundingBox();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.9, box.y + 20, { steps: 4 });
    await page.mouse.up();
    await page.waitForFunction(() => /start=20.*end=20/.test(location.search));
  });
});

test('home: with nothing at all it says so and leads to getting started', async () => {
  const empty = await startClew();
  try {
    await at('/', async (page) => {
      await page.getByText('Nothing has come in so far').waitFor();
      await page.getByRole('link', { name: 'Send the first trace' }).click();
      await page.locator('#snippet').waitFor();
    }, {}, empty.api);
  } finally {
    await empty.stop();
  }
});

// ---- traces --------------------------------------------------------------------------------------------------------

test('traces: a deep link restores every field; back and forward walk the search', async () => {
  await at('/traces?service=web&status=error&where=order.id+exists&order=longest&min_duration=1ms', async (page) => {
    await page.locator('.table tbody tr').first().waitFor();
    assert.equal(await page.getByLabel('Service', { exact: true }).inputValue(), 'web');
    assert.equal(await page.getByLabel('Status').inputValue(), 'error');
    assert.equal(await page.getByLabel('At least').inputValue(), '1ms');
    assert.equal(await page.getByRole('button', { name: 'Longest' }).getAttribute('aria-pressed'), 'true');
    assert.equal(await page.locator('.chip').innerText(), 'order.id exists\n≠\n×');
    assert.equal(await page.locator('.table tbody tr').count(), 12);
    await page.getByRole('button', { name: 'Remove order.id exists' }).click();
    await page.getByRole('button', { name: 'Newest' }).click();
    await page.goBack();
    await page.goBack();
    await page.locator('.chip').waitFor();
    await page.goForward();
    await page.locator('.chip').waitFor({ state: 'detached' });
    assert.equal(await address(page), '/traces?service=web&status=error&min_duration=1ms&order=longest');
  });
});

test('traces: a condition is checked, added, and narrows the search', async () => {
  await at('/traces', async (page) => {
    const bar = page.getByRole('combobox', { name: 'Condition' }).or(page.getByRole('textbox', { name: 'Condition' }));
    await bar.fill('order.id == order-7');
    await bar.press('Enter');
    await page.getByText('== is not an operator').waitFor();
    await bar.fill('order.id = order-7');
    await bar.press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('.table tbody tr').length === 1);
    await page.keyboard.press('Escape');
    await page.locator('main').focus();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.locator('.fall .row').first().waitFor();
    assert.match(await address(page), new RegExp(traceId(7)));
  });
});

test('traces: more pages come by cursor, each trace once', async () => {
  await at('/traces', async (page) => {
    const rows = page.locator('.table tbody tr');
    await rows.first().waitFor();
    assert.equal(await rows.count(), 50);
    for (const n of [100, 120]) {
      await page.getByRole('button', { name: 'Load 50 more' }).click();
      await page.waitForFunction((wanted) => document.querySelectorAll('.table tbody tr').length === wanted, n);
    }
    await page.getByText('That is all of them.').waitFor();
    const links = await page.locator('.table a.strong').evaluateAll((v) => v.map((a) => a.href));
    assert.equal(new Set(links).size, 120);
  });
});

test('traces: one is chosen to be compared with another, by the pointer and by keys; what fails in one alone is told', async () => {
  await at('/traces?service=web', async (page) => {
    const rows = page.locator('.table tbody tr');
    await shown(page, '.table tbody tr');
    const id = async (n) => (await rows.nth(n).locator('a.strong').getAttribute('href')).slice(7);
    const [first, second] = [await id(0), await id(1)];
    await rows.nth(0).getByRole('button', { name: 'Compare' }).click();
    await eventually(async () => assert.equal(await address(page), `/traces?service=web&mark=${first}`));
    assert.match(await page.locator('main .note').innerText(), /to be compared with/);
    await rows.nth(1).getByRole('link', { name: 'With this' }).click();
    await shown(page, '.grid');
    assert.equal(await address(page), `/compare?a=${first}&b=${second}`);
    await page.goBack();
    await shown(page, '.table tbody tr');
    await page.getByRole('button', { name: 'Cancel' }).click();
    for (const key of ['j', 'x', 'j', 'x']) await page.keyboard.press(key);
    await shown(page, '.grid');
    assert.equal(await address(page), `/compare?a=${first}&b=${second}`);
  });
  await at(`/compare?a=${traceId(111)}`, async (page) => {
    await shown(page, '.picks a');
    const failed = page.getByRole('region', { name: 'With errors' });
    assert.equal(await failed.locator('li').count(), 4);
    await failed.locator('a').first().click();
    await shown(page, '.grid');
    assert.match(await page.locator('main').innerText(), /B alone fails in POST \/charge of pay\./);
    assert.equal(await page.locator('.sides .smallfall canvas').count(), 2);
    const failing_ = await page.locator('.grid-row', { has: page.locator('.bad', { hasText: '0 → 1' }) }).locator('.cut').allInnerTexts();
    assert.deepEqual(failing_.map((t) => t.replace(/\s+/g, ' ').trim()).sort(), ['GET /checkout web', 'POST /charge pay in POST /charge', 'POST /charge web in GET /checkout']);
  });
});

test('traces: a dot opens its trace, a rectangle narrows time and duration', async () => {
  await at('/traces?order=longest', async (page) => {
    await shown(page, '.table tbody tr');
    const box = await page.locator('.scatter canvas').boundingBox();
    await page.mouse.move(box.x + box.width * 0.4, box.y + 14);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 16, box.y + 80, { steps: 3 });
    await page.mouse.up();
    await page.waitForFunction(() => /min_duration=\d+ns&max_duration=\d+ns/.test(location.search));
    await eventually(async () => {
      const n = await page.locator('.table tbody tr').count();
      assert.ok(n > 0 && n < 50, `${n} traces`);
    });
  });
});

// ---- a trace -------------------------------------------------------------------------------------------------------

test('trace: keys walk errors and rows, collapse and restore; the URL keeps it', async () => {
  await at(`/trace/${traceId(failing)}`, async (page) => {
    const rows = page.locator('.fall .row'), has = (n) => eventually(async () => assert.equal(await rows.count(), n));
    await shown(page, '.fall .row');
    await has(7);
    await page.keyboard.press('n');
    await page.locator('.detail h2', { hasText: 'GET /checkout' }).waitFor();
    await page.keyboard.press('n');
    await page.keyboard.press('n');
    await page.waitForFunction((id) => location.search.includes(id), spanId(failing, 5));
    await eventually(async () => assert.match(await page.locator('.detail').innerText(), /CardError[^]*pay\.js:10/));
    await eventually(async () => assert.match(await page.locator('.detail').innerText(), /payment of order-110 refused/));
    await page.keyboard.press('p');
    await page.waitForFunction((id) => location.search.includes(id), spanId(failing, 4));
    await page.keyboard.press('ArrowLeft');
    await has(6);
    await page.keyboard.press('[');
    await has(1);
    await page.reload();
    await shown(page, '.fall .row');
    assert.ok((await rows.count()) < 7);
    await page.keyboard.press(']');
    await has(7);
    await page.keyboard.press('c');
    await page.locator('.fall.has-path').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.detail').waitFor({ state: 'detached' });
  });
});

test('trace: find, zoom by the mini-map, and out again', async () => {
  await at(`/trace/${traceId(failing)}`, async (page) => {
    await shown(page, '.fall .row');
    await typeAt(page, '/', 'input', 'select');
    await eventually(async () => assert.equal(await page.locator('.fall .row.found').count(), 1));
    await page.keyboard.press('Enter');
    await page.locator('.detail h2', { hasText: 'SELECT items' }).waitFor();
    const box = await page.locator('.mini canvas').boundingBox();
    await page.mouse.move(box.x + box.width * 0.2, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 20, { steps: 4 });
    await page.mouse.up();
    await page.waitForFunction(() => /view=\d+-\d+/.test(location.search));
    await page.locator('.mini canvas').click();
    await page.waitForFunction(() => !location.search.includes('view='));
  });
});

test('trace: pivots to logs and back, to like traces by an attribute, and along a link', async () => {
  await at(`/trace/${traceId(failing)}?span=${spanId(failing, 5)}`, async (page) => {
    await page.locator('.detail').getByRole('link', { name: 'Open', exact: true }).click();
    await page.locator('.loglist .row').first().waitFor();
    assert.equal(await page.locator('.loglist .row').count(), 1);
    await page.locator('.loglist .row').first().click();
    await page.getByRole('link', { name: 'Open its trace' }).click();
    await page.locator('.detail h2', { hasText: 'POST /charge' }).waitFor();
    await page.getByRole('row', { name: /order\.id/ }).hover();
    await page.getByRole('button', { name: 'Filter by order.id' }).click();
    await page.locator('.chip', { hasText: `order.id=order-${failing}` }).waitFor();
    await page.waitForFunction(() => document.querySelectorAll('.table tbody tr').length === 1);
    await page.goto(`/trace/${traceId(failing)}?span=${spanId(failing, 6)}`);
    await page.getByRole('link', { name: new RegExp(traceId(failing - 1)) }).click();
    await page.waitForFunction((id) => location.pathname.endsWith(id), traceId(failing - 1));
    await page.locator('.detail h2', { hasText: 'send' }).waitFor();
  });
});

// ---- logs ----------------------------------------------------------------------------------------------------------

test('logs: words, severity, conditions from a value, pages on scrolling', async () => {
  await at('/logs', async (page) => {
    const rows = page.locator('.loglist .row'), grid = page.locator('[role=grid]');
    await rows.first().waitFor();
    assert.equal(await grid.getAttribute('aria-rowcount'), '200');
    await page.locator('.loglist .rows').evaluate((b) => { b.scrollTop = b.scrollHeight; });
    await page.waitForFunction(() => document.querySelector('[role=grid]').getAttribute('aria-rowcount') === '240');
    await page.getByRole('combobox', { name: 'Severity' }).selectOption('error');
    await page.waitForFunction(() => document.querySelector('[role=grid]')?.getAttribute('aria-rowcount') === '12');
    await page.locator('.chart b', { hasText: '12 records' }).waitFor();
    await page.locator('main').focus();
    await page.keyboard.press('j');
    await page.locator('.detail .body', { hasText: 'card expired' }).waitFor();
    await page.getByRole('row', { name: /user\.id/ }).hover();
    await page.getByRole('button', { name: 'Exclude this user.id' }).click();
    await page.locator('.chip', { hasText: 'user.id!=' }).waitFor();
    await page.getByLabel('Words').fill('"no such words"');
    await page.getByLabel('Words').press('Enter');
    await page.getByText('No record fulfils these conditions').waitFor();
    await page.getByRole('button', { name: 'Remove all conditions' }).click();
    await page.waitForFunction(() => document.querySelector('[role=grid]')?.getAttribute('aria-rowcount') === '200');
    assert.equal(await address(page), '/logs');
  });
});

test('logs: a live tail shows what comes, pauses, and keeps up with 1,000 a second', async (t) => {
  const { paths } = await (await fetch(`${clew.api}/openapi.json`)).json();
  if (!paths['/api/v1/logs/tail']) return t.skip('this clew has no tail');
  const tail = await startClew();
  try {
    await at('/logs?live=true', async (page) => {
      await page.getByText('Waiting for records').waitFor();
      await shop(tail, { count: 50, apart: 100 });
      const shown = () => page.locator('[role=grid]').getAttribute('aria-rowcount').then(Number);
      await page.waitForFunction(() => Number(document.querySelector('[role=grid]').getAttribute('aria-rowcount')) === 100);
      assert.deepEqual(await axe(page), []);
      await shot(page, 'logs-live-light-1440');
      await page.getByRole('button', { name: 'Pause' }).click();
      await shop(tail, { count: 10, apart: 100 });
      await page.getByText('Paused; 20 wait').waitFor();
      assert.equal(await shown(), 100);
      await page.getByRole('button', { name: 'Go on' }).click();
      await page.waitForFunction(() => Number(document.querySelector('[role=grid]').getAttribute('aria-rowcount')) === 120);
      for (let k = 0; k < 10; k++) await shop(tail, { count: 500, apart: 1 });
      await page.getByText('10 120 records so far').waitFor();
      assert.ok((await shown()) <= 7500);
      assert.ok((await page.locator('.loglist .row').count()) < 80);
      await page.locator('.loglist .row').first().click();
      await page.locator('.detail .body').waitFor();
      assert.equal(await page.evaluate(() => document.querySelector('.progress.on')), null);
    }, {}, tail.api);
  } finally {
    await tail.stop();
  }
  return undefined;
});

// ---- getting started, login ----------------------------------------------------------------------------------------

test('getting started: what it says to run works, and the page sees it come', async () => {
  const fresh = await startClew();
  try {
    await at('/start', async (page) => {
      await page.getByText('Waiting for a trace').waitFor();
      const run = spawnSync('sh', ['-c', await page.locator('#snippet').innerText()], { encoding: 'utf8' });
      assert.match(run.stdout, /200 OK/);
      await page.getByText('A trace has come').waitFor();
      await shot(page, 'start-came-light-1440');
      await page.getByRole('link', { name: 'Open it' }).click();
      await page.locator('.fall .row').waitFor();
      assert.match(await page.locator('h1').innerText(), /curl.*hello clew/s);
    }, {}, fresh.api);
  } finally {
    await fresh.stop();
  }
});

test('login: a deep link leads through it and back; a wrong token is told; logging out ends it', async () => {
  mkdirSync(`${clew.dir}/guarded`);
  const made = spawnSync(binary, ['token', 'new', 'ada', '--role', 'admin', '--data', `${clew.dir}/guarded/data`, '--json'], { encoding: 'utf8' });
  const token = JSON.parse(made.stdout).token;
  const guarded = await startClew([], `${clew.dir}/guarded`);
  try {
    await shop(guarded, { count: 20, headers: { Authorization: `Bearer ${token}` } });
    await at('/traces?service=pay&status=error', async (page) => {
      await page.locator('.login').waitFor();
      assert.equal(await address(page), '/login?to=%2Ftraces%3Fservice%3Dpay%26status%3Derror');
      await page.getByLabel('Token').fill('clew_0123456789abcdef_' + '0'.repeat(64));
      await page.getByRole('button', { name: 'Log in' }).click();
      await page.getByText('this token is not known').waitFor();
      assert.deepEqual(await axe(page), []);
      await page.getByLabel('Token').fill(token);
      await page.getByRole('button', { name: 'Log in' }).click();
      await page.locator('.table tbody tr').first().waitFor();
      assert.equal(await address(page), '/traces?service=pay&status=error');
      assert.equal(await page.evaluate(() => document.cookie), '');
      await page.goto('/start');
      await page.getByText('Senders need a token').waitFor();
      const run = spawnSync('sh', ['-c', await page.locator('#snippet').innerText()], { encoding: 'utf8', env: { ...process.env, CLEW_TOKEN: token } });
      assert.match(run.stdout, /200 OK/);
      await page.getByRole('button', { name: 'Log out' }).click();
      await page.locator('.login').waitFor();
      await page.goto('/');
      await page.locator('.login').waitFor();
    }, {}, guarded.api);
  } finally {
    await guarded.stop({ keep: true });
  }
});

// ---- everywhere ----------------------------------------------------------------------------------------------------

test('the palette finds screens, services and traces by id; ? shows the keys', async () => {
  await at('/', async (page) => {
    await page.locator('.table tbody tr').first().waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('option', { name: /Logs of pay/ }).waitFor();
    assert.deepEqual(await axe(page), []);
    await shot(page, 'palette-light-1440');
    await page.keyboard.type('logs of pay');
    await page.locator('[role=option][aria-selected=true]', { hasText: 'Logs of pay' }).waitFor();
    await page.keyboard.press('Enter');
    await page.locator('.loglist .row').first().waitFor();
    assert.equal(await address(page), '/logs?service=pay');
    await palette(page, traceId(3), traceId(3));
    await page.locator('.fall .row').first().waitFor();
    await page.keyboard.press('?');
    await page.getByRole('heading', { name: 'Keys' }).waitFor();
    assert.deepEqual(await axe(page), []);
    await shot(page, 'keys-light-1440');
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('g');
    await page.keyboard.press('t');
    await page.locator('.scatter').waitFor();
  });
});

test('the range of time: presets, what is typed, panning; kept by the URL', async () => {
  await at('/traces', async (page) => {
    await page.getByRole('button', { name: 'Last 1 hour' }).click();
    await page.getByRole('dialog', { name: 'Range of time' }).waitFor();
    assert.deepEqual(await axe(page), []);
    await shot(page, 'time-light-1440');
    await page.getByRole('button', { name: '15 min' }).click();
    await page.waitForFunction(() => location.search === '?start=now-15m');
    await page.getByRole('button', { name: 'Last 15 minutes' }).click();
    await page.getByLabel('From').fill('yesterday');
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByText('From: write now-15m').waitFor();
    await page.getByLabel('From').fill('2026-01-02 03:00');
    await page.getByLabel('To (empty: now)').fill('2026-01-02 04:00');
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByText('No traces in this range of time').waitFor();
    await page.keyboard.press('Shift+ArrowLeft');
    await page.waitForFunction(() => location.search.includes('02%3A30'));
  });
});

test('a link and a button that have the focus take Enter, also beside keys of the screen', async () => {
  await at('/traces', async (page) => {
    await page.locator('.table tbody tr').first().waitFor();
    await page.getByRole('button', { name: 'Longest' }).focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.search === '?order=longest');
    await page.locator('.table a.strong').nth(1).focus();
    await page.keyboard.press('Enter');
    await page.locator('.fall .row').first().waitFor();
  });
});

test('looks follow the system until they are chosen, and the choice is kept', async () => {
  await at('/start', async (page) => {
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.locator('#snippet').waitFor();
    const dark = await background();
    await page.getByRole('button', { name: 'Light theme' }).click();
    await eventually(async () => assert.notEqual(await background(), dark));
    const light = await background();
    await page.reload();
    await page.locator('#snippet').waitFor();
    assert.equal(await background(), light);
  }, { theme: 'dark' });
});

test('an error of the server says what to do', async () => {
  await at('/traces?service=web', async (page) => {
    await page.locator('.table tbody tr').first().waitFor();
    await page.context().setOffline(true);
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByText('clew does not answer').waitFor();
    await page.context().setOffline(false);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.locator('.table tbody tr').first().waitFor();
    page.wrong.length = 0; // the browser tells of the broken connection
    await page.goto('/traces?min_duration=quick');
    await page.getByRole('alert').getByText('min_duration').waitFor();
  });
});
