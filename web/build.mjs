// Makes the page: web/src → every file gzipped in one, a table of them in C, and page.json with their sizes.
//   node build.mjs OUTDIR             page.bin, page_files.c, page.json, page.d (what they came from, for ninja)
//   node build.mjs --tests OUTDIR     web/test/*.test.ts, to be run by `node --test OUTDIR`
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const web = dirname(fileURLToPath(import.meta.url));
const types = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml', html: 'text/html; charset=utf-8' };
const routes = join(web, '../src/api/routes.c'); // the page shows what the API has
const define = { HAS_TAIL: String(readFileSync(routes, 'utf8').includes('"/api/v1/logs/tail"')) };
const common = { absWorkingDir: web, bundle: true, format: 'esm', target: 'es2021', jsx: 'automatic', jsxImportSource: 'preact', define, logLevel: 'warning' };

async function bundle() {
  const names = { entryNames: '[name]-[hash]', chunkNames: '[name]-[hash]', assetNames: '[name]-[hash]' };
  const result = await build({ ...common, ...names, entryPoints: ['src/main.tsx'], outdir: '/assets', publicPath: '/assets',
    splitting: true, minify: true, legalComments: 'none', metafile: true, write: false, loader: { '.svg': 'file' } });
  return { meta: result.metafile, files: result.outputFiles.map((f) => ({ name: basename(f.path), bytes: Buffer.from(f.contents) })) };
}

function fileOf(name, bytes) {
  return { name, type: types[name.split('.').pop()], bytes: gzipSync(bytes, { level: 9 }), tag: createHash('sha256').update(bytes).digest('hex').slice(0, 20) };
}

/** The document, with the names that this build gave. */
function documentOf(files) {
  const find = (start, end) => files.find((f) => f.name.startsWith(start) && f.name.endsWith(end)).name;
  const text = readFileSync(join(web, 'src/index.html'), 'utf8').replace('main.js', find('main-', '.js')).replace('main.css', find('main-', '.css'))
    .replace('icon.svg', find('icon-', '.svg'));
  return Buffer.from(text);
}

/** Gzipped bytes of the entry, and of all that each screen loads. */
function sizesOf(meta, files) {
  const gz = new Map(files.map((f) => [f.name, f.bytes.length]));
  const outputs = Object.fromEntries(Object.entries(meta.outputs).map(([path, o]) => [basename(path), o]));
  const closure = (name, seen = new Set()) => {
    if (seen.has(name)) return seen;
    seen.add(name);
    for (const i of outputs[name].imports) if (i.kind === 'import-statement') closure(basename(i.path), seen);
    if (outputs[name].cssBundle) seen.add(basename(outputs[name].cssBundle));
    return seen;
  };
  const total = (names) => [...names].reduce((sum, n) => sum + (gz.get(n) ?? 0), 0) + gz.get('index.html');
  const main = Object.keys(outputs).find((n) => n.startsWith('main-') && n.endsWith('.js'));
  const entry = closure(main), screens = {};
  const chart = Object.keys(outputs).find((n) => outputs[n].entryPoint === 'src/ui/plot.ts');
  for (const [name, o] of Object.entries(outputs)) {
    const screen = /^src\/screens\/(\w+)\.tsx$/.exec(o.entryPoint ?? '')?.[1];
    if (!screen) continue;
    const own = closure(name);
    const charts = [...own].some((n) => outputs[n]?.imports.some((i) => i.kind === 'dynamic-import' && basename(i.path) === chart));
    screens[screen] = total(new Set([...entry, ...own, ...(charts ? closure(chart) : [])]));
  }
  return { entry: total(entry), screens, files: Object.fromEntries(gz) };
}

/** The table; the bytes lie one file after another in page.bin. */
function cSource(files) {
  const text = ['/* Made by web/build.mjs. */', '#include "api/page/page_priv.h"', '', 'extern const unsigned char page_bytes[];',
    'const struct page_file page_files[] = {'];
  let at = 0;
  for (const f of files) {
    text.push(`    {"${f.name}", "${f.type}", "\\"${f.tag}\\"", page_bytes + ${at}, ${f.bytes.length}, true},`);
    at += f.bytes.length;
  }
  text.push('};', 'const size_t page_file_count = LENGTH(page_files);', '');
  return text.join('\n');
}

async function makePage(out) {
  const { meta, files: made } = await bundle();
  const assets = made.map((f) => fileOf(f.name, f.bytes));
  const files = [fileOf('index.html', documentOf(assets)), ...assets];
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'page.bin'), Buffer.concat(files.map((f) => f.bytes)));
  writeFileSync(join(out, 'page_files.c'), cSource(files));
  writeFileSync(join(out, 'page.json'), JSON.stringify(sizesOf(meta, files), null, 1));
  const inputs = [...Object.keys(meta.inputs), 'src/index.html', 'build.mjs', 'package-lock.json', routes].map((p) => resolve(web, p));
  writeFileSync(join(out, 'page.d'), `${join(out, 'page_files.c')}: ${inputs.map((p) => relative(process.cwd(), p)).join(' ')}\n`);
}

async function makeTests(out) {
  rmSync(out, { recursive: true, force: true });
  const entryPoints = readdirSync(join(web, 'test')).filter((n) => n.endsWith('.test.ts')).map((n) => join('test', n));
  await build({ ...common, entryPoints, outdir: resolve(out), platform: 'node', outExtension: { '.js': '.mjs' } });
}

const [first, second] = process.argv.slice(2);
await (first === '--tests' ? makeTests(second) : makePage(first));
