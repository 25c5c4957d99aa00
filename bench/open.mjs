// node bench/open.mjs URL: opens a trace in Chromium and ends well when its first row is painted; all else is an error.
import { startBrowser } from '../tests/e2e/browser.mjs';

const url = new URL(process.argv[2]);
const browser = await startBrowser();
try {
  const page = await browser.open(url.origin);
  await page.goto(url.href);
  await page.locator('.fall .row').first().waitFor({ timeout: 60_000 });
  await page.evaluate(() => new Promise((r) => { requestAnimationFrame(() => setTimeout(r)); }));
  if (page.wrong.length) throw new Error(page.wrong.join('; '));
} finally {
  await browser.stop();
}
