// Answers as what the panels of a dashboard draw: one value of a series, bars, lines one on another, a heatmap.
import { keyOf, linesOf, type Line } from './series';
import type { Labels, Result, Steps } from '../lib/prom';

export type Calc = 'last' | 'mean' | 'max' | 'min' | 'sum';

/** A series as one value, with what it was over time where that was asked. */
export interface Value {
  query: number;
  labels: Labels;
  key: string;
  value: number;
  values: (number | null)[]; // over time; empty: of one moment
}

export function reduced(l: Line, calc: Calc): number {
  if (calc === 'last') return l.last ?? NaN;
  if (calc === 'sum') return l.values.reduce<number>((sum, v) => sum + (v ?? 0), 0);
  return l.n ? l[calc] : NaN;
}

export function valuesOf(result: Result, query: number, steps: Steps, calc: Calc): Value[] {
  if (result.resultType === 'vector') return result.result.map((r) => ({ query, labels: r.metric, key: keyOf(query, r.metric), value: r.value ? Number(r.value[1]) : r.histogram ? Number(r.histogram[1].sum) / Number(r.histogram[1].count) : NaN, values: [] }));
  if (result.resultType === 'matrix') return linesOf(result, query, steps).map((l) => ({ query, labels: l.labels, key: l.key, value: reduced(l, calc), values: l.values }));
  return [{ query, labels: {}, key: keyOf(query, {}), value: Number(result.result[1]), values: [] }];
}

/** Each line on those before it; where none has a value there is none. */
export function stacked(lines: readonly (readonly (number | null)[])[]): (number | null)[][] {
  const n = lines[0]?.length ?? 0, out: (number | null)[][] = [];
  const some = Array.from({ length: n }, (_, i) => lines.some((l) => l[i] !== null));
  let below = new Array<number>(n).fill(0);
  for (const line of lines) {
    const sum = below.map((b, i) => b + (line[i] ?? 0));
    out.push(sum.map((v, i) => (some[i] ? v : null)));
    below = sum;
  }
  return out;
}

/** Buckets over time, from the lowest up: counts of what fell into each, which cumulative ones (`le`) are turned into. */
export interface Heat {
  rows: { name: string; values: (number | null)[] }[];
  max: number;
}
export function heatOf(lines: readonly Line[], name: (l: Line) => string): Heat {
  const by = lines.map((l) => ({ l, le: l.labels.le === undefined ? NaN : l.labels.le === '+Inf' ? Infinity : Number(l.labels.le) }));
  const cumulative = by.length > 0 && by.every((b) => !Number.isNaN(b.le));
  if (cumulative) by.sort((a, b) => a.le - b.le);
  let max = 0;
  const rows = by.map(({ l }, k) => {
    const values = l.values.map((v, i) => {
      const is = v === null ? null : cumulative && k > 0 ? Math.max(0, v - (by[k - 1].l.values[i] ?? 0)) : v;
      if (is !== null && is > max) max = is;
      return is;
    });
    return { name: cumulative ? l.labels.le : name(l), values };
  });
  // an empty top or bottom says nothing
  while (rows.length > 1 && rows[rows.length - 1].values.every((v) => !v)) rows.pop();
  while (rows.length > 1 && rows[0].values.every((v) => !v)) rows.shift();
  return { rows, max };
}

/** The tone of a value: of the last threshold that it reaches; "ok" below all. */
export function toneAt(v: number, thresholds: readonly { at: number; tone: string }[] | undefined): string {
  let tone = 'ok', best = -Infinity;
  for (const t of thresholds ?? []) if (v >= t.at && t.at >= best) { tone = t.tone; best = t.at; }
  return tone;
}
