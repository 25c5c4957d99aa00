// The screen of rules in Chromium against a real clew: what fires, groups of files and rows, the editor, its test against the past.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { address, axe, eventually, hasBrowser, palette, shot, startBrowser, sweep, visitor } from './browser.mjs';
import { startClew, until } from './clew.mjs';
import { load } from './promql.mjs';
import { temporary } from './processes.mjs';

let clew, browser;
const file = `groups:
  - name: host
    interval: 1s
    rules:
      - record: job:load:sum
        expr: sum by (job) (load)
      - alert: HostLoaded
        expr: load > 5
        labels: {severity: page}
        annotations: {summary: "{{ $labels.host }} has a load of {{ $value }}"}
      - alert: SoonLoaded
        expr: load > 1
        for: 1h
  - name: broken
    interval: 1s
    rules:
      - alert: Broken
        expr: load + on() group_left() {__name__=~"load|other"}
`;
const kept = { name: 'web <b>shop</b>', interval: '1s', rules: [{ alert: 'Slow', expr: 'latency > 10', for: '5m', labels: { severity: 'page' }, annotations: { summary: '<img src=x onerror=alert(1)>' } }] };
const call = (method, path, body) => fetch(`${clew.api}${path}`, { method, headers: body && { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) });

before(async () => {
  if (!hasBrowser) throw new Error('no Chromium: ./dev setup');
  const dir = temporary('page-rules');
  writeFileSync(join(dir, 'host.yml'), file);
  clew = await startClew(['--rules', join(dir, '*.yml')]);
  const now = Math.floor(Date.now() / 60000) * 60000;
  await load(clew, ['a', 'b', 'c'].map((host, i) => `load{host="${host}",job="node"} ${3 * i + 2}\n`).join('') + 'other{host="x",job="y"} 1\n');
  await load(clew, [...Array(600).keys()].map((i) => `latency{host="a"} ${i % 200 < 30 ? 20 : 1} ${now - (600 - i) * 60000}\n`).join('')); // three times in ten hours
  assert.equal((await call('PUT', '/api/v1/rules/web', kept)).status, 200);
  await until(async () => (await (await call('GET', '/prometheus/api/v1/rules')).json()).data.groups, (g) => g.length === 3 && g.every((x) => x.rules.every((r) => r.health !== 'unknown')));
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  await clew?.stop();
});
const at = visitor(() => ({ browser, clew }));

sweep(at, [['rules', '/rules', '.rulegroup .table'], ['rules-new', '/rules?edit=new', '.ruletext textarea'], ['rules-edit', '/rules?id=web&start=now-12h', '.ruletext textarea']]);

test('rules: what fires, what is broken and what is fine, and nothing of it is markup', async () => {
  await at('/', async (page) => {
    await page.getByRole('link', { name: 'Rules', exact: true }).click();
    await page.locator('.rulegroup .table').first().waitFor();
    assert.equal(await address(page), '/rules');
    const alerts = page.getByRole('region', { name: 'Alerts' }).locator('tbody tr');
    await eventually(async () => assert.deepEqual((await alerts.allInnerTexts()).map((t) => t.split(/\s/)[0]), ['firing', 'pending', 'pending', 'pending']));
    assert.match(await alerts.first().innerText(), /HostLoaded\s*host="c", job="node", severity="page"\s*c has a load of 8/);
    const groups = page.locator('.rulegroup > summary > .strong');
    assert.deepEqual(await groups.allInnerTexts(), ['broken', 'host', 'web <b>shop</b>']);
    assert.match(await page.locator('.rulegroup').first().innerText(), /many-to-many matching not allowed/);
    await page.getByRole('button', { name: 'Broken' }).click();
    await eventually(async () => assert.equal(await groups.count(), 1));
    assert.equal(await address(page), '/rules?show=bad');
    await page.getByRole('button', { name: 'All', exact: true }).click();
    await page.keyboard.press('/');
    await page.keyboard.type('hostl');
    await eventually(async () => assert.deepEqual(await groups.allInnerTexts(), ['host']));
  });
});

test('rules: a group is written, its mistakes stand at their lines, it is tested, saved and deleted, by keys alone', async () => {
  await at('/rules', async (page) => {
    await page.locator('.rulegroup').first().waitFor();
    await page.keyboard.press('n');
    const text = page.getByLabel('Rules as YAML');
    await text.waitFor();
    await page.getByText('✓ Nothing wrong with it.').waitFor();
    await text.focus();
    await page.keyboard.press('Control+a');
    await page.keyboard.insertText('groups:\n  - name: mine\n    interval: 1m\n    rules:\n      - alert: TooSlow\n        expr: latency >\n        for: 10m');
    await page.keyboard.press('Enter');
    assert.match(await text.inputValue(), /10m\n {8}$/); // the indentation goes on
    await page.getByText(/could not parse expression/).waitFor();
    assert.equal(await page.locator('.gutter .wrong').innerText(), '6');
    assert.ok(await page.getByRole('button', { name: 'Save' }).isDisabled());
    assert.deepEqual(await axe(page), []);
    await shot(page, 'rules-wrong-light-1440');
    await page.getByRole('button', { name: 'line 6' }).click();
    await page.keyboard.insertText('        expr: latency > 10');
    await page.getByText('✓ Nothing wrong with it.').waitFor();
    await page.keyboard.press('Control+Enter');
    const tested = page.getByRole('region', { name: 'TooSlow, tested' });
    await tested.waitFor();
    assert.match(await tested.innerText(), /TooSlow would have fired 3 times, for 1h( \d+m)? in all\./);
    assert.equal(await tested.locator('tbody tr').count(), 3);
    assert.equal(await tested.locator('rect').count(), 3);
    assert.deepEqual(await axe(page), []);
    await shot(page, 'rules-tested-light-1440');
    await page.keyboard.press('Control+s');
    await page.locator('.rulegroup > summary > .strong', { hasText: 'mine' }).waitFor();
    assert.equal(await address(page), '/rules');
    await page.getByRole('link', { name: 'Edit mine' }).click();
    await page.getByRole('heading', { name: 'mine' }).waitFor();
    assert.match(await page.getByLabel('Rules as YAML').inputValue(), /^groups:\n {2}- name: mine\n {4}interval: 1m\n/);
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('button', { name: 'Delete mine' }).click();
    await page.locator('.rulegroup').first().waitFor();
    await eventually(async () => assert.equal(await page.locator('.rulegroup', { hasText: 'mine' }).count(), 0));
  });
});

test('rules: two who edit one group do not write over each other unseen', async () => {
  assert.equal((await call('PUT', '/api/v1/rules/two', { ...kept, name: 'two' })).status, 200);
  await at('/rules?id=two', async (page) => {
    const text = page.getByLabel('Rules as YAML');
    await text.waitFor();
    assert.equal((await fetch(`${clew.api}/api/v1/rules/two`, { method: 'PUT', headers: { 'Content-Type': 'application/json', 'If-Match': '*' }, body: JSON.stringify({ ...kept, name: 'theirs' }) })).status, 200);
    await text.fill((await text.inputValue()).replace('latency > 10', 'latency > 11'));
    await page.getByText('✓ Nothing wrong with it.').waitFor();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Somebody has changed this group since you opened it.').waitFor();
    await page.getByRole('button', { name: 'Save mine over it' }).click();
    await page.locator('.rulegroup > summary > .strong', { hasText: 'two' }).waitFor();
    assert.match(await (await call('GET', '/api/v1/rules/two/file')).text(), /latency > 11/);
  });
  assert.equal((await call('DELETE', '/api/v1/rules/two')).status, 200);
});

for (const [theme, width] of [['dark', 1440], ['light', 380], ['dark', 380]])
  test(`rules: a test against the past, ${theme}, ${width} px`, async () => {
    await at('/rules?id=web&start=now-12h', async (page) => {
      await page.getByText('✓ Nothing wrong with it.').waitFor();
      await page.getByRole('button', { name: 'Test', exact: true }).click();
      await page.getByText(/would have fired 3 times/).waitFor();
      assert.deepEqual(await axe(page), []);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= width);
      await page.locator('.tested').scrollIntoViewIfNeeded();
      await shot(page, `rules-tested-${theme}-${width}`);
    }, { theme, width, height: width < 500 ? 800 : 900 });
  });

test('rules: the palette leads there; what is not there says so', async () => {
  await at('/', async (page) => {
    await palette(page, 'rules and', 'Rules and alerts');
    await page.locator('.rulegroup').first().waitFor();
    await page.goto('/rules?id=nobody');
    await page.getByRole('heading', { name: 'This group cannot be read' }).waitFor();
  });
});
