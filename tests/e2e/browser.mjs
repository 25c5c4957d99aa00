// A browser for tests of the page: the distribution's Chromium, driven by playwright-core.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { endLater } from './processes.mjs';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
export const hasBrowser = existsSync(executablePath);
const shots = join(dirname(fileURLToPath(import.meta.url)), '../../build/shots');
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function startBrowser() {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  const forget = endLater(() => browser.close());
  const door = {
    /** A page of its own browser context; `wrong` collects faults of scripts, refused content and requests to elsewhere. */
    async open(base, { theme = 'light', width = 1440, height = 900, ...more } = {}) {
      const context = await browser.newContext({ baseURL: base, colorScheme: theme, viewport: { width, height }, timezoneId: 'UTC', reducedMotion: 'reduce', ...more });
      const page = await context.newPage();
      page.wrong = [];
      page.asked = [];
      page.on('pageerror', (e) => page.wrong.push(`script: ${e.message}`));
      page.on('console', (m) => { if (m.type() === 'error' && !/status of 4\d\d/.test(m.text())) page.wrong.push(m.text()); });
      page.on('request', (r) => { page.asked.push(r.url()); if (!r.url().startsWith(base)) page.wrong.push(`elsewhere: ${r.url()}`); });
      return page;
    },
    version: () => browser.version(),
    stop: () => { forget(); return browser.close(); },
  };
  return door;
}

/** What axe finds, as lines; none is wanted. Through the debugger's door, since the page's policy lets in no script of others. */
export async function axe(page) {
  const session = await page.context().newCDPSession(page);
  const run = async (expression, awaitPromise = false) => {
    const r = await session.send('Runtime.evaluate', { expression, awaitPromise, returnByValue: true });
    if (r.exceptionDetails) throw new Error(r.exceptionDetails.exception?.description ?? r.exceptionDetails.text);
    return r.result.value;
  };
  await run(axeSource);
  const found = JSON.parse(await run(`axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then((r) => JSON.stringify(r.violations))`, true));
  await session.detach();
  return found.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')}: ${n.failureSummary.split('\n')[1]?.trim()}`));
}

export async function shot(page, name) {
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`) });
}

/** Gives `at(path, fn, options, base)`: runs fn with a page at path, and then wants that nothing went wrong on it. `of` gives {browser, clew}. */
export const visitor = (of) => async (path, fn, options = {}, base = of().clew.api) => {
  const page = await of().browser.open(base, options);
  page.setDefaultTimeout(15_000);
  try {
    await page.goto(path);
    await fn(page);
    assert.deepEqual(page.wrong, []);
  } finally {
    await page.context().close();
  }
};
export const address = (page) => page.evaluate(() => location.pathname + location.search);
/** Nothing is awaited, and charts are drawn. */
export const idle = async (page) => {
  await page.waitForFunction(() => !document.querySelector('.progress.on') && [...document.querySelectorAll('.plot')].every((p) => p.querySelector('canvas')));
  await page.evaluate(() => new Promise((r) => requestAnimationFrame(() => setTimeout(r, 100))));
};
