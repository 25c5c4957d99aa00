// The metrics explorer and the cardinality view in Chromium against a real clew that was sent metrics by OTLP. Screenshots go to build/shots.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { address, burst, eventually, hasBrowser, idle, palette, shown, startBrowser, sweep, typeAt, visitor } from './browser.mjs';
import { binary, getJson, startClew } from './clew.mjs';
import { spawn, temporary } from './processes.mjs';
import { metrics, shop, spanId, traceId } from './page-data.mjs';
import { freePort } from './prometheus.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
let clew, browser;
before(async () => {
  if (!hasBrowser) throw new Error('no Chromium: ./dev setup');
  clew = await startClew();
  await shop(clew);
  await metrics(clew);
  const odd = `# TYPE odd.metric gauge\n${['a', 'b'].map((v) => `{"odd.metric", "http.route"="/${v} \\"q\\"", job="odd"} ${v === 'a' ? 1 : 2}`).join('\n')}\n`;
  const answer = await fetch(`${clew.api}/api/v1/import`, { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: odd.replace('# TYPE odd.metric gauge\n', '') });
  assert.equal(answer.status, 200, await answer.text());
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  await clew?.stop();
});
const at = visitor(() => ({ browser, clew }));
const explore = (fields) => `/explore?${new URLSearchParams(fields)}`;
const drawn = (page) => shown(page, '.plot canvas');
const counts = (locator, n) => eventually(async () => assert.equal(await locator.count(), n));
const says = (locator, text) => eventually(async () => assert.match(await locator.innerText(), text));
const p95 = 'histogram_quantile(0.95, sum by (http_route, le) (rate(http_server_request_duration_seconds_bucket[5m])))';
const param = (page, name) => page.evaluate((n) => new URLSearchParams(location.search).getAll(n), name);

// ---- each screen, in each dress ----------------------------------------------------------------------------------------

const screens = [
  ['metrics', (width) => (width < 500 ? '/explore?browser=open' : '/explore'), '.browser .metric'],
  ['metrics-chart', explore({ start: 'now-30m', query: p95, metric: 'http_server_request_duration_seconds_bucket', label: 'http_route' }), '.legendbox .grid-row.at, .legendbox [role=row]'],
  ['metrics-table', explore({ start: 'now-30m', query: 'http_server_requests_total', as: 'table', sort: '-value' }), '.values-of [role=row]'],
  ['metrics-native', explore({ start: 'now-30m', query: 'db_client_operation_duration_seconds', as: 'table' }), '.values-of [role=row]'],
  ['metrics-wrong', explore({ query: 'sum(rate(x[5m])' }), '.code.flawed'],
  ['metrics-none', explore({ query: 'http_server_requests_total{job="x"}' }), '.empty'],
  ['metrics-info', explore({ start: 'now-30m', query: 'rate(process_memory_usage_bytes[5m])' }), '.notes'],
  ['cardinality', '/cardinality', '#count-0'],
  ['cardinality-label', '/cardinality?by=label&drop=label%3Ahttp_route', 'aside .snippet'],
  ['cardinality-metric', '/cardinality?drop=metric%3Ahttp_server_requests_total', 'aside .snippet'],
  ['cardinality-none', `/cardinality?match=${encodeURIComponent('{job="nobody"}')}`, '.empty'],
];
sweep(at, screens);

// ---- the browser ---------------------------------------------------------------------------------------------------------

test('browse: a metric is found by keys, its labels and values have counts, a click adds a matcher', async () => {
  await at('/explore?start=now-30m', async (page) => {
    await shown(page, '.browser .metric');
    await typeAt(page, 'f', '#find-metric', 'requests');
    await page.keyboard.press('Enter');
    await drawn(page);
    assert.deepEqual(await param(page, 'query'), ['sum(rate(http_server_requests_total[5m]))']);
    const one = page.locator('.browser .one');
    await says(one, /http_server_requests_total[^]*counter[^]*Requests answered[^]*8 series/);
    await one.getByRole('button', { name: /^http_route/ }).click();
    const values = one.getByRole('list', { name: 'Values of http_route' }).locator('li');
    await eventually(async () => assert.deepEqual((await values.allInnerTexts()).map((t) => t.split('\n')[0]).sort(), ['/cart', '/charge', '/checkout', '/search']));
    await says(values.first().locator('.num'), /^2$/);
    await values.filter({ hasText: '/cart' }).getByRole('button', { name: '/cart', exact: true }).click();
    await page.waitForFunction(() => new URLSearchParams(location.search).get('query') === 'sum(rate(http_server_requests_total{http_route="/cart"}[5m]))');
    await values.filter({ hasText: '/charge' }).hover();
    await values.filter({ hasText: '/charge' }).getByRole('button', { name: 'Exclude this http_route /charge' }).click();
    await page.waitForFunction(() => new URLSearchParams(location.search).get('query') === 'sum(rate(http_server_requests_total{http_route="/cart", http_route!="/charge"}[5m]))');
    await values.first().hover();
    await values.first().getByRole('button', { name: /^Group by http_route/ }).click();
    await page.waitForFunction(() => new URLSearchParams(location.search).get('query').startsWith('sum by (http_route) ('));
    await drawn(page);
    await page.goBack();
    await page.goBack();
    await page.goBack();
    await page.waitForFunction(() => new URLSearchParams(location.search).get('query') === 'sum(rate(http_server_requests_total[5m]))');
    await page.getByRole('button', { name: 'by http_route', exact: true }).click();
    await page.waitForFunction(() => document.querySelectorAll('.legendbox [aria-selected]').length === 4);
  });
});

test('a service leads to its metrics: from its row, its spans, the palette', async () => {
  const wanted = '{job=~"(.+/)?pay"}';
  await at('/', async (page) => {
    await page.getByRole('row', { name: /^pay/ }).getByRole('link', { name: 'Metrics' }).click();
    await page.locator('.browser .metric').first().waitFor();
    assert.deepEqual(await param(page, 'match'), [wanted]);
    await page.locator('#find-metric').fill('requests');
    await page.locator('.browser .metric', { hasText: 'requests_total' }).click();
    await page.waitForFunction((m) => new URLSearchParams(location.search).get('query') === `sum(rate(http_server_requests_total${m}[5m]))`, wanted);
    await drawn(page);
    await palette(page, 'metrics of web', 'Metrics of web');
    await page.waitForFunction(() => new URLSearchParams(location.search).get('match') === '{job=~"(.+/)?web"}');
  });
  await at(`/trace/${traceId(110)}?span=${spanId(110, 5)}`, async (page) => {
    await page.locator('.detail').getByRole('link', { name: 'Metrics of pay' }).click();
    await page.locator('.browser').waitFor();
    assert.match((await param(page, 'match'))[0], /job=~?"/);
    assert.match((await param(page, 'start'))[0], /^20/);
  });
});

// ---- the editor ----------------------------------------------------------------------------------------------------------

test('a query is written and completed by keyboard alone', async () => {
  await at('/explore?start=now-30m', async (page) => {
    await shown(page, '.browser .metric');
    const field = page.getByRole('textbox', { name: 'Query A in PromQL' });
    const has = (text) => eventually(async () => assert.equal(await field.inputValue(), text));
    await typeAt(page, '/', '#query-0', 'rat');
    await page.waitForFunction(() => document.querySelector('.code [aria-selected=true]')?.innerText.includes('rate(range[5m])'));
    await page.keyboard.press('Enter');
    await has('rate()');
    await page.keyboard.type('http_server_req');
    await counts(page.locator('.code [role=option]'), 4);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await says(page.locator('.code [role=option][aria-selected=true] .mono'), /^http_server_requests_total$/);
    await page.keyboard.press('Tab');
    await page.keyboard.type('{http_res');
    await page.waitForFunction(() => document.querySelector('.code [aria-selected=true]')?.innerText.includes('http_response_status_code'));
    await page.keyboard.press('Enter');
    await page.keyboard.type('="5');
    await page.waitForFunction(() => document.querySelector('.code [aria-selected=true]')?.innerText.trim() === '500');
    await page.keyboard.press('Enter');
    await page.keyboard.type('}[5m]');
    await has('rate(http_server_requests_total{http_response_status_code="500"}[5m])');
    await page.keyboard.press('End');
    await page.keyboard.press('Enter');
    await drawn(page);
    await counts(page.locator('.legendbox [aria-selected]'), 4);
  });
});

test('a burst of keys asks once when it rests, and labels once for a selector', async () => {
  await at('/explore?start=now-30m&browser=closed', async (page) => {
    await shown(page, '#query-0');
    await page.locator('#query-0').focus();
    await burst(page, 'http_server_requests_total{job="sh');
    await page.waitForFunction(() => document.querySelector('.code [aria-selected=true]')?.innerText.trim() === 'shop/pay');
    const labels = page.asked.filter((u) => u.includes('/api/v1/labels')), values = page.asked.filter((u) => u.includes('/label/job/values'));
    assert.equal(labels.length <= 1, true, labels.join('\n'));
    assert.equal(values.length, 1, values.join('\n'));
    assert.match(decodeURIComponent(values[0]), /match\[\]=http_server_requests_total\{job=~"\(\?i:\.\*sh\.\*\)"\}/);
  });
});

test('what is wrong is told at its place, before and after it is asked', async () => {
  await at('/explore?start=now-30m&browser=closed', async (page) => {
    await shown(page, '#query-0');
    await typeAt(page, '/', '#query-0', 'sum(rate(up[5m]) ');
    await page.locator('.query .wrong', { hasText: 'unclosed left parenthesis' }).waitFor();
    await page.keyboard.press('Enter');
    await page.locator('.query .wrong[role=alert]').waitFor();
    await page.locator('.code .wrongly').first().waitFor();
    await page.keyboard.press('Home');
    await page.keyboard.press('Shift+End');
    await page.keyboard.type('rate(up)');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    await page.locator('.query .wrong', { hasText: 'expected type range vector in call to function "rate"' }).waitFor();
    await eventually(async () => assert.equal((await page.locator('.code .wrongly').allInnerTexts()).join(''), 'up'));
  });
});

test('names of any letters are written so that they are read again', async () => {
  await at(explore({ start: 'now-30m', metric: 'odd.metric', label: 'http.route', query: '{"odd.metric"}', as: 'table' }), async (page) => {
    await counts(page.locator('.values-of [aria-selected]'), 2);
    await page.locator('.browser .of').getByRole('button', { name: '/a "q"', exact: true }).click();
    await page.waitForFunction(() => document.querySelectorAll('.values-of [aria-selected]').length === 1);
    assert.deepEqual(await param(page, 'query'), ['{"odd.metric", "http.route"="/a \\"q\\""}']);
    await page.locator('#query-0').fill('');
    await page.locator('#query-0').focus();
    await page.keyboard.type('{"odd.metric", "http.route"="/b');
    await page.locator('.code [role=option]', { hasText: '/b "q"' }).waitFor();
    assert.ok(page.asked.some((u) => u.includes('/label/U__http_2e_route/values')));
    await page.keyboard.press('Enter');
    await page.keyboard.type('}');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => new URLSearchParams(location.search).get('query') === '{"odd.metric", "http.route"="/b \\"q\\""}');
  });
});

test('functions of the page are those of the server', () => {
  const server = [...readFileSync(join(root, 'src/query/promql/functions.c'), 'utf8').matchAll(/^ {4}\{"(\w+)", [^\n]*?(experimental = true)?[^\n]*\}/gm)].map((m) => [m[1], m[0].includes('experimental = true')]);
  const folds = [...readFileSync(join(root, 'src/query/promql/parse.c'), 'utf8').matchAll(/^ {4}\[AGG_\w+\] = \{"(\w+)", [^,]+, (\w+)\}/gm)].map((m) => [m[1], m[2] === 'true']);
  const page = [...readFileSync(join(root, 'web/src/lib/functions.ts'), 'utf8').matchAll(/^(?:const table = `)?(\w+)\([^)]*\) (experimental: )?/gm)].map((m) => [m[1], m[2] !== undefined]);
  assert.ok(server.length > 75 && folds.length > 10);
  assert.deepEqual(page.sort(), [...server, ...folds].sort());
});

// ---- chart, legend, table ------------------------------------------------------------------------------------------------

test('several queries on one chart; one is left out, removed, and the address restores them', async () => {
  await at(explore({ start: 'now-30m', query: 'sum(rate(http_server_requests_total[5m]))' }), async (page) => {
    await drawn(page);
    await typeAt(page, 'a', '#query-1', 'sum by (job) (rate(http_server_requests_total[5m]))');
    await page.keyboard.press('Escape');
    await page.locator('#query-1').focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('.legendbox [aria-selected]').length === 3);
    await page.getByRole('button', { name: 'Do not ask query A' }).click();
    await page.waitForFunction(() => document.querySelectorAll('.legendbox [aria-selected]').length === 2);
    assert.deepEqual(await param(page, 'off'), ['A']);
    await page.reload();
    await page.waitForFunction(() => document.querySelectorAll('.legendbox [aria-selected]').length === 2);
    await page.getByRole('button', { name: 'Remove query A' }).click();
    await page.waitForFunction(() => new URLSearchParams(location.search).getAll('query').length === 1);
    assert.deepEqual(await param(page, 'off'), []);
    await page.waitForFunction(() => document.querySelectorAll('.legendbox [aria-selected]').length === 2);
    await page.goBack();
    await page.goBack();
    await page.waitForFunction(() => document.querySelectorAll('.legendbox [aria-selected]').length === 3);
  });
});

test('the legend finds and picks series by keys; the address keeps it', async () => {
  await at(explore({ start: 'now-30m', query: 'rate(http_server_requests_total[5m])', browser: 'closed' }), async (page) => {
    await drawn(page);
    await counts(page.locator('.legendbox [aria-selected]'), 8);
    await page.getByRole('textbox', { name: 'Find series' }).fill('checkout');
    await page.waitForFunction(() => document.querySelectorAll('.legendbox [aria-selected]').length === 2);
    await page.locator('.legendbox .rows').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.locator('.legendbox', { hasText: '1 drawn' }).waitFor();
    assert.equal((await param(page, 'series')).length, 1);
    await page.reload();
    await page.locator('.legendbox', { hasText: '1 drawn' }).waitFor();
    await page.getByRole('button', { name: 'Draw all' }).click();
    await eventually(async () => assert.deepEqual(await param(page, 'series'), []));
    await page.getByRole('button', { name: 'Greatest', exact: true }).click();
    await page.waitForFunction(() => location.search.includes('sort=-max'));
  });
});

test('dragging picks a range, keys pan and reset, arrow keys read values, and there is a table', async () => {
  await at(explore({ start: 'now-30m', query: p95, browser: 'closed' }), async (page) => {
    await drawn(page);
    const plot = page.locator('.plot').first();
    await plot.focus();
    await page.keyboard.press('End');
    await page.locator('.sr[role=status]', { hasText: /http_route="\/cart"} \d+/ }).waitFor();
    await page.getByRole('button', { name: /^Table: / }).click();
    await page.locator('.charttable tbody tr').first().waitFor();
    assert.equal(await page.locator('.charttable thead th').count(), 5);
    const box = await page.locator('.u-over').boundingBox();
    await page.mouse.move(box.x + box.width * 0.4, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.8, box.y + 20, { steps: 4 });
    await page.mouse.up();
    await page.waitForFunction(() => /start=20.*end=20/.test(location.search));
    await idle(page);
    const before = await address(page);
    await page.locator('main').focus();
    await page.keyboard.press('Shift+ArrowLeft');
    await page.waitForFunction((a) => location.pathname + location.search !== a, before);
    await page.keyboard.press('z');
    await page.waitForFunction(() => location.search.includes('start=now-30m'));
  });
});

test('the period before is a dashed line, and its mean stands in the legend', async () => {
  await at(explore({ start: 'now-12m', query: 'sum(rate(http_server_requests_total[2m]))', browser: 'closed' }), async (page) => {
    await drawn(page);
    assert.equal(page.asked.filter((u) => u.includes('query_range')).length, 1);
    await page.keyboard.press('b');
    await page.locator('.legendbox', { hasText: 'Mean before' }).waitFor();
    await page.waitForFunction(() => /%|new/.test(document.querySelector('.legendbox [aria-selected] .change')?.textContent ?? ''));
    const [now, old] = page.asked.filter((u) => u.includes('query_range')).slice(-2).map((u) => new URL(u).searchParams).sort((a, b) => b.get('start') - a.get('start'));
    const step = Number(now.get('step'));
    assert.equal(Number(old.get('end')), Number(now.get('start')) - step);
    assert.equal(Number(now.get('end')) - Number(now.get('start')), Number(old.get('end')) - Number(old.get('start')));
    await page.locator('.plot').first().focus();
    await page.keyboard.press('End');
    await page.locator('.sr[role=status]', { hasText: 'before' }).waitFor();
  });
});

test('exemplars are dots, one click from their trace, and links for who does not point', async () => {
  await at(explore({ start: 'now-30m', query: p95, browser: 'closed' }), async (page) => {
    await drawn(page);
    const dots = page.locator('.u-over .exemplar');
    await dots.nth(20).waitFor();
    assert.match(await dots.first().getAttribute('title'), /order_id=order-[^]*Open its trace/);
    await page.getByRole('button', { name: /exemplars/ }).click();
    const links = page.getByRole('region', { name: 'Exemplars' }).getByRole('link');
    await links.nth(20).waitFor();
    await dots.nth(3).click();
    await page.locator('.fall .row').first().waitFor();
    assert.match(await address(page), /^\/trace\/[0-9a-f]{32}\?span=[0-9a-f]{16}$/);
    await page.locator('.detail').waitFor();
    await page.goBack();
    await drawn(page);
    await page.getByRole('button', { name: 'Exemplars', exact: true }).click();
    await page.waitForFunction(() => document.querySelectorAll('.exemplar').length === 0);
    assert.deepEqual(await param(page, 'exemplars'), ['hidden']);
  });
});

test('native histograms: a summary in the table, means in the chart, a click to the quantile', async () => {
  await at(explore({ start: 'now-30m', query: 'db_client_operation_duration_seconds', as: 'table', browser: 'closed' }), async (page) => {
    await page.locator('.values-of [aria-selected]').first().waitFor();
    assert.match(await page.locator('.values-of [aria-selected]').first().innerText(), /8\.4k × mean 27\.1 ms[^]*50 % \d+\.\d ms, 95 % \d+\.\d ms/);
    await page.locator('main').focus();
    await page.keyboard.press('v');
    await page.getByText('native histograms; the chart shows their mean').waitFor();
    await page.getByRole('button', { name: 'Show the 95 % quantile' }).click();
    await page.waitForFunction(() => new URLSearchParams(location.search).get('query') === 'histogram_quantile(0.95, db_client_operation_duration_seconds)');
    await page.waitForFunction(() => /\d ms/.test(document.querySelector('.legendbox [aria-selected]')?.textContent ?? ''));
  });
});

test('the table: sorted by value and label, a range vector by its last sample, a scalar', async () => {
  await at(explore({ start: 'now-30m', query: 'http_server_requests_total', as: 'table', browser: 'closed' }), async (page) => {
    const rows = page.locator('.values-of [aria-selected]');
    await rows.first().waitFor();
    await page.getByRole('columnheader', { name: 'Value' }).getByRole('button').click();
    await page.waitForFunction(() => location.search.includes('sort=-value'));
    let numbers;
    await eventually(async () => {
      numbers = (await rows.allInnerTexts()).map((t) => Number(t.split('\n').pop()));
      assert.deepEqual(numbers, [...numbers].sort((a, b) => b - a));
    });
    const asked = await getJson(`${clew.api}/prometheus/api/v1/query?query=max(http_server_requests_total)`);
    assert.equal(numbers[0], Number(asked.data.result[0].value[1]));
    await page.getByRole('columnheader', { name: 'http_route' }).getByRole('button').click();
    await page.waitForFunction(() => location.search.includes('sort=http_route'));
    await says(rows.first(), /\/cart/);
    await page.goto(explore({ query: 'http_server_requests_total[5m]', as: 'table', browser: 'closed' }));
    await rows.first().waitFor();
    assert.equal(await page.getByRole('columnheader', { name: 'Last value' }).count(), 1);
    await page.goto(explore({ query: '1 + 1', as: 'table', browser: 'closed' }));
    await page.waitForFunction(() => document.querySelector('.values-of [aria-selected]')?.textContent === '2');
  });
});

test('a question that takes long can be stopped, and one that is over a limit says so', async () => {
  await at(explore({ start: 'now-30m', query: 'up', browser: 'closed' }), async (page) => {
    await idle(page);
    let release;
    const held = new Promise((r) => { release = r; });
    await page.route('**/query_range*', async (route) => {
      await held;
      await route.continue().catch(() => {}); // its page gave it up
    });
    await page.keyboard.press('r');
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('You stopped this question').waitFor();
    release();
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.locator('.empty').waitFor();
    await page.goto(explore({ start: 'now-30m', query: 'sum_over_time(process_memory_usage_bytes[1d:1ms])', browser: 'closed' }));
    await page.locator('.note.error', { hasText: /samples|memory|limit|steps|points/i }).waitFor();
  });
});

test('a search is saved with its screen, and leads back to it', async () => {
  await at(explore({ start: 'now-30m', query: 'sum(rate(http_server_requests_total[5m]))', as: 'table', browser: 'closed' }), async (page) => {
    await page.getByRole('button', { name: 'Saved' }).click();
    await page.getByRole('textbox', { name: 'Name of this search' }).fill('Requests a second');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('link', { name: 'Requests a second' }).waitFor();
    await page.goto('/logs');
    await page.locator('.loglist .row').first().waitFor();
    await palette(page, 'requests a second', 'Search: Requests a second');
    await page.locator('.values-of').waitFor();
    assert.equal(await address(page), explore({ start: 'now-30m', query: 'sum(rate(http_server_requests_total[5m]))', as: 'table', browser: 'closed' }));
  });
});

test('with no metrics at all it says so and leads to getting started, whose snippets work', async () => {
  const empty = await startClew();
  try {
    await at('/explore', async (page) => {
      await page.getByText('No metrics in this range of time').waitFor();
      await page.getByRole('link', { name: 'Send some' }).click();
      await page.getByRole('tab', { name: 'curl a metric' }).click();
      const run = spawnSync('sh', ['-c', await page.locator('#snippet').innerText()], { encoding: 'utf8' });
      assert.match(run.stdout, /HTTP\/1.1 20[04]/);
      await page.getByText('Metrics have come').waitFor();
      await page.getByRole('link', { name: 'Look at them' }).click();
      await drawn(page);
      assert.deepEqual(await param(page, 'query'), ['hello_clew']);
      await says(page.locator('.legendbox [aria-selected]'), /42/);
    }, {}, empty.api);
  } finally {
    await empty.stop();
  }
});

test("getting started: with the snippet of any SDK the SDK's metrics come here", async () => {
  const empty = await startClew();
  const program = `const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics'), { OTLPMetricExporter } = require('@opentelemetry/exporter-metrics-otlp-proto');
    const { resourceFromAttributes } = require('@opentelemetry/resources');
    const provider = new MeterProvider({ resource: resourceFromAttributes({ 'service.name': process.env.OTEL_SERVICE_NAME }), readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() })] });
    provider.getMeter('m').createCounter('visits').add(7, { from: 'test' });
    provider.shutdown();`;
  try {
    await at('/start', async (page) => {
      await page.getByRole('tab', { name: 'Any SDK' }).click();
      const exports = await page.locator('#snippet').innerText();
      const run = spawnSync('sh', ['-c', `${exports}\nexec node -e "$PROGRAM"`], { encoding: 'utf8', cwd: join(root, 'tests/e2e'), env: { ...process.env, PROGRAM: program } });
      assert.equal(run.status, 0, run.stderr);
      await page.getByText('Metrics have come').waitFor();
      await page.goto(explore({ query: 'visits_total', as: 'table' }));
      await page.locator('.values-of [aria-selected]', { hasText: '7' }).waitFor();
      assert.match(await page.locator('.values-of').innerText(), /my-service/);
    }, {}, empty.api);
  } finally {
    await empty.stop();
  }
});

test('getting started: the snippet for Prometheus makes it send here', async () => {
  const empty = await startClew(), dir = temporary('page'), port = await freePort();
  let prometheus;
  try {
    await at('/start', async (page) => {
      await page.getByRole('tab', { name: 'Prometheus' }).click();
      const scrape = `global: { scrape_interval: 1s }\nscrape_configs: [{ job_name: itself, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }]\n`;
      writeFileSync(join(dir, 'prometheus.yml'), scrape + (await page.locator('#snippet').innerText()));
      prometheus = spawn('prometheus', ['--config.file', join(dir, 'prometheus.yml'), '--storage.tsdb.path', join(dir, 'data'), '--web.listen-address', `127.0.0.1:${port}`], { stdio: 'ignore' });
      await page.getByText('Metrics have come').waitFor({ timeout: 40_000 });
      await page.getByRole('link', { name: 'Look at them' }).click();
      await page.locator('.browser .one').waitFor();
      await page.goto(explore({ query: 'up{job="itself"}', as: 'table' }));
      await page.waitForFunction(() => document.querySelector('.values-of [aria-selected]')?.textContent.endsWith('1'));
    }, {}, empty.api);
  } finally {
    if (prometheus) await new Promise((r) => { prometheus.on('exit', r); prometheus.kill(); });
    rmSync(dir, { recursive: true, force: true });
    await empty.stop();
  }
});

// ---- cardinality ---------------------------------------------------------------------------------------------------------

test('cardinality: figures are those of the series, by metric, label and pair, and lead to the explorer', async () => {
  const selector = '{job=~"shop/.+"}';
  assert.equal((await fetch(`${clew.api}/api/v1/admin/flush`, { method: 'POST' })).status, 200);
  await at(`/cardinality?match=${encodeURIComponent(selector)}`, async (page) => {
    await page.locator('#count-0').waitFor();
    const asked = await getJson(`${clew.api}/prometheus/api/v1/series?match[]=${encodeURIComponent(selector)}`);
    const by = new Map();
    for (const s of asked.data) by.set(s.__name__, (by.get(s.__name__) ?? 0) + 1);
    await says(page.locator('.facts'), new RegExp(`${asked.data.length} series\\s+${by.size} metrics`));
    const most = [...by].sort((a, b) => b[1] - a[1])[0];
    await says(page.locator('#count-0'), new RegExp(`${most[0]}[^]*${most[1]}[^]*${(most[1] * 120) / 1000}k[^]*KiB`));
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: `Without ${most[0]}` }).waitFor();
    await says(page.locator('aside'), new RegExp(`Saves ${most[1]} series, ${Math.round((100 * most[1]) / asked.data.length)}% of ${asked.data.length}, and [\\d.]+ KiB on disk[^]*regex: "${most[0]}"`));
    await page.getByRole('link', { name: 'Look at it' }).click();
    await drawn(page);
    assert.deepEqual(await param(page, 'query'), [`${most[0]}${selector}`]);
    await page.goBack();
    await page.getByRole('button', { name: 'By label' }).click();
    await page.locator('#count-0').waitFor();
    await page.locator('.grid-row', { hasText: 'http_route' }).click();
    const left = new Set(asked.data.filter((s) => s.http_route).map((s) => JSON.stringify(Object.entries({ ...s, http_route: '' }).sort()))).size, have = asked.data.filter((s) => s.http_route).length;
    await page.getByText(`${have} series have it; without it ${left} are left.`).waitFor();
    await page.getByText(`Saves ${have - left} series`).waitFor();
    await page.getByRole('button', { name: 'Its values' }).click();
    await page.locator('.grid-row', { hasText: '="/charge"' }).click();
    await page.waitForFunction(() => new URLSearchParams(location.search).get('match').includes('http_route="/charge"'));
    await page.locator('.facts', { hasText: /^14 series/ }).waitFor();
  });
});

test('cardinality: a wrong selector is told at its place; the command line says the same', async () => {
  await at(`/cardinality?match=${encodeURIComponent('{job="x"')}`, async (page) => {
    await page.locator('.wrong', { hasText: 'unexpected end of input' }).waitFor();
    await page.getByRole('button', { name: 'All series' }).click();
    await page.locator('#count-0').waitFor();
  });
  const run = spawnSync(binary, ['cardinality', '{job="shop/pay"}', '--server', clew.api, '--color', 'never'], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stdout, /^16 series of 6 metrics[^]*by metric\n  http_server_request_duration_seconds_bucket +10 +62\.5 %[^]*by label\n[^]*by label and value\n/);
  const bad = spawnSync(binary, ['cardinality', 'sum(x)', '--server', clew.api], { encoding: 'utf8' });
  assert.notEqual(bad.status, 0);
  assert.match(bad.stderr, /match\[\]: 1:1: "sum\(x\)" is no selector/);
});
