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
const define = { HAS_TAIL: String(readFileSync(routes, 'utf8').includes('"/api/v1/logs/tail"')), Intl: 'plainIntl' };
const common = { absWorkingDir: web, bundle: true, format: 'esm', target: 'es2021', jsx: 'automatic', jsxImportSource: 'preact', define, inject: ['src/lib/intl.ts'], logLevel: 'warning' };

/** What is loaded later takes from main.tsx's file all that is in it, so that this is one file: else esbuild makes one for every set of files
 * that share something, and a screen waits for a dozen. */
const whole = {
  name: 'whole',
  setup: (b) => b.onLoad({ filter: /src\/(screens|ui\/plot\.ts)/ }, ({ path }) => ({ contents: `import '../main'; ${readFileSync(path, 'utf8')}`, loader: path.split('.').pop() })),
};

async function bundle() {
  const names = { entryNames: '[name]-[hash]', chunkNames: '[name]-[hash]', assetNames: '[name]-[hash]' };
  const { metafile: meta, outputFiles } = await build({ ...common, ...names, entryPoints: ['src/main.tsx', 'src/style/app.css', 'src/icon.svg'], plugins: [whole], outdir: '/assets', publicPath: '/assets',
    splitting: true, minify: true, legalComments: 'none', metafile: true, write: false, loader: { '.svg': 'copy' } });
  const outputs = Object.fromEntries(Object.entries(meta.outputs).map(([path, o]) => [basename(path), o]));
  const stub = Object.keys(outputs).find((n) => outputs[n].entryPoint === 'src/main.tsx'); // imports that file, and is nothing else
  const files = outputFiles.map((f) => ({ name: basename(f.path), bytes: Buffer.from(f.contents) })).filter((f) => f.name !== stub);
  return { inputs: meta.inputs, outputs, files, main: basename(outputs[stub].imports[0].path) };
}

function fileOf(name, bytes) {
  return { name, type: types[name.split('.').pop()], bytes: gzipSync(bytes, { level: 9 }), tag: createHash('sha256').update(bytes).digest('hex').slice(0, 20) };
}

/** The document, with the names that this build gave. */
function documentOf(main, files) {
  const find = (end) => files.find((f) => f.name.endsWith(end)).name;
  const text = readFileSync(join(web, 'src/index.html'), 'utf8').replace('main.js', main).replace('app.css', find('.css')).replace('icon.svg', find('.svg'));
  return Buffer.from(text);
}

/** All that is reached from a file, by what it imports at once. */
function closure(graph, name, seen = new Set()) {
  if (!graph[name] || seen.has(name)) return seen;
  seen.add(name);
  for (const i of graph[name].imports) if (i.kind === 'import-statement' && i.path !== 'src/main.tsx') closure(graph, i.path in graph ? i.path : basename(i.path), seen);
  return seen;
}

/** Gzipped bytes of the entry, and of all that each screen loads. */
function sizesOf({ inputs, outputs, main }, files) {
  const gz = new Map(files.map((f) => [f.name, f.bytes.length]));
  const total = (names) => [...new Set(names)].reduce((sum, n) => sum + gz.get(n), 0);
  const madeOf = (source) => [...closure(outputs, Object.keys(outputs).find((n) => outputs[n].entryPoint === source) ?? main)];
  const entry = [...closure(outputs, main), ...[...gz.keys()].filter((n) => /html$|css$/.test(n))], screens = {};
  for (const source of Object.keys(inputs).filter((n) => n.startsWith('src/screens/')))
    screens[basename(source, '.tsx')] = total([...entry, ...madeOf(source), ...(closure(inputs, source).has('src/ui/chart.tsx') ? madeOf('src/ui/plot.ts') : [])]);
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
  const made = await bundle();
  const assets = made.files.map((f) => fileOf(f.name, f.bytes));
  const files = [fileOf('index.html', documentOf(made.main, assets)), ...assets];
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'page.bin'), Buffer.concat(files.map((f) => f.bytes)));
  writeFileSync(join(out, 'page_files.c'), cSource(files));
  writeFileSync(join(out, 'page.json'), JSON.stringify(sizesOf(made, files), null, 1));
  const inputs = [...Object.keys(made.inputs), 'src/index.html', 'build.mjs', 'package-lock.json', routes].map((p) => resolve(web, p));
  writeFileSync(join(out, 'page.d'), `${join(out, 'page_files.c')}: ${inputs.map((p) => relative(process.cwd(), p)).join(' ')}\n`);
}

async function makeTests(out) {
  rmSync(out, { recursive: true, force: true });
  const entryPoints = readdirSync(join(web, 'test')).filter((n) => n.endsWith('.test.ts')).map((n) => join('test', n));
  await build({ ...common, entryPoints, outdir: resolve(out), platform: 'node', outExtension: { '.js': '.mjs' } });
}

const [first, second] = process.argv.slice(2);
await (first === '--tests' ? makeTests(second) : makePage(first));
