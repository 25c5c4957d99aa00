// Starts `./dev demo` (but for the build) and reads what it prints; ends it as Ctrl-C would.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawn } from './processes.mjs';

const program = join(dirname(fileURLToPath(import.meta.url)), '../../tools/demo');

/** name: what happened, and below it lines of a name and an address. */
export function readStories(text) {
  return [...text.matchAll(/^([a-z ]+): (.+)\n((?: {2}\w+ +http\S+\n)+)/gm)].map(([, name, what, lines]) => ({
    name, what, links: Object.fromEntries([...lines.matchAll(/^ {2}(\w+) +(\S+)$/gm)].map(([, kind, url]) => [kind, url])),
  }));
}

/** {api, gateway, payment, work, stories, errors(), stop()}, when all that it says is said; work: its folder. */
export async function startDemo() {
  const child = spawn(program, [], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '', errors = '';
  const ended = new Promise((resolve) => child.on('exit', (code) => resolve(code)));
  child.stderr.on('data', (d) => { errors += d; });
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (d) => { out += d; if (out.includes('Ctrl-C ends it.')) resolve(); });
    ended.then(() => reject(new Error(`the demo ended: ${errors}`)));
  });
  return {
    api: /clew is running: (\S+)/.exec(out)[1],
    gateway: /(http:\S+)\/api\/orders/.exec(out)[1],
    payment: /curl (http:\S+)\/faults/.exec(out)[1],
    work: /^Data: (\S+)\/data$/m.exec(out)[1],
    stories: readStories(out),
    errors: () => errors,
    /** Nobody reads what it says any more, as where it was piped to something that ended. */
    deafen: () => { child.stdout.destroy(); child.stderr.destroy(); },
    stop: () => { child.kill('SIGINT'); return ended; },
  };
}
