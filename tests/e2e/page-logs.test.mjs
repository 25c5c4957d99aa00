// The page in Chromium against a real clew: columns, the open record, its context, comparing, grouping, and charts without eyes.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { address, axe, eventually, hasBrowser, idle, shot, shown, startBrowser, sweep, visitor } from './browser.mjs';
import { getJson, startClew } from './clew.mjs';
import { shop, traceId } from './page-data.mjs';

let clew, browser, refused; // refused: a record that a customer's search leads to
before(async () => {
  if (!hasBrowser) throw new Error('no Chromium: ./dev setup');
  clew = await startClew();
  await shop(clew);
  browser = await startBrowser();
  const { logs } = await getJson(`${clew.api}/api/v1/logs/query?severity=error&order=oldest&limit=1`);
  refused = logs[0];
});
after(async () => {
  await browser?.stop();
  await clew?.stop();
});

const at = visitor(() => ({ browser, clew }));
const hasHeads = (page, wanted) => eventually(async () => assert.deepEqual(await page.locator('.heads > span').allInnerTexts(), wanted));

// ---- each view, in each dress --------------------------------------------------------------------------------------

const views = [
  ['logs-columns', '/logs?column=severity&column=user.id&column=resource.service.version&column=body', '.loglist .row'],
  ['logs-record', () => `/logs?record=${refused.id}`, '.detail .body'],
  ['logs-context', () => `/logs?around=${refused.id}&record=${refused.id}`, '.loglist .row.marked'],
  ['logs-group', '/logs?by=user.id&compare=true', '.breakdown tbody tr'],
  ['traces-group', '/traces?by=order.id&compare=true&start=now-5m', '.breakdown tbody tr'],
];
sweep(at, views);
sweep(at, [['home-compare', '/?start=now-5m&compare=true', '.table .change']], { most: 6, promise: 'axe finds nothing, six questions at most' });

// ---- columns -------------------------------------------------------------------------------------------------------

test('columns: from a picker and from a value, moved and removed by keys, kept by the URL', async () => {
  await at('/logs', async (page) => {
    await shown(page, '.loglist .row');
    await page.keyboard.press('c');
    await page.getByRole('dialog', { name: 'Columns' }).waitFor();
    await page.getByLabel('Add a column').fill('not a = key');
    await page.keyboard.press('Enter');
    await page.getByText('Write the name of a field or an attribute').waitFor();
    await page.getByLabel('Add a column').fill('resource.service.version');
    await page.keyboard.press('Enter');
    await hasHeads(page, ['Time', 'Severity', 'Service', 'resource.service.version', 'Body']);
    assert.deepEqual(await axe(page), []);
    await shot(page, 'logs-columns-sheet-light-1440');
    await page.getByRole('button', { name: /^Column resource.service.version/ }).focus();
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('ArrowUp');
    await page.waitForFunction(() => document.activeElement?.dataset.column === 'resource.service.version');
    await page.getByRole('button', { name: /^Column service/ }).focus();
    await page.keyboard.press('Delete');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Columns' }).waitFor({ state: 'detached' });
    await page.locator('.loglist .row').first().click();
    await page.getByRole('row', { name: /user\.id/ }).hover();
    await page.getByRole('button', { name: 'Column user.id' }).click();
    await hasHeads(page, ['Time', 'resource.service.version', 'Severity', 'user.id', 'Body']);
    await page.reload();
    await page.locator('.loglist .row').first().waitFor();
    await hasHeads(page, ['Time', 'resource.service.version', 'Severity', 'user.id', 'Body']);
    assert.match(await page.locator('.loglist .row').first().innerText(), /1\.4\.2\n(info|error)\nuser-\d/);
  });
});

test('columns: the live tail has them too', async () => {
  await at('/logs?live=true&column=user.id&column=body', async (page) => {
    await page.locator('.loglist .row').first().waitFor();
    await hasHeads(page, ['Time', 'user.id', 'Body']);
    assert.match(await page.locator('.loglist .row').first().innerText(), /user-\d/);
    await page.locator('.loglist .row').first().click();
    await page.waitForFunction(() => location.search.includes('record='));
    await page.locator('.detail .body').waitFor();
  });
});

// ---- the open record, and what is around it ------------------------------------------------------------------------

test('a link to a record opens it, also when newer ones came and it is in no list; one that is gone is told', async () => {
  await shop(clew, { count: 3, apart: 10 });
  await at(`/logs?service=web&record=${refused.id}`, async (page) => { // of pay: not in this list
    await page.locator('.detail .body', { hasText: refused.body }).waitFor();
    await page.locator('.loglist .row').first().click();
    await page.locator('.detail .body', { hasText: 'checkout of' }).waitFor();
    assert.ok(!(await address(page)).includes(refused.id));
    await page.keyboard.press('Escape');
    await page.locator('.detail').waitFor({ state: 'detached' });
    assert.equal(await address(page), '/logs?service=web');
    await page.goto(`/logs?record=${refused.id.replace(/.$/, (c) => (c === '0' ? '1' : '0'))}`);
    await page.getByText('This record is not there').waitFor();
  });
});

test('a record keeps its id over a restart', async () => {
  const one = await startClew();
  await shop(one, { count: 2 });
  const { logs } = await getJson(`${one.api}/api/v1/logs/query`);
  await one.stop({ keep: true });
  const again = await startClew([], one.dir);
  try {
    const found = await getJson(`${again.api}/api/v1/logs/query?id=${logs[1].id}`);
    assert.deepEqual(found.logs, [{ ...logs[1], resource: 0, scope: 0 }]);
  } finally {
    await again.stop();
  }
});

test('context: before and after of the same service, whatever the search; and back to it', async () => {
  await at(`/logs?severity=error&record=${refused.id}`, async (page) => {
    await page.getByRole('button', { name: 'In context' }).click();
    await page.locator('.loglist .row.marked', { hasText: refused.body }).waitFor();
    await eventually(async () => {
      const bodies = await page.locator('.loglist .row').allInnerTexts();
      const mark = bodies.findIndex((b) => b.includes(refused.body));
      assert.ok(mark > 0 && mark < bodies.length - 1);
      assert.match(bodies[mark - 1], /payment of order-9 taken/);
      assert.match(bodies[mark + 1], /payment of order-11 taken/);
      assert.ok(bodies.every((b) => !b.includes('checkout')));
    });
    await page.getByRole('button', { name: 'Everything' }).click();
    await page.locator('.loglist .row', { hasText: 'checkout of order-10 begins' }).waitFor();
    await page.getByRole('button', { name: 'Later ones' }).click();
    await page.waitForFunction(() => Number(document.querySelector('[role=grid]').getAttribute('aria-rowcount')) > 100);
    await page.reload();
    await page.locator('.loglist .row.marked').waitFor();
    await page.getByRole('button', { name: 'Back to the search' }).click();
    await page.locator('.loglist .row.at', { hasText: refused.body }).waitFor();
    assert.equal(await address(page), `/logs?severity=error&record=${refused.id}`);
    await page.getByRole('link', { name: 'Open its trace' }).click();
    await page.waitForFunction((id) => location.pathname.endsWith(id), traceId(10));
  });
});

// ---- groups --------------------------------------------------------------------------------------------------------

test('logs by a value: counts, the rest, and each row a filter', async () => {
  await at('/logs', async (page) => {
    await page.locator('.loglist .row').first().click();
    await page.getByRole('row', { name: /user\.id/ }).hover();
    await page.getByRole('button', { name: 'Group by user.id' }).click();
    const rows = page.locator('.breakdown tbody tr');
    await rows.nth(6).waitFor();
    assert.equal(await rows.count(), 7);
    const { groups } = await getJson(`${clew.api}/api/v1/logs/query?mode=count&by=user.id`);
    assert.match(await rows.first().innerText(), new RegExp(`${groups[0].value}[^]*${groups[0].count}`));
    await page.getByLabel('Group by', { exact: true }).fill('severity');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.search.includes('by=severity') && document.querySelectorAll('.breakdown tbody tr').length === 2);
    await page.getByLabel('Group by', { exact: true }).fill('user.id');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('.breakdown tbody tr').length === 7);
    await page.locator('.breakdown').getByRole('button', { name: groups[0].value, exact: true }).click();
    await page.locator('.chip', { hasText: `user.id=${groups[0].value}` }).waitFor();
    await page.locator('.chart b', { hasText: `${groups[0].count} records` }).waitFor();
    await page.locator('.breakdown').waitFor({ state: 'detached' });
    await page.goBack();
    await rows.nth(6).waitFor();
  });
});

test('traces by a value: what has none is told apart, and is a filter', async () => {
  await at('/traces?by=db.system', async (page) => {
    const without = page.locator('.breakdown tbody tr', { hasText: 'without db.system' });
    await without.waitFor();
    assert.match(await page.locator('.breakdown tbody tr').first().innerText(), /postgresql/);
    await without.getByRole('button', { name: 'without db.system', exact: true }).click();
    await page.locator('.chip', { hasText: 'db.system absent' }).waitFor();
    await page.goto('/traces?by=event.name');
    await page.getByText('a span has many events').waitFor();
  });
});

// ---- compare -------------------------------------------------------------------------------------------------------

test('comparing is a key, is kept by the URL and by links, and says what was before', async () => {
  await at('/?start=now-5m', async (page) => {
    await shown(page, '.table tbody tr');
    assert.equal(await page.locator('.change').count(), 0);
    await page.keyboard.press('b');
    await page.locator('.table .change').first().waitFor();
    assert.equal(await address(page), '/?start=now-5m&compare=true');
    const from = Math.floor(Date.now() / 1000) - 300;
    const { before } = await getJson(`${clew.api}/api/v1/traces/stats?start=${from}&end=${from + 300}&compare=before&top=0`);
    assert.ok(before.span_count > 100);
    assert.match(await page.locator('.tiles .change').first().getAttribute('title'), /in the period before/);
    await page.getByRole('link', { name: 'pay', exact: true }).click();
    await page.locator('.charts .change').first().waitFor();
    assert.equal(await address(page), '/service?start=now-5m&service=pay&compare=true');
    await page.getByRole('link', { name: 'Traces', exact: true }).nth(1).click();
    await page.locator('.charts .change').first().waitFor();
    assert.equal(await address(page), '/traces?start=now-5m&service=pay&compare=true');
    await page.goto('/logs?start=now-5m&compare=true');
    await shown(page, '.chart .change');
    await page.keyboard.press('b');
    await page.locator('.chart .change').waitFor({ state: 'detached' });
  });
});

// ---- charts --------------------------------------------------------------------------------------------------------

test('a chart is read by arrow keys and as a table of 25 rows a page', async () => {
  await at('/logs?start=now-1h', async (page) => {
    const plot = page.getByRole('group', { name: /records by time and severity/ });
    await plot.waitFor();
    await idle(page);
    await plot.focus();
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowLeft');
    const spoken = page.locator('.sr[role=status]', { hasText: 'info' });
    await eventually(async () => assert.match(await spoken.innerText(), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d: debug and less \d+, info \d+, warn 0, error and fatal \d+$/));
    await page.locator('.readout').waitFor();
    await shot(page, 'chart-cursor-light-1440');
    await page.keyboard.press('Shift+ArrowLeft');
    await page.waitForFunction(() => /start=20.*end=20/.test(location.search));
    await page.goBack();
    await page.waitForFunction(() => location.search === '?start=now-1h');
    await idle(page);
    await page.getByRole('button', { name: /^Table: / }).click();
    await eventually(async () => assert.equal(await page.locator('.charttable tbody tr').count(), 25));
    assert.deepEqual(await axe(page), []);
    await page.locator('.charttable').getByRole('button', { name: 'Later' }).click();
    await page.getByText('26–50 of').waitFor();
    await shot(page, 'chart-table-light-1440');
  });
});

test('out of a zoom by a key, a button and a double click', async () => {
  const drag = async (page) => {
    const box = await page.locator('.u-over').first().boundingBox();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.99, box.y + 20, { steps: 4 });
    await page.mouse.up();
    await page.waitForFunction(() => /start=20.*end=20/.test(location.search));
    await idle(page);
  };
  await at('/?start=now-30m', async (page) => {
    await shown(page, '.u-over');
    for (const out of [() => page.keyboard.press('z'), () => page.getByRole('button', { name: 'Reset zoom' }).click(), () => page.locator('.u-over').first().dblclick()]) {
      await drag(page);
      await out();
      await page.waitForFunction(() => location.search === '?start=now-30m');
      await idle(page);
    }
  });
});

test('a store a minute old draws its one point, and its errors', async () => {
  const young = await startClew();
  try {
    await shop(young, { count: 10, apart: 1 });
    await at('/', async (page) => {
      await shown(page, '.table tbody tr');
      const drawn = () => page.evaluate(() => [...document.querySelectorAll('.plot canvas')].map((c) => {
        const { data, width } = c.getContext('2d').getImageData(0, 0, c.width, c.height), found = [0, 0]; // teal of the accent, red
        for (let i = 0; i < data.length; i += 4) {
          if ((i / 4) % width < 60 || data[i + 3] < 200) continue;
          if (data[i] < 60 && data[i + 1] > 90 && data[i + 2] > 110) found[0]++;
          if (data[i] > 150 && data[i + 1] < 90) found[1]++;
        }
        return found;
      }));
      await eventually(async () => {
        const seen = await drawn();
        assert.ok(seen[0]?.[0] > 0 && seen[1]?.[1] > 10 && seen[2]?.[0] > 10, JSON.stringify(seen));
      });
      await shot(page, 'home-young-light-1440');
    }, {}, young.api);
  } finally {
    await young.stop();
  }
});

// ---- progress and emptiness ----------------------------------------------------------------------------------------

test('a long question shows its time and can be stopped, and asked again', async () => {
  await at('/start', async (page) => {
    await page.locator('#snippet').waitFor();
    let held = true;
    await page.route('**/api/v1/logs/query**', async (route) => {
      while (held) await new Promise((r) => setTimeout(r, 50));
      await route.continue().catch(() => undefined); // its page gave it up
    });
    await page.goto('/logs');
    await page.getByText(/Searching logs … \d/).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('You stopped this question').waitFor();
    held = false;
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.locator('.loglist .row').first().waitFor();
  });
});

test('an empty screen says which it is: nothing ever, refused, not in this range, or excluded by the conditions', async () => {
  const empty = await startClew();
  try {
    await at('/logs', async (page) => { await page.getByText('Nothing has come in so far').waitFor(); }, {}, empty.api);
    const old = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ timeUnixNano: '1000000000000000000', body: { stringValue: 'old' } }] }] }] };
    await fetch(`${empty.api}/otlp/v1/logs`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(old) });
    await at('/logs', async (page) => { await page.getByText('Refused since clew started: 1 older than what is kept').waitFor(); }, {}, empty.api);
  } finally {
    await empty.stop();
  }
  const long = '?start=2020-01-01T00%3A00%3A00Z&end=2020-01-02T00%3A00%3A00Z';
  await at(`/logs${long}`, async (page) => { await page.getByText('No logs in this range of time').waitFor(); });
  await at(`/logs${long}&service=web`, async (page) => { await page.getByText('with these conditions or without').waitFor(); });
  await at('/logs?service=nobody', async (page) => { await page.getByText('No record fulfils these conditions').waitFor(); });
});
