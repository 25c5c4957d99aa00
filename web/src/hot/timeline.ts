// Spans and log records of many traces on one axis, as typed arrays: what the timeline draws, computed without a browser.
//
//   real    ▇▇ ▇            (an hour, nothing)            ▇▇▇        rows by time
//   axis    ▇▇ ▇  ╱╱  ▇▇▇                                           gaps much longer than all that happens are cut: `squeeze`

export const froms = ['own', 'ancestor', 'trace', 'derived', 'none'] as const;
export type From = (typeof froms)[number];

/** One thing that happened. */
export interface ItemIn {
  log: boolean;
  time: { s: number; ns: number };
  duration_ns: number;
  service: string;
  name: string; // operation, or the body in one line
  error: boolean;
  level: string; // severity of a record
  trace_id: string | null;
  span_id: string | null;
  from: string;
  id: string; // of the record; "": a span
}

export interface Timeline {
  n: number;
  origin: { s: number; ns: number }; // the earliest
  start: Float64Array; // ns from it
  duration: Float64Array;
  error: Uint8Array;
  log: Uint8Array;
  from: Uint8Array; // of froms
  service: Uint32Array;
  services: string[];
  trace: Int32Array; // of traces, in the order of their first rows; -1: of none
  traces: string[];
  name: string[];
  level: string[];
  span: string[];
  id: string[];
  total: number;
}

const sinceNs = (a: { s: number; ns: number }, b: { s: number; ns: number }): number => (b.s - a.s) * 1e9 + (b.ns - a.ns);

/** Numbers texts as they first come. */
function numbering(): { of: (text: string) => number; all: string[] } {
  const at = new Map<string, number>(), all: string[] = [];
  return { all, of: (text) => { let i = at.get(text); if (i === undefined) { i = all.push(text) - 1; at.set(text, i); } return i; } };
}

/** By time; of equal times in their order. */
export function timeline(items: readonly ItemIn[]): Timeline {
  const n = items.length, first = items.reduce<ItemIn['time']>((a, b) => (sinceNs(a, b.time) < 0 ? b.time : a), items[0]?.time ?? { s: 0, ns: 0 });
  const at = items.map((item, i) => ({ item, i, start: sinceNs(first, item.time) })).sort((a, b) => a.start - b.start || a.i - b.i);
  const services = numbering(), traces = numbering();
  const t: Timeline = {
    n, origin: first, start: new Float64Array(n), duration: new Float64Array(n), error: new Uint8Array(n), log: new Uint8Array(n), from: new Uint8Array(n), service: new Uint32Array(n), services: services.all,
    trace: new Int32Array(n), traces: traces.all, name: [], level: [], span: [], id: [], total: 0,
  };
  at.forEach(({ item, start }, i) => {
    t.start[i] = start;
    t.duration[i] = Math.max(0, item.duration_ns);
    t.error[i] = item.error ? 1 : 0;
    t.log[i] = item.log ? 1 : 0;
    t.from[i] = Math.max(0, froms.indexOf(item.from as From));
    t.service[i] = services.of(item.service);
    t.trace[i] = item.trace_id ? traces.of(item.trace_id) : -1;
    t.name.push(item.name);
    t.level.push(item.level);
    t.span.push(item.span_id ?? '');
    t.id.push(item.id);
    t.total = Math.max(t.total, start + t.duration[i]);
  });
  return t;
}

/** The key of a row in addresses. */
export const keyOfRow = (t: Timeline, i: number): string => (t.log[i] ? `log-${t.id[i]}` : `span-${t.span[i]}`);
export function rowOfKey(t: Timeline, key: string): number {
  for (let i = 0; i < t.n; i++) if (keyOfRow(t, i) === key) return i;
  return -1;
}

export interface Axis {
  at: Float64Array; // where each row begins, ns on the axis
  total: number;
  cuts: { at: number; to: number; ns: number }[]; // on the axis; how long nothing happened
  real: (ns: number) => number;
}

const muchLonger = 3, shareOfCuts = 0.5;

/** Every nanosecond as long as the other. */
export const straight = (t: Timeline): Axis => ({ at: t.start, total: t.total, cuts: [], real: (ns) => ns });

/** Gaps in which nothing happens, and that are longer than three times all that does, become short: together half of what happens. */
export function squeeze(t: Timeline): Axis {
  const begins: number[] = [], ends: number[] = []; // of what happens without such a gap
  let reach = -Infinity, busy = 0;
  for (let i = 0; i < t.n; i++) {
    const to = t.start[i] + t.duration[i];
    busy += Math.max(0, to - Math.max(reach, t.start[i]));
    reach = Math.max(reach, to);
  }
  reach = -Infinity;
  for (let i = 0; i < t.n; i++) {
    if (i === 0 || t.start[i] - reach > muchLonger * busy) {
      if (i) ends.push(reach);
      begins.push(t.start[i]);
    }
    reach = Math.max(reach, t.start[i] + t.duration[i]);
  }
  if (busy === 0 || begins.length < 2) return straight(t);
  ends.push(reach);
  const inner = begins.reduce((sum, b, k) => sum + (ends[k] - b), 0), width = (shareOfCuts * inner) / (begins.length - 1);
  const axis: number[] = [0], cuts: Axis['cuts'] = [];
  for (let k = 1; k < begins.length; k++) {
    const at = axis[k - 1] + (ends[k - 1] - begins[k - 1]);
    axis.push(at + width);
    cuts.push({ at, to: at + width, ns: begins[k] - ends[k - 1] });
  }
  const last = begins.length - 1, at = new Float64Array(t.n);
  for (let i = 0, k = 0; i < t.n; i++) {
    while (k < last && t.start[i] >= begins[k + 1]) k++;
    at[i] = axis[k] + (t.start[i] - begins[k]);
  }
  const real = (ns: number): number => {
    let k = last;
    while (k > 0 && axis[k] > ns) k--;
    const within = ends[k] - begins[k];
    return ns - axis[k] <= within || k === last ? begins[k] + (ns - axis[k]) : ends[k] + ((ns - axis[k] - within) / width) * (begins[k + 1] - ends[k]);
  };
  return { at, total: axis[last] + (ends[last] - begins[last]), cuts, real };
}

export interface Wanted {
  find: string; // words in names and services, or an id
  kind: 'all' | 'spans' | 'logs';
  errors: boolean;
  grouped: boolean; // by trace instead of by time
}

/** The rows that are wanted, in their order, to `out` (n long). Their number. */
export function rowsOf(t: Timeline, w: Wanted, out: Int32Array): number {
  const words = w.find.trim().toLowerCase(), services = t.services.map((s) => s.toLowerCase().includes(words));
  let count = 0;
  for (let i = 0; i < t.n; i++) {
    if ((w.kind === 'spans' && t.log[i]) || (w.kind === 'logs' && !t.log[i]) || (w.errors && !t.error[i])) continue;
    if (words && !services[t.service[i]] && !t.name[i].toLowerCase().includes(words) && t.span[i] !== words && (t.trace[i] < 0 || t.traces[t.trace[i]] !== words)) continue;
    out[count++] = i;
  }
  if (w.grouped) out.subarray(0, count).sort((a, b) => ((t.trace[a] + 1 || t.traces.length + 1) - (t.trace[b] + 1 || t.traces.length + 1)) || a - b);
  return count;
}
