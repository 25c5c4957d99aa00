// The spans of a trace as a table: sorted, and gathered by operation. Plain arrays in, orders of rows out.
import { type Waterfall } from './waterfall';

/** What a table is ordered by; from the greatest with `down`. */
export interface Order {
  by: string;
  down: boolean;
}

/** "-self" ↔ {by: "self", down: true}; what none of `known` is becomes the first, in the order given there. */
export function readOrder(text: string, known: readonly string[]): Order {
  const by = text.replace(/^-/, '');
  const found = known.find((k) => k.replace(/^-/, '') === by);
  return found ? { by, down: text.startsWith('-') } : { by: known[0].replace(/^-/, ''), down: known[0].startsWith('-') };
}
export const writeOrder = (o: Order): string => (o.down ? `-${o.by}` : o.by);
/** A click on a column: it turns round, or begins with the greatest of numbers and with the first of texts. */
export const nextOrder = (o: Order, by: string, isNumber: boolean): Order => ({ by, down: o.by === by ? !o.down : isNumber });

/** For each of the names its place among them when sorted. */
function ranks(names: readonly string[]): Uint32Array {
  const order = names.map((_, i) => i).sort((a, b) => (names[a] < names[b] ? -1 : names[a] > names[b] ? 1 : a - b));
  const out = new Uint32Array(names.length);
  order.forEach((name, place) => (out[name] = place));
  return out;
}

/** Sorts rows by a key each; equal ones stay in the order they had. */
function sorted(rows: Int32Array, key: (row: number) => number, down: boolean): Int32Array {
  const keys = new Float64Array(rows.length), places = new Int32Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    keys[i] = down ? -key(rows[i]) : key(rows[i]);
    places[i] = i;
  }
  places.sort((a, b) => keys[a] - keys[b] || a - b);
  return places.map((i) => rows[i]);
}

export const spanOrders = ['start', 'duration', 'self', 'service', 'name'] as const;

/** The rows of a trace, or those that are marked, in an order of `spanOrders`. */
export function orderSpans(w: Waterfall, only: Uint8Array | null, order: Order): Int32Array {
  const rows = new Int32Array(w.n);
  let n = 0;
  for (let i = 0; i < w.n; i++) if (!only || only[i]) rows[n++] = i;
  const of = rows.subarray(0, n);
  if (order.by === 'service' || order.by === 'name') {
    const rank = ranks(order.by === 'service' ? w.services : w.operations), code = order.by === 'service' ? w.service : w.operation;
    return sorted(of, (i) => rank[code[i]], order.down);
  }
  const values = order.by === 'duration' ? w.duration : order.by === 'self' ? w.self : w.start;
  return sorted(of, (i) => values[i], order.down);
}

/** Spans of one service and name taken together. */
export interface Operation {
  service: string;
  name: string;
  calls: number;
  errors: number;
  total: number; // ns; what runs at once counts as often
  self: number;
  path: number; // of the critical path
  longest: number; // a row
}

export function gather(w: Waterfall, path: Float64Array): Operation[] {
  const of = new Map<number, Operation>();
  for (let i = 0; i < w.n; i++) {
    const key = w.service[i] * w.operations.length + w.operation[i];
    let o = of.get(key);
    if (!o) of.set(key, (o = { service: w.services[w.service[i]], name: w.operations[w.operation[i]], calls: 0, errors: 0, total: 0, self: 0, path: 0, longest: i }));
    o.calls++;
    o.errors += w.error[i];
    o.total += w.duration[i];
    o.self += w.self[i];
    o.path += Math.max(0, path[i]);
    if (w.duration[i] > w.duration[o.longest]) o.longest = i;
  }
  return [...of.values()];
}

export const operationOrders = ['-path', '-self', '-total', '-calls', '-errors', 'service', 'name'] as const;

export function orderOperations(all: readonly Operation[], order: Order): Operation[] {
  const by = order.by as 'path' | 'self' | 'total' | 'calls' | 'errors' | 'service' | 'name';
  const sign = order.down ? -1 : 1;
  return [...all].sort((a, b) => sign * (a[by] < b[by] ? -1 : a[by] > b[by] ? 1 : 0) || b.self - a.self);
}
