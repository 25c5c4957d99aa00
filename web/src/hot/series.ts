// Answers in PromQL as what a chart, a legend and a table need: one array over the steps each, figures of a line, quantiles of native
// histograms, labels that tell rows from one another. Plain functions; nothing is asked for or drawn here.
import { labelsText, type Exemplars, type InstantRow, type Labels, type Native, type Result, type SeriesRow, type Steps } from '../lib/prom';

export interface Line {
  query: number; // which of the queries
  labels: Labels;
  key: string; // tells it from every other
  values: (number | null)[]; // at each step
  native: boolean; // means of native histograms
  n: number; // values that are there
  last: number | null;
  min: number;
  max: number;
  mean: number;
}

/** Its labels in an order of their own, so that two that are equal are written equally. */
export function keyOf(query: number, labels: Labels): string {
  return `${query}${JSON.stringify(Object.keys(labels).sort().map((k) => [k, labels[k]]))}`;
}

const meanOf = (h: Native): number => Number(h.sum) / Number(h.count);

/** Values at the steps; what stands between them or is no number a chart can have is left out. */
function onSteps(row: SeriesRow, s: Steps): { values: (number | null)[]; native: boolean } {
  const values = new Array<number | null>(s.n).fill(null), native = !row.values?.length && !!row.histograms?.length;
  const put = (t: number, v: number): void => {
    const i = Math.round((t - s.start) / s.step);
    if (i >= 0 && i < s.n && Math.abs(s.start + i * s.step - t) < s.step / 2 && Number.isFinite(v)) values[i] = v;
  };
  for (const [t, v] of row.values ?? []) put(t, Number(v));
  if (native) for (const [t, h] of row.histograms!) put(t, meanOf(h));
  return { values, native };
}

function figures(values: (number | null)[]): Pick<Line, 'n' | 'last' | 'min' | 'max' | 'mean'> {
  let n = 0, min = Infinity, max = -Infinity, sum = 0, last: number | null = null;
  for (const v of values) {
    if (v === null) continue;
    n++;
    min = Math.min(min, v);
    max = Math.max(max, v);
    sum += v;
    last = v;
  }
  return { n, last, min, max, mean: n ? sum / n : NaN };
}

export function linesOf(result: Result, query: number, s: Steps): Line[] {
  const rows: SeriesRow[] = result.resultType === 'matrix' ? result.result : result.resultType === 'scalar' ? [{ metric: {}, values: [result.result] }] : [];
  return rows.map((row) => {
    const { values, native } = onSteps(row, s);
    return { query, labels: row.metric, key: keyOf(query, row.metric), values, native, ...figures(values) };
  });
}

/** Those that a chart draws: at most `most`, the ones that are picked or whose words are looked for; the greatest where there are more. */
export function drawn(lines: readonly Line[], find: string, picked: readonly string[], most: number): Line[] {
  const words = find.toLowerCase().split(/\s+/).filter(Boolean), only = new Set(picked);
  const found = lines.filter((l) => (only.size ? only.has(l.key) : true) && words.every((w) => labelsText(l.labels).toLowerCase().includes(w)));
  if (found.length <= most) return found;
  const kept = new Set([...found].sort((a, b) => (Number.isFinite(b.max) ? b.max : -Infinity) - (Number.isFinite(a.max) ? a.max : -Infinity)).slice(0, most));
  return found.filter((l) => kept.has(l));
}

/** Labels that all have alike, and the names of those that differ, in order. */
export function telling(rows: readonly Labels[]): { common: Labels; names: string[] } {
  const values = new Map<string, Set<string | undefined>>();
  for (const r of rows) for (const k of Object.keys(r)) if (!values.has(k)) values.set(k, new Set());
  for (const [k, of] of values) for (const r of rows) if (of.size < 2) of.add(r[k]);
  const names = [...values.keys()].filter((k) => values.get(k)!.size > 1).sort(), common: Labels = {};
  if (rows.length) for (const [k, of] of values) if (of.size === 1) common[k] = [...of][0]!;
  return { common, names };
}

/* ---- native histograms ---- */

/** The value that a share of the observations is below, on a straight line within its bucket. */
export function quantile(h: Native, q: number): number {
  const buckets = h.buckets ?? [];
  const all = buckets.reduce((sum, [, , , n]) => sum + Number(n), 0);
  if (all === 0) return NaN;
  let left = q * all;
  for (const [, from, to, n] of buckets) {
    const count = Number(n);
    if (left <= count) return Number(from) + (Number(to) - Number(from)) * (count ? left / count : 0);
    left -= count;
  }
  return Number(buckets[buckets.length - 1][2]);
}

export interface Summary {
  count: number;
  sum: number;
  mean: number;
  p50: number;
  p95: number;
  buckets: number;
}
export const summaryOf = (h: Native): Summary => ({ count: Number(h.count), sum: Number(h.sum), mean: meanOf(h), p50: quantile(h, 0.5), p95: quantile(h, 0.95), buckets: h.buckets?.length ?? 0 });

/* ---- the table ---- */

export interface Cell {
  query: number;
  labels: Labels;
  time: number; // seconds
  text: string; // the number as the server wrote it
  value: number; // to sort by: of a histogram its mean
  native: Summary | null;
  samples: number; // of a range, how many it had; else 1
}

/** One row a series: its value, the last of a range, the one of a scalar or a string. */
export function cellsOf(r: Result, query: number): Cell[] {
  const one = (labels: Labels, v: [number, string] | undefined, h: [number, Native] | undefined, samples: number): Cell => {
    const native = h && (!v || h[0] >= v[0]) ? summaryOf(h[1]) : null;
    return { query, labels, time: (native ? h![0] : v?.[0]) ?? 0, text: native ? '' : (v?.[1] ?? ''), value: native ? native.mean : Number(v?.[1]), native, samples };
  };
  if (r.resultType === 'vector') return r.result.map((x: InstantRow) => one(x.metric, x.value, x.histogram, 1));
  if (r.resultType === 'matrix') return r.result.map((x) => one(x.metric, x.values?.[x.values.length - 1], x.histograms?.[x.histograms.length - 1], (x.values?.length ?? 0) + (x.histograms?.length ?? 0)));
  return [one({}, r.result, undefined, 1)];
}

/** "value", "-value" or a label's name; rows that are equal keep their order. Labels with numbers in them are ordered by these. */
export function sortCells(cells: readonly Cell[], by: string): Cell[] {
  if (by === '') return [...cells];
  const down = by.startsWith('-'), key = down ? by.slice(1) : by, sign = down ? -1 : 1;
  const number = (x: number): number => (Number.isNaN(x) ? -Infinity : x);
  return [...cells].sort((a, b) => {
    if (key === 'value') return sign * (number(a.value) - number(b.value) || 0);
    if (key === 'query') return sign * (a.query - b.query);
    const x = a.labels[key] ?? '', y = b.labels[key] ?? '';
    return sign * x.localeCompare(y, 'en', { numeric: true });
  });
}

/* ---- exemplars ---- */

export interface Mark {
  time: number; // seconds
  value: number;
  trace: string; // "": none
  span: string;
  labels: Labels; // of the exemplar
  series: Labels;
}

const traceNames = ['trace_id', 'traceID', 'traceId', 'TraceID'], spanNames = ['span_id', 'spanID', 'spanId', 'SpanID'];
const idOf = (l: Labels, names: string[], digits: number): string => {
  const found = names.map((n) => l[n]).find((v) => v !== undefined && /^[0-9a-fA-F]+$/.test(v) && v.length <= digits);
  return found ? found.toLowerCase().padStart(digits, '0') : '';
};

/** Oldest first, each once; where there are more than `most`, of each stretch of time the greatest values, so that the slow ones stay. */
export function marksOf(all: readonly Exemplars[], most: number): Mark[] {
  const seen = new Set<string>(), marks: Mark[] = [];
  for (const { seriesLabels, exemplars } of all)
    for (const e of exemplars) {
      const mark = { time: e.timestamp, value: Number(e.value), trace: idOf(e.labels, traceNames, 32), span: idOf(e.labels, spanNames, 16), labels: e.labels, series: seriesLabels };
      const key = `${mark.trace}${mark.trace && mark.span ? mark.span : JSON.stringify([e.labels, seriesLabels])}${e.timestamp}${e.value}`;
      if (seen.has(key) || !Number.isFinite(mark.value)) continue;
      seen.add(key);
      marks.push(mark);
    }
  marks.sort((a, b) => a.time - b.time);
  if (marks.length <= most) return marks;
  const stretches = Math.max(1, Math.floor(most / 4)), first = marks[0].time, wide = (marks[marks.length - 1].time - first) / stretches || 1;
  const by = new Map<number, Mark[]>();
  for (const m of marks) {
    const k = Math.min(stretches - 1, Math.floor((m.time - first) / wide));
    by.set(k, [...(by.get(k) ?? []), m]);
  }
  return [...by.values()].flatMap((v) => v.sort((a, b) => b.value - a.value).slice(0, 4)).sort((a, b) => a.time - b.time);
}

/* ---- numbers ---- */

/** The range that a chart's axis shows: from zero where values are near it, else what there is and a little more. */
export function axisOf(lines: readonly Pick<Line, 'min' | 'max' | 'n'>[]): [number, number] {
  let min = Infinity, max = -Infinity;
  for (const l of lines) {
    if (!l.n) continue;
    min = Math.min(min, l.min);
    max = Math.max(max, l.max);
  }
  if (min > max) return [0, 1];
  if (min === max) return min === 0 ? [0, 1] : min > 0 ? [0, min * 1.25] : [min * 1.25, 0];
  if (min >= 0 && min < (max - min) * 2) return [0, max + (max - 0) * 0.06];
  if (max <= 0 && -max < (max - min) * 2) return [min * 1.06, 0];
  const more = (max - min) * 0.06;
  return [min - more, max + more];
}
