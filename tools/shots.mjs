#!/usr/bin/env node
// ./dev shots: the pictures of the README, out of the demo's stories: docs/shots/NAME-light.png and NAME-dark.png. 256 colours are enough
// for a page of few; one over 150 KB is an error.
import { mkdirSync, statSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBrowser } from '../tests/e2e/browser.mjs';
import { startDemo } from '../tests/e2e/demo.mjs';

const shots = join(dirname(fileURLToPath(import.meta.url)), '../docs/shots'), bytesMax = 150 * 1024;
mkdirSync(shots, { recursive: true });
const demo = await startDemo();
const link = (story, kind) => demo.stories.find((s) => s.name === story).links[kind];
/** name, address, what must be on it */
const views = [
  ['services', demo.api, '.table tbody tr'],
  ['trace', link('slow query', 'trace'), '.detail h2'],
  ['traces', link('new version', 'traces'), '.table tbody tr'],
  ['logs', link('error burst', 'logs'), '.loglist .row'],
];

async function take(browser, [name, url, sign], theme) {
  const page = await browser.open(demo.api, { theme, width: 1280, height: 760 });
  const path = join(shots, `${name}-${theme}.png`);
  await page.goto(url);
  await page.locator(sign).first().waitFor();
  await page.waitForFunction(() => !document.querySelector('.progress.on') && [...document.querySelectorAll('.plot')].every((p) => p.querySelector('canvas')));
  await page.waitForTimeout(500); // canvases draw
  await page.screenshot({ path });
  await page.context().close();
  if (page.wrong.length) throw new Error(`${name}: ${page.wrong.join('; ')}`);
  execFileSync('pngquant', ['--force', '--strip', '--speed', '1', '--output', path, '256', path]);
  const bytes = statSync(path).size;
  console.log(`docs/shots/${name}-${theme}.png ${(bytes / 1024).toFixed(0)} KB`);
  if (bytes > bytesMax) throw new Error(`${path}: ${bytes} bytes, over ${bytesMax}`);
}

const browser = await startBrowser();
try {
  for (const view of views) for (const theme of ['light', 'dark']) await take(browser, view, theme);
} finally {
  await browser.stop();
  await demo.stop();
}
