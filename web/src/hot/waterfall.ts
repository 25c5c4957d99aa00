// A trace as typed arrays: what the waterfall draws, computed without a browser. Spans stand as the API gives them, parents before
// their children, so a subtree is a run of rows: row i's is [i, end[i]).
//
//   rows     0 ────────────── n      depth 0 1 2 2 1    end 5 4 3 4 5
//   times    ns from the trace's start, as doubles (exact to 104 days)
import { parseInstant, sinceNs } from '../lib/time';

export interface SpanIn {
  span_id: string;
  parent_span_id: string | null;
  parent_missing?: boolean;
  depth: number;
  service: string;
  name: string;
  start: string;
  duration_ns: number;
  self_time_ns: number;
  status: { code: string };
}

export interface Waterfall {
  n: number;
  start: Float64Array;
  duration: Float64Array;
  self: Float64Array;
  depth: Uint16Array;
  parent: Int32Array; // -1: a root
  end: Int32Array;
  error: Uint8Array;
  errorsBelow: Uint32Array; // in the subtree, without the row itself
  service: Uint16Array;
  services: string[]; // in order of their first span
  total: number; // ns from the earliest start to the latest end
}

export function layout(spans: readonly SpanIn[], traceStart: string): Waterfall {
  const n = spans.length;
  const w: Waterfall = {
    n, start: new Float64Array(n), duration: new Float64Array(n), self: new Float64Array(n), depth: new Uint16Array(n),
    parent: new Int32Array(n).fill(-1), end: new Int32Array(n), error: new Uint8Array(n), errorsBelow: new Uint32Array(n),
    service: new Uint16Array(n), services: [], total: 0,
  };
  const zero = parseInstant(traceStart);
  const codes = new Map<string, number>();
  const open: number[] = []; // the rows above, by depth
  for (let i = 0; i < n; i++) {
    const s = spans[i];
    let code = codes.get(s.service);
    if (code === undefined) {
      codes.set(s.service, (code = w.services.length));
      w.services.push(s.service);
    }
    w.service[i] = code;
    w.start[i] = sinceNs(zero, parseInstant(s.start));
    w.duration[i] = s.duration_ns;
    w.self[i] = s.self_time_ns;
    w.error[i] = s.status.code === 'error' ? 1 : 0;
    const depth = Math.min(s.depth, open.length);
    while (open.length > depth) w.end[open.pop()!] = i;
    w.depth[i] = depth;
    w.parent[i] = depth ? open[depth - 1] : -1;
    open.push(i);
    w.total = Math.max(w.total, w.start[i] + w.duration[i]);
  }
  while (open.length) w.end[open.pop()!] = n;
  for (let i = n - 1; i > 0; i--) if (w.parent[i] >= 0) w.errorsBelow[w.parent[i]] += w.errorsBelow[i] + w.error[i];
  return w;
}

/** The rows that are to be seen, to `out` (n long): all but those below a collapsed one. Their number. */
export function visibleRows(w: Waterfall, collapsed: Uint8Array, out: Int32Array): number {
  let count = 0;
  for (let i = 0; i < w.n; i = collapsed[i] ? w.end[i] : i + 1) out[count++] = i;
  return count;
}

/** Opens every row above i. True if that changed something. */
export function reveal(w: Waterfall, collapsed: Uint8Array, i: number): boolean {
  let changed = false;
  for (let p = w.parent[i]; p >= 0; p = w.parent[p]) {
    changed ||= collapsed[p] === 1;
    collapsed[p] = 0;
  }
  return changed;
}

/** Where row i stands among the visible ones, or the nearest before it. */
export function positionOf(rows: Int32Array, count: number, i: number): number {
  let low = 0, high = count - 1;
  while (low < high) {
    const mid = (low + high + 1) >> 1;
    if (rows[mid] <= i) low = mid;
    else high = mid - 1;
  }
  return low;
}

/** The next marked row after `from` (before it, with step -1), round the end; -1: none is marked. */
export function nextMarked(marks: Uint8Array, from: number, step: 1 | -1): number {
  const n = marks.length;
  for (let k = 1, i = from; k <= n; k++) {
    i = (i + step + n) % n;
    if (marks[i]) return i;
  }
  return -1;
}

/** Marks the rows whose text holds what is looked for, without regard to case. Their number. */
export function findRows(spans: readonly SpanIn[], text: string, out: Uint8Array): number {
  const wanted = text.trim().toLowerCase();
  let count = 0;
  for (let i = 0; i < spans.length; i++) {
    const s = spans[i];
    out[i] = wanted !== '' && (s.name.toLowerCase().includes(wanted) || s.service.toLowerCase().includes(wanted) || s.span_id === wanted) ? 1 : 0;
    count += out[i];
  }
  return count;
}

/** Marks the critical path: from the end of each root back to its start, always below the child that ended last before the point looked
 * at. What a child did after its parent's end does not count. */
export function criticalPath(w: Waterfall): Uint8Array {
  const on = new Uint8Array(w.n);
  const stack: [number, number][] = []; // row, the time from which to look back
  for (let i = 0; i < w.n; i = w.end[i]) stack.push([i, w.start[i] + w.duration[i]]);
  while (stack.length) {
    const [row, until] = stack.pop()!;
    on[row] = 1;
    const children: number[] = [];
    for (let c = row + 1; c < w.end[row]; c = w.end[c]) children.push(c);
    const ends = (c: number): number => w.start[c] + w.duration[c];
    children.sort((a, b) => ends(b) - ends(a));
    let at = Math.min(until, ends(row));
    for (const c of children) {
      if (ends(c) > at || w.duration[c] === 0) continue;
      stack.push([c, ends(c)]);
      at = w.start[c];
    }
  }
  return on;
}

/** What the mini-map shows, one byte a pixel: 0 nothing, 1 spans, 2 errors. Rows are spread over the height; each costs the same however
 * long it is (ends are counted, then summed up), so that 100,000 take milliseconds. */
export function miniMap(w: Waterfall, width: number, height: number): Uint8Array {
  const steps = new Int32Array((width + 1) * height), errors = new Int32Array((width + 1) * height);
  const scale = w.total > 0 ? width / w.total : 0;
  const tall = Math.max(1, Math.min(6, Math.floor(height / Math.max(1, w.n)) - 1)); // few rows: bars with a gap between
  const pitch = Math.min(tall + 1, height / Math.max(1, w.n));
  for (let i = 0; i < w.n; i++) {
    const y = Math.floor(i * pitch);
    const from = Math.max(0, Math.min(width - 1, Math.floor(w.start[i] * scale)));
    const to = Math.max(from + 1, Math.min(width, Math.ceil((w.start[i] + w.duration[i]) * scale)));
    const into = w.error[i] ? errors : steps;
    for (let k = y; k < Math.min(height, y + tall); k++) {
      into[k * (width + 1) + from]++;
      into[k * (width + 1) + to]--;
    }
  }
  const out = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    let some = 0, bad = 0;
    for (let x = 0; x < width; x++) {
      some += steps[y * (width + 1) + x];
      bad += errors[y * (width + 1) + x];
      out[y * width + x] = bad > 0 ? 2 : some > 0 ? 1 : 0;
    }
  }
  return out;
}

/** Round steps for an axis of `span` ns: about `wanted` of them. */
export function ticks(from: number, span: number, wanted: number): number[] {
  if (!(span > 0)) return [];
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((m) => m * power >= rough) ?? 10) * power;
  const out: number[] = [];
  for (let k = Math.ceil(from / step); k * step <= from + span; k++) out.push(k * step);
  return out;
}
