// A trace as typed arrays: what its views draw, computed without a browser. Spans stand as the API gives them, parents before
// their children, so a subtree is a run of rows: row i's is [i, end[i]).
//
//   rows     0 ────────────── n      depth 0 1 2 2 1    end 5 4 3 4 5
//   times    ns from the trace's start, as doubles (exact to 104 days)

/** What /api/v1/traces/{id}/columns answers, as far as it is read here. */
export interface ColumnsIn {
  services: { name: string }[];
  operations: string[];
  columns: {
    span_id: string; // 16 digits a span
    depth: number[];
    kind: number[];
    status: number[];
    start_ns: number[];
    duration_ns: number[];
    self_time_ns: number[];
    skew_ns?: number[]; // how far the clock of the span's service is ahead; without it none is
    parent_missing: number[]; // rows
    service: number[];
    operation: number[];
  };
}

export interface Waterfall {
  n: number;
  ids: string; // 16 digits a span: one text, since 100,000 would take ten times the memory
  start: Float64Array; // by corrected clocks
  skew: Float64Array | null; // what was corrected; null: nothing
  base: number; // ns from the trace's stored start to where these times begin
  duration: Float64Array; // a negative one is none
  self: Float64Array;
  depth: Uint32Array;
  parent: Int32Array; // -1: a root
  end: Int32Array;
  kind: Uint8Array;
  error: Uint8Array;
  missing: Uint8Array; // its parent never came
  errorsBelow: Uint32Array; // in the subtree, without the row itself
  service: Uint32Array;
  services: string[];
  operation: Uint32Array;
  operations: string[];
  total: number; // ns from the earliest start to the latest end
}

/** Starts less what each clock is ahead, from the earliest of them on. */
function correct(w: Waterfall, skew: number[]): void {
  w.skew = new Float64Array(skew);
  for (let i = 0; i < w.n; i++) w.start[i] -= skew[i];
  w.base = w.start.reduce((a, b) => Math.min(a, b), Infinity);
  for (let i = 0; i < w.n; i++) w.start[i] -= w.base;
}

/** Own times anew: of each span what no child covers. */
function recount(w: Waterfall): void {
  for (let i = 0; i < w.n; i++) {
    const children: number[] = [];
    for (let c = i + 1; c < w.end[i]; c = w.end[c]) children.push(c);
    const until = w.start[i] + w.duration[i];
    let at = w.start[i], own = 0;
    for (const c of children.sort((a, b) => w.start[a] - w.start[b])) {
      own += Math.max(0, Math.min(w.start[c], until) - at);
      at = Math.max(at, Math.min(w.start[c] + w.duration[c], until));
    }
    w.self[i] = own + (until - at);
  }
}

/** Where a span began by its own clock, ns from the trace's stored start. */
export const storedStart = (w: Waterfall, i: number): number => w.start[i] + w.base + (w.skew ? w.skew[i] : 0);

/** `stored`: times as they came, whatever the clocks. */
export function layout(t: ColumnsIn, stored = false): Waterfall {
  const { columns: c } = t, n = c.depth.length;
  const w: Waterfall = {
    n, ids: c.span_id, start: new Float64Array(c.start_ns), duration: new Float64Array(c.duration_ns), self: new Float64Array(c.self_time_ns), depth: new Uint32Array(n),
    parent: new Int32Array(n).fill(-1), end: new Int32Array(n), kind: new Uint8Array(c.kind), error: new Uint8Array(n), missing: new Uint8Array(n), errorsBelow: new Uint32Array(n),
    service: new Uint32Array(c.service), services: t.services.map((s) => s.name), operation: new Uint32Array(c.operation), operations: t.operations, total: 0, skew: null, base: 0,
  };
  if (c.skew_ns && !stored) correct(w, c.skew_ns);
  for (const i of c.parent_missing) w.missing[i] = 1;
  const open = new Int32Array(n); // the rows above, by depth
  let above = 0;
  for (let i = 0; i < n; i++) {
    if (w.duration[i] < 0) w.duration[i] = 0;
    w.error[i] = c.status[i] === 2 ? 1 : 0;
    const depth = Math.min(c.depth[i], above);
    while (above > depth) w.end[open[--above]] = i;
    w.depth[i] = depth;
    if (depth) w.parent[i] = open[depth - 1];
    open[above++] = i;
    w.total = Math.max(w.total, w.start[i] + w.duration[i]);
  }
  while (above) w.end[open[--above]] = n;
  if (w.skew) recount(w);
  for (let i = n - 1; i > 0; i--) if (w.parent[i] >= 0) w.errorsBelow[w.parent[i]] += w.errorsBelow[i] + w.error[i];
  return w;
}

export const idOf = (w: Waterfall, i: number): string => w.ids.slice(i * 16, i * 16 + 16);
export const nameOf = (w: Waterfall, i: number): string => w.operations[w.operation[i]];
export const serviceOf = (w: Waterfall, i: number): string => w.services[w.service[i]];

/** The row of a span, the first if there are several; -1: none. */
export function rowOf(w: Waterfall, id: string): number {
  if (id.length !== 16) return -1;
  for (let at = w.ids.indexOf(id); at >= 0; at = w.ids.indexOf(id, at + 1)) if (at % 16 === 0) return at / 16;
  return -1;
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

/** Marks the rows whose operation or service holds what is looked for, without regard to case, or whose id it is. Their number. */
export function findRows(w: Waterfall, text: string, out: Uint8Array): number {
  const wanted = text.trim().toLowerCase();
  const holds = (names: string[]): Uint8Array => Uint8Array.from(names, (s) => (wanted !== '' && s.toLowerCase().includes(wanted) ? 1 : 0));
  const services = holds(w.services), operations = holds(w.operations);
  let count = 0;
  for (let i = 0; i < w.n; i++) count += out[i] = services[w.service[i]] | operations[w.operation[i]];
  const at = rowOf(w, wanted);
  if (at >= 0) count += 1 - out[at];
  if (at >= 0) out[at] = 1;
  return count;
}

/** Marks those of the ids (16 digits each) as well. How many were not marked before. */
export function markIds(w: Waterfall, ids: string, out: Uint8Array): number {
  const wanted = new Set<string>();
  for (let at = 0; at < ids.length; at += 16) wanted.add(ids.slice(at, at + 16));
  let count = 0;
  for (let i = 0; i < w.n && wanted.size; i++)
    if (!out[i] && wanted.has(idOf(w, i))) count += out[i] = 1;
  return count;
}

/** What the duration of the trace is made of: for each row on the critical path the time that it alone accounts for, -1 for those off it.
 * From the trace's end back to its start, always below what ended last before the point looked at. A span that outlives all above it counts
 * from their end on, and not before. No two times overlap; they sum up to the trace's duration, less what no span accounts for. */
export function criticalPath(w: Waterfall): Float64Array {
  const time = new Float64Array(w.n).fill(-1), from = w.start.slice();
  const ends = (i: number): number => w.start[i] + w.duration[i];
  const byEnd = (rows: number[]): number[] => rows.sort((a, b) => ends(b) - ends(a));
  const stack: [row: number, from: number, until: number][] = [];
  const tops: number[] = []; // roots, and what outlives all above it
  const reach = new Float64Array(w.n); // when the last of a row and those above it ends
  for (let i = 0; i < w.n; i++) {
    const above = w.parent[i] < 0 ? -1 : reach[w.parent[i]];
    reach[i] = Math.max(above, ends(i));
    if (above >= ends(i)) continue;
    from[i] = Math.max(above, w.start[i]);
    tops.push(i);
  }
  let at = w.total;
  byEnd(tops).forEach((top, k) => {
    if (k > 0 && from[top] >= at) return;
    stack.push([top, from[top], Math.min(at, ends(top))]);
    at = from[top];
  });
  while (stack.length) {
    const [row, since, until] = stack.pop()!;
    const children: number[] = [];
    for (let c = row + 1; c < w.end[row]; c = w.end[c]) if (w.duration[c] > 0 && ends(c) > since && ends(c) <= until) children.push(c);
    let own = 0;
    at = until;
    for (const c of byEnd(children)) {
      if (ends(c) > at) continue;
      const start = Math.max(since, w.start[c]);
      own += at - ends(c);
      stack.push([c, start, ends(c)]);
      at = start;
    }
    time[row] = own + (at - since);
  }
  return time;
}

/** As much of rows as their bars need. */
export type Bars = Pick<Waterfall, 'n' | 'start' | 'duration' | 'error' | 'total'>;

/** What the mini-map shows, one byte a pixel: 0 nothing, 1 spans, 2 errors. Rows are spread over the height; each costs the same however
 * long it is (ends are counted, then summed up), so that 100,000 take milliseconds. */
export function miniMap(w: Bars, width: number, height: number): Uint8Array {
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
