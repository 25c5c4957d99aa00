// A browser for tests of the page: the distribution's Chromium, driven by playwright-core.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { endLater } from './processes.mjs';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const longest = 30_000; // ms that something is waited for: many times what it takes, since other stages may run beside this one
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
  page.setDefaultTimeout(longest);
  try {
    await page.goto(path);
    await fn(page);
    assert.deepEqual(page.wrong, []);
  } finally {
    await page.context().close();
  }
};
export const address = (page) => page.evaluate(() => location.pathname + location.search);
/** Nothing is awaited, and charts are drawn: for ten frames, since what was just done may not have asked yet. */
export const idle = async (page) => {
  await page.evaluate(() => { window.quietFrames = 0; });
  await page.waitForFunction(() => { // once a frame
    const busy = document.querySelector('.progress.on') || [...document.querySelectorAll('.plot')].some((p) => !p.querySelector('canvas'));
    window.quietFrames = busy ? 0 : (window.quietFrames ?? 0) + 1;
    return window.quietFrames > 10;
  });
};
/** Tries until `check` passes; after the longest time what it says is what went wrong. */
export async function eventually(check) {
  for (const end = Date.now() + longest; ; await sleep(50))
    try {
      return await check();
    } catch (e) {
      if (Date.now() > end) throw e;
    }
}
/** What `sign` selects is there, and all else that was asked for; keys are heard. */
export const shown = async (page, sign) => {
  await page.locator(sign).first().waitFor();
  await idle(page);
};
/** Presses a key that leads to a field, and types there. */
export const typeAt = async (page, key, field, text) => {
  await page.keyboard.press(key);
  await page.locator(`${field}:focus`).waitFor();
  await page.keyboard.type(text);
};
/** Types with 10 ms between keys by the page's own clock, however slow the machine is. */
export const burst = async (page, text) => {
  await page.clock.install();
  await page.clock.pauseAt(Date.now() + 60_000); // it stands only at a time that is yet to come
  for (const key of text) {
    await page.keyboard.type(key);
    await page.clock.runFor(10);
  }
  await page.clock.runFor(1000);
  await page.clock.resume();
};
/** Words in the palette, and Enter on the command that they are for. */
export const palette = async (page, words, command) => {
  await shown(page, 'nav'); // before that nobody hears the keys
  await typeAt(page, 'Control+k', 'dialog.palette input', words);
  await page.locator('[role=option][aria-selected=true]', { hasText: command }).waitFor();
  await page.keyboard.press('Enter');
};

/** Tests of `screens`, [name, path, sign that it is there], by `at` of visitor; a path may be made of the width when the test runs. In both
 * themes, wide and narrow: axe finds nothing, few questions were asked, nothing is cut off. A picture of each is kept. */
export function sweep(at, screens, { most = 4, promise = 'axe finds nothing, four questions at most', then = async () => {} } = {}) {
  for (const [theme, width] of [['light', 1440], ['dark', 1440], ['light', 380], ['dark', 380]])
    for (const [name, path, sign] of screens)
      test(`${name}, ${theme}, ${width} px: ${promise}`, () => at(typeof path === 'function' ? path(width) : path, async (page) => {
        await shown(page, sign);
        const questions = page.asked.filter((u) => u.includes('/api/')); // some are asked again every few seconds
        assert.ok(questions.length <= most, questions.join('\n'));
        await shot(page, `${name}-${theme}-${width}`);
        assert.deepEqual(await axe(page), []);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${wide} px wide`);
        await then(page, name, `${theme}-${width}`);
      }, { theme, width, height: width < 500 ? 800 : 900 }));
}
