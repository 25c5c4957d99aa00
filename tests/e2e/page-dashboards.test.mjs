// Dashboards in Chromium against a real clew that reads its own machine: looked at, edited by keys and by pointer, imported, saved by two at
// once. Screenshots go to build/shots.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { address, eventually, hasBrowser, palette, shot, shown, startBrowser, sweep, typeAt, visitor } from './browser.mjs';
import { getJson, startClew, until } from './clew.mjs';
import { metrics, shop } from './page-data.mjs';

let clew, browser;
const path = '/api/v1/dashboards';
const stat = (id, x, y, more = {}) => ({ id, kind: 'stat', x, y, w: 6, h: 4, title: `Figure ${id}`, queries: [{ kind: 'promql', expr: `vector(${id})` }], ...more });
async function keep(id, doc, headers = { 'If-Match': '*' }) {
  const send = (h) => fetch(`${clew.api}${path}/${id}`, { method: 'PUT', headers: { 'Content-Type': 'application/json', ...h }, body: JSON.stringify(doc) });
  let answer = await send({});
  if (answer.status === 409) answer = await send(headers);
  assert.equal(answer.status, 200, await answer.text());
}
const kept = async (id) => (await getJson(`${clew.api}${path}/${id}`)).body;
const everyKind = {
  title: 'Every kind', time: { start: 'now-30m' }, variables: [
    { name: 'job', label: 'Job', kind: 'query', query: 'label_values(http_server_requests_total, job)', value: ['*'], multi: true, all: true },
    { name: 'n', label: 'How many', kind: 'custom', values: ['2', '5'] }, { name: 'say', label: 'Word', kind: 'text', value: ['hello'] }],
  panels: [
    { id: 1, kind: 'timeseries', x: 0, y: 0, w: 12, h: 8, title: 'Requests of $job', unit: '/s', stack: true, draw: 'area', thresholds: [{ at: 0.4, tone: 'warning' }], queries: [{ kind: 'promql', expr: 'topk($n, sum by (http_route) (rate(http_server_requests_total{job=~"$job"}[$__rate_interval])))', legend: '{{http_route}}' }] },
    { id: 2, kind: 'bars', x: 12, y: 0, w: 6, h: 8, title: 'Bars', queries: [{ kind: 'promql', expr: 'sum by (http_route) (http_server_requests_total)', legend: '{{http_route}}' }] },
    { id: 3, kind: 'gauge', x: 18, y: 0, w: 6, h: 8, title: 'Gauge', unit: 'ratio', thresholds: [{ at: 0.5, tone: 'warning' }, { at: 0.7, tone: 'error' }], queries: [{ kind: 'promql', expr: 'vector(0.82)' }] },
    { id: 4, kind: 'heatmap', x: 0, y: 8, w: 12, h: 7, title: 'Heatmap', unit: 'seconds', queries: [{ kind: 'promql', expr: 'sum by (le) (rate(http_server_request_duration_seconds_bucket[5m]))' }] },
    { id: 5, kind: 'table', x: 12, y: 8, w: 12, h: 7, title: 'Table', queries: [{ kind: 'promql', expr: 'sum by (job, http_route) (http_server_requests_total)' }] },
    { id: 6, kind: 'row', x: 0, y: 15, w: 24, h: 1, title: 'Words' },
    { id: 7, kind: 'text', x: 0, y: 16, w: 6, h: 7, text: '# $say\n\n- **bold** `code`\n- <img src=x onerror="document.title=1">\n\n[logs](/logs) [bad](javascript:alert(1))' },
    { id: 8, kind: 'logs', x: 6, y: 16, w: 9, h: 7, title: 'Logs', queries: [{ kind: 'logs', limit: 20 }] },
    { id: 9, kind: 'traces', x: 15, y: 16, w: 9, h: 7, title: 'Traces', queries: [{ kind: 'traces', order: 'longest', limit: 10 }] },
    { id: 10, kind: 'unknown', x: 0, y: 23, w: 12, h: 5, title: 'A pie', was: 'piechart', text: 'clew has no panel of this kind.' },
    { id: 11, kind: 'timeseries', x: 12, y: 23, w: 12, h: 5, title: 'Fails', queries: [{ kind: 'promql', expr: 'http_server_requests_total * on (job) http_server_requests_total' }] }],
};
before(async () => {
  if (!hasBrowser) throw new Error('no Chromium: ./dev setup');
  clew = await startClew(['--host-metrics', 'on', '--host-interval', '1s']);
  await shop(clew);
  await metrics(clew);
  await keep('kinds', everyKind);
  await until(() => getJson(`${clew.api}/prometheus/api/v1/query?query=count_over_time(node_load1[1m])`), (a) => Number(a.data.result[0]?.value[1]) > 10);
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  await clew?.stop();
});
const at = visitor(() => ({ browser, clew }));
const four = (title) => ({ title, panels: [stat(1, 0, 0), stat(2, 6, 0), stat(3, 12, 0), stat(4, 0, 4, { w: 24 })] });
const panel = (page, id) => page.locator(`[data-panel="${id}"]`);
const says = (locator, text) => eventually(async () => assert.match(await locator.innerText(), text));
const place = (page, id) => page.locator(`.cell:has(> [data-panel="${id}"])`).evaluate((e) => [e.style.gridColumn, e.style.gridRow].map((t) => t.replace(/\s/g, '')));
const spoken = (page) => page.locator('[data-spoken]').innerText();
const saved = (page) => eventually(async () => assert.equal(await page.locator('.editbar .grow').innerText(), 'Nothing to save'));

// ---- each screen, in each dress ------------------------------------------------------------------------------------------

sweep(at, [
  ['dashboards', '/dashboards', '.boards tbody tr'],
  ['dashboard-host', '/dashboard/clew.host?start=now-5m', '.stat b'],
  ['dashboard-clew', '/dashboard/clew.clew?start=now-5m', '.stat b'],
  ['dashboard-service', '/dashboard/clew.service', '.panelnote'],
  ['dashboard-kinds', '/dashboard/kinds', '.plot canvas'],
  ['dashboard-edit', '/dashboard/kinds?edit=true', '.handle'],
  ['dashboard-panel', '/dashboard/kinds?edit=true&panel=1', '.paneledit .plot canvas'],
  ['dashboard-none', '/dashboard/nobody', '.empty'],
], { most: 45, promise: 'axe finds nothing, nothing is cut off' });

// ---- looking ---------------------------------------------------------------------------------------------------------------

test('every kind shows what it is asked for; an error stays in its panel; words are never HTML', async () => {
  await at('/dashboard/kinds', async (page) => {
    await shown(page, '[data-panel="1"] .plot canvas');
    await says(panel(page, 1).locator('h2'), /^Requests of /);
    await says(panel(page, 1).locator('.panellegend'), /\/cart/);
    await eventually(async () => assert.equal(await panel(page, 1).locator('.panellegend li').count(), 2)); // topk($n)
    await says(panel(page, 2), /\/cart/);
    await says(panel(page, 3), /82 %\s*▲/);
    await panel(page, 4).locator('canvas').waitFor();
    assert.equal(await panel(page, 5).locator('tbody tr').count(), 4);
    await panel(page, 7).scrollIntoViewIfNeeded();
    await says(panel(page, 7), /hello[^]*<img src=x onerror="document.title=1">[^]*\[bad\]\(javascript:alert\(1\)\)/);
    assert.equal(await panel(page, 7).locator('img, a[href^="javascript"]').count(), 0);
    assert.equal(await panel(page, 7).locator('a').getAttribute('href'), '/logs');
    await panel(page, 8).locator('.loglines li').first().waitFor();
    await panel(page, 9).locator('.tracerows a').first().waitFor();
    await says(panel(page, 10), /A panel of the kind piechart/);
    await panel(page, 11).scrollIntoViewIfNeeded();
    await says(panel(page, 11).locator('.panelerror'), /many-to-many|duplicate series/);
    assert.equal(await page.locator('.panelerror').count(), 1);
    await shot(page, 'dashboard-kinds-below-light-1440');
  });
});

test('variables and the range of time are in the address, and a link restores them', async () => {
  await at('/dashboard/kinds', async (page) => {
    await shown(page, '[data-panel="1"] .plot canvas');
    await page.getByLabel('How many').selectOption('5');
    await eventually(async () => assert.equal(await panel(page, 1).locator('.panellegend li').count(), 4));
    assert.match(await address(page), /var=n%3D5/);
    await page.getByLabel('Word').fill('bye');
    await page.getByLabel('Word').press('Enter');
    await says(panel(page, 7), /bye/);
    await page.getByRole('button', { name: /^Job:/ }).click();
    await page.locator('.boxes input').nth(1).check();
    await eventually(async () => assert.match(await address(page), /var=job%3D/));
    await page.keyboard.press('Escape');
    const link = await address(page);
    await page.goto('/dashboards');
    await page.goto(link);
    await shown(page, '[data-panel="1"] .plot canvas');
    assert.equal(await page.getByLabel('How many').inputValue(), '5');
    await page.getByRole('button', { name: 'Earlier', exact: true }).click();
    await eventually(async () => assert.match(await address(page), /start=20/));
    await panel(page, 1).hover();
    await panel(page, 1).getByRole('link', { name: /^Open in metrics/ }).click();
    await eventually(async () => assert.match(await address(page), /^\/explore\?start=20.*query=topk%285/));
  });
});

test('a panel alone: by its button and by a link; Escape leads back', async () => {
  await at('/dashboard/kinds', async (page) => {
    await shown(page, '[data-panel="1"] .plot canvas');
    await panel(page, 1).hover();
    await panel(page, 1).getByRole('button', { name: /^Alone/ }).click();
    await eventually(async () => assert.equal(await page.locator('[data-panel]').count(), 1));
    assert.match(await address(page), /panel=1/);
    await shown(page, '.plot canvas');
    await shot(page, 'dashboard-alone-light-1440');
    await page.keyboard.press('Escape');
    await panel(page, 2).waitFor();
  });
});

test('what stands in a field counts when it is saved, and Ctrl Z there is the field’s', async () => {
  await keep('field', four('Field'));
  await at('/dashboard/field?edit=true&panel=1', async (page) => {
    await page.locator('.paneledit').waitFor();
    await page.getByLabel('Title').fill('Typed');
    await page.keyboard.press('Control+s');
    await saved(page);
    assert.equal((await kept('field')).panels[0].title, 'Typed');
  });
});

test('rows fold away what is below them', async () => {
  await at('/dashboard/kinds', async (page) => {
    await shown(page, '[data-panel="1"] .plot canvas');
    await page.getByRole('button', { name: 'Words' }).click();
    await eventually(async () => assert.equal(await panel(page, 8).count(), 0));
    await page.getByRole('button', { name: 'Words' }).click();
    await panel(page, 8).waitFor();
  });
});

test('forty panels: those in sight are asked for, four at a time, and none any more once the screen is left', async () => {
  await keep('forty', { title: 'Forty', panels: Array.from({ length: 40 }, (_, i) => stat(i + 1, 0, i * 10, { w: 24, h: 10 })) });
  await at('/', async (page) => {
    let running = 0, most = 0, aborted = 0;
    const asked = (r) => r.url().includes('/query_range');
    await page.route('**/query_range*', async (route) => { await new Promise((r) => setTimeout(r, 150)); await route.continue().catch(() => undefined); });
    page.on('request', (r) => { if (asked(r)) most = Math.max(most, ++running); });
    page.on('requestfinished', (r) => { if (asked(r)) running--; });
    page.on('requestfailed', (r) => { if (asked(r)) { running--; aborted++; } });
    await page.goto('/dashboard/forty');
    await shown(page, '.stat b');
    await eventually(async () => assert.ok((await page.locator('.stat b').count()) >= 2));
    assert.ok(page.asked.filter((u) => u.includes('/query_range')).length < 10);
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await says(panel(page, 40), /40/);
    assert.ok(page.asked.filter((u) => u.includes('/query_range')).length < 25);
    await page.setViewportSize({ width: 1440, height: 15_000 });
    await page.waitForTimeout(200);
    await page.getByRole('link', { name: 'Logs', exact: true }).click();
    await eventually(async () => assert.equal(running, 0));
    assert.ok(most <= 4, `${most} at once`);
    assert.ok(aborted > 0);
  });
});

// ---- layout ---------------------------------------------------------------------------------------------------------------

test('layout by keys: arrows move, Shift resizes, it is said, undone, and kept', async () => {
  await keep('keys', four('By keys'));
  await at('/dashboard/keys', async (page) => {
    await shown(page, '.stat b');
    await page.keyboard.press('e');
    const handle = panel(page, 3).locator('.handle');
    await handle.focus();
    await page.keyboard.press('ArrowRight');
    await eventually(async () => assert.deepEqual(await place(page, 3), ['14/span6', '1/span4']));
    assert.equal(await spoken(page), 'Figure 3: column 14, row 1, 6 wide, 4 high');
    await page.keyboard.press('Shift+ArrowRight');
    await page.keyboard.press('Shift+ArrowDown');
    await eventually(async () => assert.deepEqual(await place(page, 3), ['14/span7', '1/span5']));
    assert.deepEqual(await place(page, 4), ['1/span24', '6/span4']); // it made way
    await page.keyboard.press('ArrowDown');
    await eventually(async () => assert.deepEqual(await place(page, 3), ['14/span7', '9/span5']));
    assert.equal(await handle.evaluate((e) => e === document.activeElement), true);
    await shot(page, 'dashboard-keys-light-1440');
    await page.keyboard.press('Control+z');
    await eventually(async () => assert.deepEqual(await place(page, 3), ['14/span7', '1/span5']));
    await page.keyboard.press('Control+s');
    await saved(page);
    const p = (await kept('keys')).panels.find((x) => x.id === 3);
    assert.deepEqual([p.x, p.y, p.w, p.h], [13, 0, 7, 5]);
  });
});

test('layout by pointer: dragged and resized; Escape gives up; a reload shows what was saved', async () => {
  await keep('pointer', four('By pointer'));
  await at('/dashboard/pointer?edit=true', async (page) => {
    await shown(page, '.stat b');
    const drag = async (what, dx, dy, end = async () => page.mouse.up()) => {
      const b = await what.boundingBox();
      await page.mouse.move(b.x + b.width / 2, b.y + b.height / 2);
      await page.mouse.down();
      await page.mouse.move(b.x + b.width / 2 + dx / 2, b.y + b.height / 2 + dy / 2, { steps: 4 });
      await page.mouse.move(b.x + b.width / 2 + dx, b.y + b.height / 2 + dy, { steps: 4 });
      await end();
    };
    const wide = (await page.locator('.board').boundingBox()).width / 24;
    await drag(panel(page, 3).locator('.handle'), 6 * wide, 0);
    await eventually(async () => assert.deepEqual(await place(page, 3), ['19/span6', '1/span4']));
    await drag(panel(page, 1).locator('.corner'), 2 * wide, 38 * 3);
    await eventually(async () => assert.deepEqual(await place(page, 1), ['1/span8', '1/span7']));
    assert.deepEqual([await place(page, 2), await place(page, 4)], [['7/span6', '8/span4'], ['1/span24', '12/span4']]); // they made way
    await drag(panel(page, 4).locator('.handle'), 0, -38 * 10);
    await eventually(async () => assert.deepEqual(await place(page, 4), ['1/span24', '1/span4']));
    const before = await place(page, 2);
    await drag(panel(page, 2).locator('.handle'), 8 * wide, 38 * 9, async () => { await page.keyboard.press('Escape'); await page.mouse.up(); });
    await eventually(async () => assert.deepEqual(await place(page, 2), before));
    await page.getByRole('button', { name: 'Save' }).click();
    await saved(page);
    await page.goto('/dashboard/pointer');
    await shown(page, '.stat b');
    assert.deepEqual(await place(page, 4), ['1/span24', '1/span4']);
  });
});

// ---- editing ---------------------------------------------------------------------------------------------------------------

test('a dashboard is made, gets a panel whose query is completed and checked, a variable, and is deleted after a question', async () => {
  await at('/dashboards', async (page) => {
    await shown(page, '.boards tbody tr');
    await page.getByRole('button', { name: 'New dashboard' }).click();
    await page.getByLabel('Title').fill('Made here');
    await page.keyboard.press('Enter');
    await eventually(async () => assert.match(await address(page), /^\/dashboard\/[0-9a-f]{16}\?edit=true$/));
    await page.getByLabel('Add a panel').selectOption('timeseries');
    await page.locator('.paneledit').waitFor();
    await page.getByLabel('Title').fill('Load');
    await page.getByLabel('Title').press('Enter');
    const query = page.locator('#panel-query-0');
    await query.fill('');
    await query.pressSequentially('node_load1');
    await page.keyboard.press('Escape');
    await query.press('Enter');
    await page.locator('.preview .plot canvas').waitFor();
    await page.getByLabel('Unit').selectOption('none');
    await page.getByRole('button', { name: 'Add threshold' }).click();
    await shot(page, 'dashboard-editing-light-1440');
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('button', { name: 'Title, variables …' }).click();
    await page.getByRole('button', { name: 'Add variable' }).click();
    await shot(page, 'dashboard-variables-light-1440');
    await page.getByRole('button', { name: 'Done' }).click();
    await page.keyboard.press('Control+s');
    await saved(page);
    const id = (await address(page)).slice(11, 27), doc = await kept(id);
    assert.deepEqual([doc.title, doc.panels[0].title, doc.panels[0].queries[0].expr, doc.panels[0].unit, doc.panels[0].thresholds.length, doc.variables[0].name], ['Made here', 'Load', 'node_load1', 'none', 1, 'variable1']);
    await page.getByRole('button', { name: 'Leave editing' }).click();
    await palette(page, 'Dashboards', /^Dashboards/);
    await shown(page, '.boards tbody tr');
    await typeAt(page, '/', '.findboard', 'made');
    await page.getByRole('button', { name: 'Delete: Made here' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    assert.equal((await fetch(`${clew.api}${path}/${id}`)).status, 200);
    await page.getByRole('button', { name: 'Delete: Made here' }).click();
    await page.getByRole('button', { name: 'Delete it' }).click();
    await page.locator('.empty').waitFor();
    assert.equal((await fetch(`${clew.api}${path}/${id}`)).status, 404);
  });
});

test('who saves later is told, nothing is lost: a copy, or over it, as he wants; another screen in between keeps the draft', async () => {
  await keep('race', four('Race'));
  await at('/dashboard/race?edit=true', async (page) => {
    await shown(page, '.stat b');
    await panel(page, 1).getByRole('button', { name: 'Remove Figure 1' }).click();
    await eventually(async () => assert.equal(await panel(page, 1).count(), 0));
    await page.getByRole('link', { name: 'Logs', exact: true }).click();
    await page.goBack();
    await shown(page, '.stat b');
    assert.equal(await panel(page, 1).count(), 0);
    await keep('race', { ...four('Race'), description: 'theirs' });
    await page.keyboard.press('Control+s');
    await says(page.locator('.note.warn'), /Somebody else saved this dashboard meanwhile[^]*Keep mine as a copy/);
    await shot(page, 'dashboard-conflict-light-1440');
    assert.equal((await kept('race')).description, 'theirs');
    await page.getByRole('button', { name: 'Keep mine as a copy' }).click();
    await eventually(async () => assert.match(await address(page), /^\/dashboard\/[0-9a-f]{16}\?edit=true$/));
    const copy = await kept((await address(page)).slice(11, 27));
    assert.deepEqual([copy.title, copy.panels.length], ['Race (copy)', 3]);
    await page.goto('/dashboard/race?edit=true');
    await shown(page, '.stat b');
    await panel(page, 2).getByRole('button', { name: 'Remove Figure 2' }).click();
    await keep('race', { ...four('Race'), description: 'again' });
    await page.keyboard.press('Control+s');
    await page.getByRole('button', { name: 'Write over theirs' }).click();
    await saved(page);
    const over = await kept('race');
    assert.deepEqual([over.description, over.panels.length], ['theirs', 3]); // of when he began; what was written meanwhile is gone, as he wanted
  });
});

test('one that ships is copied to be edited', async () => {
  await at('/dashboard/clew.clew', async (page) => {
    await shown(page, '.stat b');
    await page.getByRole('button', { name: 'Copy to edit' }).click();
    await page.locator('.editbar').waitFor();
    await says(page.locator('h1'), /clew itself \(copy\)/);
  });
});

// ---- import ----------------------------------------------------------------------------------------------------------------

const foreign = { title: 'From <img src=x onerror=alert(1)> Grafana', schemaVersion: 39, templating: { list: [{ name: 'ds', type: 'datasource' }] }, panels: [
  { type: 'piechart', title: 'A pie', gridPos: { x: 0, y: 0, w: 12, h: 6 } }, { type: 'timeseries', title: 'Load', gridPos: { x: 12, y: 0, w: 12, h: 6 }, targets: [{ expr: 'node_load1', legendFormat: 'load' }], transformations: [{ id: 'organize' }] }] };

test('import: what could not be kept is named before anything is kept, and stands on the dashboard', async () => {
  for (const width of [1440, 380])
    await at('/dashboards', async (page) => {
      await shown(page, '.boards tbody tr');
      await page.getByRole('button', { name: 'Import' }).click();
      await page.locator('input[type=file]').setInputFiles({ name: 'wrong.json', mimeType: 'application/json', buffer: Buffer.from('{"a":1}') });
      await says(page.locator('dialog [role=alert]'), /neither panels nor rows/);
      await page.locator('input[type=file]').setInputFiles({ name: 'g.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(foreign)) });
      await says(page.locator('dialog'), /2 panels[^]*A pie[^]*piechart[^]*transformation organize/);
      await shot(page, `dashboard-import-light-${width}`);
      assert.equal((await getJson(`${clew.api}${path}?search=onerror`)).dashboards.length, width === 1440 ? 0 : 1);
      if (width === 380) await page.locator('dialog input.field').fill('On a telephone');
      await page.locator('dialog').getByRole('button', { name: 'Import' }).click();
      await page.locator('.unknown').waitFor();
      await says(page.locator('.unknown'), /A panel of the kind piechart/);
      await shown(page, '.plot canvas');
      if (width === 1440) await says(page.locator('h1'), /From <img src=x onerror=alert\(1\)> Grafana/);
      assert.equal(await page.locator('main img').count(), 0);
    }, { width, height: 800 });
});
