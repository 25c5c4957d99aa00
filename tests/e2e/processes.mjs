// What tests start and a failure would leave behind: a child or a server that lives keeps its file from ending, and so its stage.
import * as child from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

const ends = new Set();

/** `end` is called when all tests of the file are over, unless the given function was called before. */
export function endLater(end) {
  ends.add(end);
  return () => ends.delete(end);
}

const folders = [];
process.on('exit', () => folders.forEach((dir) => rmSync(dir, { recursive: true, force: true, maxRetries: 3 })));
/** A folder of its own, gone with the process. */
export function temporary(name) {
  folders.push(mkdtempSync(join(tmpdir(), `clew-${name}-`)));
  return folders.at(-1);
}

/** As that of node:child_process, for a child that does not outlive the tests. */
export function spawn(...args) {
  const started = child.spawn(...args), exited = new Promise((resolve) => started.once('exit', resolve));
  const forget = endLater(async () => {
    started.kill('SIGTERM');
    const late = setTimeout(() => started.kill('SIGKILL'), 5000);
    await exited;
    clearTimeout(late);
  });
  started.once('exit', forget).once('error', forget);
  return started;
}

// Measurements use these helpers, too, and are no tests: they end what they start.
if (process.argv[1]?.endsWith('.test.mjs')) after(() => Promise.all([...ends].map((end) => end())));
