// What clew scrapes, as /prometheus/api/v1/targets answers, and what is read out of it.
import type { Labels } from './prom';
import type { TargetsState } from './screens';

export type TargetHealth = 'down' | 'unknown' | 'up';
export interface Target {
  discoveredLabels: Labels;
  labels: Labels;
  scrapePool: string;
  scrapeUrl: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number; // seconds
  health: TargetHealth;
  scrapeInterval: string;
  scrapeTimeout: string;
}
export interface Dropped {
  discoveredLabels: Labels;
  scrapePool: string;
}
export interface TargetsAnswer {
  activeTargets: Target[];
  droppedTargets: Dropped[]; // keep_dropped_targets at most of a pool; all are counted
  droppedTargetCounts: Record<string, number>;
}
export interface Notification {
  text: string;
  date: string;
  active: boolean;
}

export type Counts = Record<TargetHealth, number>;
/** A job: what of it is shown, and how many it has. */
export interface Pool {
  name: string;
  of: Counts;
  targets: Target[]; // that match, what is down first
  dropped: Dropped[]; // that match
  droppedCount: number; // all of them
}

const order: Record<TargetHealth, number> = { down: 0, unknown: 1, up: 2 };
const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export const keyOf = (l: Labels): string => JSON.stringify(Object.keys(l).filter((k) => k !== '__name__').sort().map((k) => [k, l[k]]));
export const pairsOf = (l: Labels): [string, string][] => Object.keys(l).sort().map((k) => [k, l[k]]);

export function countsOf(all: readonly Target[]): Counts {
  const of: Counts = { down: 0, unknown: 0, up: 0 };
  for (const t of all) of[t.health]++;
  return of;
}

const holds = (words: readonly string[], texts: readonly string[]): boolean => {
  const all = texts.join('\n').toLowerCase();
  return words.every((w) => all.includes(w));
};
const labelTexts = (l: Labels): string[] => Object.entries(l).map(([k, v]) => `${k}=${v}`);

/** The jobs that the filter leaves, those with something down first, else by name. A job without any target is one too: it may await a discovery. */
export function poolsOf(of: TargetsAnswer, state: Pick<TargetsState, 'state' | 'pool' | 'find'>): Pool[] {
  const words = state.find.toLowerCase().split(/\s+/).filter((w) => w !== ''), pools = new Map<string, { targets: Target[]; dropped: Dropped[] }>();
  const at = (name: string): { targets: Target[]; dropped: Dropped[] } => pools.get(name) ?? pools.set(name, { targets: [], dropped: [] }).get(name)!;
  for (const name of Object.keys(of.droppedTargetCounts)) at(name);
  for (const t of of.activeTargets) at(t.scrapePool).targets.push(t);
  for (const d of of.droppedTargets) at(d.scrapePool).dropped.push(d);
  const narrow = state.state !== 'all' || words.length > 0;
  return [...pools].filter(([name]) => state.pool === '' || state.pool === name).map(([name, p]): Pool => ({
    name,
    of: countsOf(p.targets),
    targets: p.targets.filter((t) => (state.state === 'all' || t.health === state.state) && (words.length === 0 || holds(words, [t.scrapePool, t.scrapeUrl, t.lastError, ...labelTexts(t.labels)])))
      .sort((a, b) => order[a.health] - order[b.health] || byText(a.scrapeUrl, b.scrapeUrl) || byText(keyOf(a.labels), keyOf(b.labels))),
    dropped: state.state !== 'all' ? [] : p.dropped.filter((d) => words.length === 0 || holds(words, [d.scrapePool, ...labelTexts(d.discoveredLabels)])),
    droppedCount: of.droppedTargetCounts[name] ?? p.dropped.length,
  })).filter((p) => !narrow || p.targets.length > 0 || p.dropped.length > 0)
    .sort((a, b) => Number(b.of.down > 0) - Number(a.of.down > 0) || Number(b.of.unknown > 0) - Number(a.of.unknown > 0) || byText(a.name, b.name));
}

/** A label before and after relabelling. */
export interface Change {
  name: string;
  found: string | null;
  final: string | null;
  kind: 'same' | 'changed' | 'made' | 'gone';
}
/** Labels that stand at the target first, then those that were only there to be relabelled. */
export function changesOf(found: Labels, final: Labels): Change[] {
  const names = [...new Set([...Object.keys(found), ...Object.keys(final)])];
  const all = names.map((name): Change => {
    const a = found[name] ?? null, b = final[name] ?? null;
    return { name, found: a, final: b, kind: b === null ? 'gone' : a === null ? 'made' : a === b ? 'same' : 'changed' };
  });
  return all.sort((a, b) => Number(a.final === null) - Number(b.final === null) || byText(a.name, b.name));
}

/** "3 s ago"; null: never. Clocks of two machines may differ: what lies ahead is now. */
export function agoOf(t: string, nowMs: number): string | null {
  if (t.startsWith('0001-')) return null;
  const s = Math.max(0, Math.floor((nowMs - Date.parse(t)) / 1000));
  return s < 1 ? 'now' : s < 60 ? `${s} s ago` : s < 3600 ? `${Math.floor(s / 60)} min ago` : s < 86400 ? `${Math.floor(s / 3600)} h ago` : `${Math.floor(s / 86400)} d ago`;
}

export interface Place {
  file: string;
  line: number;
  message: string;
}
/** A notification's text: what happened, and the places it names, "file:line: message" each, with "; " between. Without a place all is what. */
export function readNotification(text: string): { what: string; places: Place[] } {
  const first = /(?:^|\s)(\S+:\d+: )/.exec(text);
  if (!first) return { what: text, places: [] };
  const start = first.index + first[0].length - first[1].length;
  const places = text.slice(start).split(/; (?=\S+:\d+: )/).map((one): Place => {
    const [, file, line, message] = /^(\S+?):(\d+): ([^]*)$/.exec(one)!;
    return { file, line: Number(line), message };
  });
  return { what: text.slice(0, start).replace(/:?\s*$/, ''), places };
}

/** From `scrape_samples_scraped`: how many samples each target gave, by keyOf its labels. */
export const samplesOf = (rows: readonly { metric: Labels; value?: [number, string] }[]): Map<string, number> => new Map(rows.flatMap((r) => (r.value ? [[keyOf(r.metric), Number(r.value[1])] as const] : [])));

export const firstConfig = `# prometheus.yml
global:
  scrape_interval: 15s
scrape_configs:
  - job_name: node
    static_configs:
      - targets: ['localhost:9100']
`;
export const firstCommands = `clew scrape check prometheus.yml
clew serve --scrape-config prometheus.yml`;
