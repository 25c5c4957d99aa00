// Log records as columns: the list draws from these, page after page, and the histogram's counts as stacked series.
import { parseMs } from '../lib/time';

export const severities = ['unset', 'trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type Severity = (typeof severities)[number];

export interface LogIn {
  time: string;
  severity: string;
  service: string;
  body: unknown;
}

/** Grows by doubling; the records themselves are kept beside the columns, for the details of one. */
export class LogColumns<T extends LogIn> {
  n = 0;
  time = new Float64Array(256); // ms
  severity = new Uint8Array(256);
  readonly line: string[] = [];
  readonly record: T[] = [];

  append(page: readonly T[]): void {
    this.reserve(this.n + page.length);
    for (const r of page) {
      this.time[this.n] = parseMs(r.time);
      this.severity[this.n] = Math.max(0, severities.indexOf(r.severity as Severity));
      this.line.push(lineOf(r.body));
      this.record.push(r);
      this.n++;
    }
  }

  /** Forgets the oldest beyond `max`, half a `max` at a time so that it is cheap. How many. */
  keepLast(max: number): number {
    if (this.n <= max * 1.5) return 0;
    const gone = this.n - max;
    this.time.copyWithin(0, gone, this.n);
    this.severity.copyWithin(0, gone, this.n);
    this.line.splice(0, gone);
    this.record.splice(0, gone);
    this.n = max;
    return gone;
  }

  private reserve(n: number): void {
    if (n <= this.time.length) return;
    const capacity = Math.max(n, this.time.length * 2);
    const time = new Float64Array(capacity), severity = new Uint8Array(capacity);
    time.set(this.time);
    severity.set(this.severity);
    this.time = time;
    this.severity = severity;
  }
}

/** A body as one line of at most 1,000 characters: text as it is, all else as JSON. */
export function lineOf(body: unknown): string {
  const text = typeof body === 'string' ? body : body === null || body === undefined ? '' : JSON.stringify(body);
  return text.slice(0, 1000).replace(/[\r\n\t\u2028\u2029]+/g, ' ⏎ ');
}

export interface BucketIn {
  start: string;
  [severity: string]: string | number;
}
/** Shown together: little, much, bad. */
export const groups = [
  { name: 'debug and less', of: ['unset', 'trace', 'debug'] },
  { name: 'info', of: ['info'] },
  { name: 'warn', of: ['warn'] },
  { name: 'error and fatal', of: ['error', 'fatal'] },
] as const;

/** [seconds, then for each group its height with all groups below it: errors stand at the bottom]. */
export function stacked(buckets: readonly BucketIn[]): Float64Array[] {
  const out = Array.from({ length: groups.length + 1 }, () => new Float64Array(buckets.length));
  buckets.forEach((b, i) => {
    out[0][i] = parseMs(b.start) / 1000;
    let sum = 0;
    for (let g = groups.length - 1; g >= 0; g--) {
      for (const s of groups[g].of) sum += Number(b[s] ?? 0);
      out[g + 1][i] = sum;
    }
  });
  return out;
}

/** The same without standing on one another, as it is told. */
export function unstacked(buckets: readonly BucketIn[]): Float64Array[] {
  const sums = stacked(buckets);
  for (let g = 1; g < groups.length; g++) for (let i = 0; i < buckets.length; i++) sums[g][i] -= sums[g + 1][i];
  return sums;
}

/** All of each bucket; n values, null where there is no such bucket. */
export function totals(buckets: readonly BucketIn[], n: number): (number | null)[] {
  return Array.from({ length: n }, (_, i) => (buckets[i] ? severities.reduce((sum, s) => sum + Number(buckets[i][s] ?? 0), 0) : null));
}

/** A record as columns want it: what a key of a column stands for. `resource.` and `scope.` say where; a bare key is the record's, or
 * else its resource's. */
export interface Cells extends LogIn {
  attributes: Record<string, unknown>;
  resourceOf?: { environment: string; attributes: Record<string, unknown> };
  scopeOf?: { name: string; version: string; attributes: Record<string, unknown> };
}
type Key = { field: string } | { prefix: string; key: string } | null;

function valueOf(r: Cells, key: Key): unknown {
  if (key === null) return undefined;
  if ('field' in key) return key.field === 'environment' ? r.resourceOf?.environment : (r as unknown as Record<string, unknown>)[key.field];
  const resource = r.resourceOf?.attributes ?? {};
  if (key.prefix === 'resource.') return resource[key.key];
  if (key.prefix === 'scope.') return key.key === 'name' || key.key === 'version' ? r.scopeOf?.[key.key] : r.scopeOf?.attributes[key.key];
  return key.key in r.attributes ? r.attributes[key.key] : key.prefix === '' ? resource[key.key] : undefined;
}

/** What a cell shows: one line, "" where the record has no such value. */
export const cellOf = (r: Cells, key: Key): string => lineOf(valueOf(r, key));

const narrow: Record<string, string> = { severity: 'var(--severity)', service: 'minmax(90px, 150px)', body: 'minmax(220px, 1fr)', trace_id: '250px', span_id: '130px' };
const least: Record<string, number> = { severity: 62, service: 90, body: 220, trace_id: 250, span_id: 130 };

/** Widths of columns by what the first records hold: 8 to 32 characters, the body takes what is left. And the least of all together. */
export function widthsOf(keys: readonly string[], read: (key: string) => Key, first: readonly Cells[]): { template: string; least: number } {
  let sum = 148;
  const widths = keys.map((name) => {
    const key = read(name), field = key && 'field' in key ? key.field : '';
    if (narrow[field]) {
      sum += least[field] + 10;
      return narrow[field];
    }
    const longest = first.slice(0, 100).reduce((n, r) => Math.max(n, cellOf(r, key).length), Math.min(20, name.length));
    const px = Math.round(Math.max(8, Math.min(32, longest)) * 7.3) + 4;
    sum += px + 10;
    return `${px}px`;
  });
  if (!keys.includes('body')) widths.push('minmax(0, 1fr)');
  return { template: widths.join(' '), least: sum };
}
