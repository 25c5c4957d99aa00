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
