// Questions in PromQL and their answers, as /prometheus/api/v1 gives them.
import { Failure, withParams, type Params } from './api';
import { toLogin } from './nav';
import { setPrefs } from './prefs';

export const promPath = '/prometheus/api/v1';
export const seriesMost = 1000; // of one answer; the server tells when there are more

export type Labels = Record<string, string>;
/** [seconds, text of the number] */
export type Sample = [number, string];
export interface Native {
  count: string;
  sum: string;
  /** [which ends belong to it: 0 right, 1 left, 2 none, 3 both; from; to; count] */
  buckets?: [number, string, string, string][];
}
export interface SeriesRow {
  metric: Labels;
  values?: Sample[];
  histograms?: [number, Native][];
}
export interface InstantRow {
  metric: Labels;
  value?: Sample;
  histogram?: [number, Native];
}
export type Result = { resultType: 'matrix'; result: SeriesRow[] } | { resultType: 'vector'; result: InstantRow[] } | { resultType: 'scalar' | 'string'; result: Sample };
export interface Envelope<T> {
  status: string;
  data: T;
  warnings?: string[];
  infos?: string[];
}
export interface Exemplars {
  seriesLabels: Labels;
  exemplars: { labels: Labels; value: string; timestamp: number }[];
}
export type Metadata = Record<string, { type: string; help: string; unit: string }[]>;

const longest = 6000; // bytes of an address; a longer question goes as a form

/** Asks; an answer that failed is a Failure with the server's words. */
export async function askProm<T>(path: string, params: Params, signal: AbortSignal): Promise<Envelope<T>> {
  const address = withParams(promPath + path, params), long = address.length > longest;
  const answer = await fetch(long ? promPath + path : address, long ? { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: address.slice(address.indexOf('?') + 1), signal } : { signal }).catch((e: Error) => {
    if (e.name === 'AbortError') throw e;
    throw new Failure(0, 'unavailable', 'clew does not answer', 'It may have been stopped, or the network is down. Then try again.');
  });
  const body = (await answer.json().catch(() => null)) as (Envelope<T> & { errorType?: string; error?: string | { kind: string; message: string; hint?: string } }) | null;
  if (answer.ok && body?.status === 'success') return body;
  if (answer.status === 401) {
    setPrefs({ user: '' });
    toLogin();
  }
  throw failureOf(answer.status, body?.errorType, body?.error);
}

const hints: Record<string, string> = {
  timeout: 'Ask for a shorter range of time, or for fewer series.', canceled: 'Ask again, or take a shorter range of time.', unavailable: 'Try again in a few seconds.', execution: 'Ask for fewer series, a shorter range or a longer step.',
};

function failureOf(status: number, type: string | undefined, error: string | { kind: string; message: string; hint?: string } | undefined): Failure {
  if (error && typeof error === 'object') return new Failure(status, error.kind, error.message, error.hint ?? '');
  const hint = status === 429 ? 'Try again in a few seconds.' : type === 'execution' && !/limit|too many|exceed|memory/i.test(error ?? '') ? '' : (hints[type ?? ''] ?? (status >= 500 ? 'The log of clew says more.' : ''));
  return new Failure(status, type ?? 'internal', error ?? `clew answered ${status}`, hint);
}

/* ---- time ---- */

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
const pointsMost = 11_000;
const usual = 15, usualFrom = 900_000; // seconds between samples, as most send them: over such a range no finer step says more

/** Seconds from one point to the next: about a point for every three pixels, a step that people know, never more points than a question may have. */
export function stepOf(rangeMs: number, pixels: number): number {
  const wanted = rangeMs / 1000 / Math.max(50, Math.min(pixels / 3, 1000));
  const step = steps.find((s) => s >= wanted * 0.8) ?? Math.ceil(wanted / 604800) * 604800;
  return Math.max(step, rangeMs >= usualFrom ? usual : 0, Math.ceil(rangeMs / 1000 / (pointsMost - 1)));
}

/** "15s", "1h30m" or seconds as a step was typed; null if it is none. */
export function readStep(typed: string): number | null {
  const t = typed.trim();
  if (/^\d+(\.\d+)?$/.test(t)) return Number(t) > 0 ? Number(t) : null;
  if (!/^(\d+(ms|[smhdwy]))+$/.test(t)) return null;
  const units: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };
  const s = [...t.matchAll(/(\d+)(ms|[smhdwy])/g)].reduce((sum, [, n, u]) => sum + Number(n) * units[u], 0);
  return s > 0 ? s : null;
}
export function showStep(s: number): string {
  for (const [u, name] of [[604800, 'w'], [86400, 'd'], [3600, 'h'], [60, 'm'], [1, 's']] as const) if (s >= u && s % u === 0) return `${s / u}${name}`;
  return s < 1 ? `${Math.round(s * 1000)}ms` : `${s}s`;
}

/** Points of a question over time, in seconds; the last is the range's end, so that what just came is seen; `n` of them. */
export interface Steps {
  start: number;
  end: number;
  step: number;
  n: number;
}
export function stepsOf(fromMs: number, toMs: number, step: number): Steps {
  const end = Math.floor(toMs / 1000), n = Math.max(1, Math.min(pointsMost, Math.floor((end - fromMs / 1000) / step + 1e-9) + 1));
  return { start: round(end - (n - 1) * step), end: round(end), step, n };
}
const round = (s: number): number => Math.round(s * 1000) / 1000;
/** The period before: as long, point for point. */
export const stepsBefore = (s: Steps): Steps => ({ ...s, start: round(s.start - s.n * s.step), end: round(s.end - s.n * s.step) });

/* ---- words ---- */

export const labelsText = (l: Labels, but: ReadonlySet<string> = new Set()): string => {
  const name = but.has('__name__') ? '' : (l.__name__ ?? '');
  const rest = Object.keys(l).filter((k) => k !== '__name__' && !but.has(k)).map((k) => `${k}=${JSON.stringify(l[k])}`);
  return rest.length ? `${name}{${rest.join(', ')}}` : name || '{}';
};

/** How many series came, of what kind. */
export const rowsOf = (r: Result | null): number => (r === null ? 0 : r.resultType === 'matrix' || r.resultType === 'vector' ? r.result.length : 1);

/** "A" to "Z" for the queries of a screen. */
export const letterOf = (i: number): string => String.fromCharCode(65 + i);

/* ---- what a metric is for ---- */

export type Measure = '' | 'seconds' | 'bytes' | 'ratio' | 'bytes/s';
const keeps = new Set(['sum', 'avg', 'min', 'max', 'topk', 'bottomk', 'quantile', 'histogram_quantile', 'histogram_avg', 'avg_over_time', 'min_over_time', 'max_over_time', 'last_over_time', 'quantile_over_time', 'abs', 'clamp', 'clamp_min', 'clamp_max', 'sort', 'sort_desc', 'increase', 'delta', 'idelta', 'label_replace', 'label_join', 'stddev', 'limitk']);
const rates = new Set(['rate', 'irate', 'deriv']);

/** The unit of what a query gives, where its names and functions leave no doubt; else "". */
export function measureOf(words: { kind: string; text: string }[], metrics: string[]): Measure {
  const units = new Set(metrics.map((m) => /(?:^|[_.])(seconds|bytes|ratio)(?:_bucket|_sum|_total)?$/.exec(m)?.[1] ?? ''));
  const unit = units.size === 1 ? [...units][0] : '';
  let isRate = false, quantile = false;
  for (let i = 0; i < words.length; i++) {
    const w = words[i];
    if (w.kind === 'op' && !['=', '!=', '=~', '!~', ':'].includes(w.text)) return '';
    if (w.kind === 'name' && ['and', 'or', 'unless', 'atan2'].includes(w.text)) return '';
    if (w.kind !== 'name' || words[i + 1]?.text !== '(') continue;
    if (rates.has(w.text)) isRate = true;
    else if (w.text === 'histogram_quantile') quantile = true;
    else if (!keeps.has(w.text) && !['by', 'without'].includes(w.text)) return '';
  }
  if (metrics.some((m) => m.endsWith('_bucket')) && !quantile) return '';
  if (!isRate || quantile) return unit as Measure;
  return unit === 'bytes' ? 'bytes/s' : '';
}

/** Queries that are worth a look for a metric of a type. `selector` writes it with what the browser is held to. */
export function suggestions(name: string, type: string, labels: string[], selector: (metric: string) => string): { text: string; query: string }[] {
  const s = selector(name), base = name.replace(/_(bucket|sum|count|total)$/, '');
  const by = labels.filter((l) => !['le', 'quantile', '__name__'].includes(l)).slice(0, 3);
  const isBucket = name.endsWith('_bucket'), isCounter = type === 'counter' || /_(total|bucket)$/.test(name) || ((type === 'histogram' || type === 'summary') && /_(sum|count)$/.test(name));
  if (isBucket) {
    const p95 = (l: string): string => `histogram_quantile(0.95, sum by (${l ? `${l}, ` : ''}le) (rate(${s}[5m])))`;
    return [{ text: '95 %', query: p95('') }, ...by.map((l) => ({ text: `95 % by ${l}`, query: p95(word(l)) })), { text: 'mean', query: `sum(rate(${selector(`${base}_sum`)}[5m])) / sum(rate(${selector(`${base}_count`)}[5m]))` }, { text: 'as it is', query: s }];
  }
  if (type === 'histogram' && !isCounter) return [{ text: '95 %', query: `histogram_quantile(0.95, sum(rate(${s}[5m])))` }, { text: 'mean', query: `histogram_avg(sum(rate(${s}[5m])))` }, { text: 'a second', query: `sum(histogram_count(rate(${s}[5m])))` }, ...by.map((l) => ({ text: `95 % by ${l}`, query: `histogram_quantile(0.95, sum by (${word(l)}) (rate(${s}[5m])))` })), { text: 'as it is', query: s }];
  if (isCounter) return [{ text: 'a second', query: `sum(rate(${s}[5m]))` }, ...by.map((l) => ({ text: `by ${l}`, query: `sum by (${word(l)}) (rate(${s}[5m]))` })), { text: 'growth', query: `sum(increase(${s}[1h]))` }, { text: 'each series', query: `rate(${s}[5m])` }];
  return [{ text: 'each series', query: s }, { text: 'mean', query: `avg(${s})` }, { text: 'sum', query: `sum(${s})` }, ...by.map((l) => ({ text: `by ${l}`, query: `avg by (${word(l)}) (${s})` }))];
}
const word = (label: string): string => (/^[a-zA-Z_]\w*$/.test(label) ? label : JSON.stringify(label));
