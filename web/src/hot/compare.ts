// Two traces beside each other. Spans are one node if their paths of (service, name) from the root are the same; nodes stand parents
// before their children. What explains the difference of the two durations is the critical path: its times do not overlap and sum up to
// a trace's duration, so the differences of the nodes' times sum up to the difference of the durations.
import { criticalPath, type Waterfall } from './waterfall';

export interface Side {
  calls: Uint32Array;
  errors: Uint32Array;
  total: Float64Array; // ns of all its spans
  path: Float64Array; // ns of the critical path
  first: Int32Array; // the row of its first span; -1: it has none
}
export interface Compared {
  n: number; // nodes
  parent: Int32Array;
  depth: Uint32Array;
  service: string[];
  name: string[];
  a: Side;
  b: Side;
  /** b's duration less a's, and the part of it that no span accounts for. */
  difference: number;
  idle: number;
}

/** Nodes by parent and operation, numbered as they are met. */
class Nodes {
  readonly of = new Map<number, number>();
  readonly codes = new Map<string, number>();
  readonly parent: number[] = [];
  readonly service: string[] = [];
  readonly name: string[] = [];

  code(service: string, name: string): number {
    const key = JSON.stringify([service, name]);
    let code = this.codes.get(key);
    if (code === undefined) this.codes.set(key, (code = this.codes.size));
    return code;
  }

  /** `most` is more than any code. */
  node(parent: number, code: number, most: number, service: string, name: string): number {
    const key = (parent + 1) * most + code;
    let node = this.of.get(key);
    if (node === undefined) {
      this.of.set(key, (node = this.parent.length));
      this.parent.push(parent);
      this.service.push(service);
      this.name.push(name);
    }
    return node;
  }
}

/** The node of each row of a trace. */
function place(w: Waterfall, nodes: Nodes, most: number): Int32Array {
  const out = new Int32Array(w.n), known = new Map<number, number>();
  for (let i = 0; i < w.n; i++) {
    const service = w.services[w.service[i]], name = w.operations[w.operation[i]];
    const own = w.service[i] * w.operations.length + w.operation[i];
    let code = known.get(own);
    if (code === undefined) known.set(own, (code = nodes.code(service, name)));
    out[i] = nodes.node(w.parent[i] < 0 ? -1 : out[w.parent[i]], code, most, service, name);
  }
  return out;
}

function sum(w: Waterfall, node: Int32Array, n: number): Side {
  const s: Side = { calls: new Uint32Array(n), errors: new Uint32Array(n), total: new Float64Array(n), path: new Float64Array(n), first: new Int32Array(n).fill(-1) };
  const path = criticalPath(w);
  for (let i = 0; i < w.n; i++) {
    const k = node[i];
    if (s.calls[k]++ === 0) s.first[k] = i;
    s.errors[k] += w.error[i];
    s.total[k] += w.duration[i];
    s.path[k] += Math.max(0, path[i]);
  }
  return s;
}

const all = (v: Float64Array): number => v.reduce((x, y) => x + y, 0);

export function compare(a: Waterfall, b: Waterfall): Compared {
  const nodes = new Nodes(), most = a.n + b.n + 1;
  const inA = place(a, nodes, most), inB = place(b, nodes, most), n = nodes.parent.length;
  const parent = Int32Array.from(nodes.parent), depth = new Uint32Array(n);
  for (let k = 0; k < n; k++) depth[k] = parent[k] < 0 ? 0 : depth[parent[k]] + 1;
  const sides = { a: sum(a, inA, n), b: sum(b, inB, n) };
  const difference = b.total - a.total;
  return { n, parent, depth, service: nodes.service, name: nodes.name, ...sides, difference, idle: difference - (all(sides.b.path) - all(sides.a.path)) };
}

export const explains = (c: Compared, k: number): number => c.b.path[k] - c.a.path[k];

/** Nodes as a tree is read: children below their parent, in the order they were met. */
export function treeOrder(c: Compared): Int32Array {
  const first = new Int32Array(c.n + 1).fill(-1), next = new Int32Array(c.n).fill(-1);
  for (let k = c.n - 1; k >= 0; k--) { // from the last, so that lists are in order; the roots' is at c.n
    const p = c.parent[k] < 0 ? c.n : c.parent[k];
    next[k] = first[p];
    first[p] = k;
  }
  const out = new Int32Array(c.n), stack: number[] = [];
  let n = 0;
  for (let k = first[c.n]; k >= 0 || stack.length; ) {
    if (k < 0) {
      k = next[stack.pop()!];
      continue;
    }
    out[n++] = k;
    stack.push(k);
    k = first[k];
  }
  return out;
}

/** Where one of the two fails and the other does not: operations without another such below them. */
export function failsIn(c: Compared, side: 'a' | 'b'): number[] {
  const other = side === 'a' ? 'b' : 'a', fails = (k: number): boolean => c[side].errors[k] > 0 && c[other].errors[k] === 0, above = new Set<number>();
  for (let k = c.n - 1; k >= 0; k--) if (fails(k) || above.has(k)) above.add(c.parent[k]);
  return [...treeOrder(c)].filter((k) => fails(k) && !above.has(k));
}

/** The operation whose attributes say most about the difference: one that fails in one of the two alone, else what explains most; of both. -1: none is. */
export function telling(c: Compared): number {
  const isOfBoth = (k: number): boolean => c.a.first[k] >= 0 && c.b.first[k] >= 0;
  return [...failsIn(c, 'b'), ...failsIn(c, 'a'), ...orderNodes(c, 'explains', 'all')].find(isOfBoth) ?? -1;
}

type Attributes = Record<string, unknown>;
/** What two spans of one operation say differently: [attribute, a's value, b's], "": it is not there. Of their resources first: what runs, and where. */
export function differing(a: { attributes: Attributes; resource: { attributes: Attributes } }, b: typeof a): [string, string, string][] {
  const text = (v: unknown): string => (v === undefined ? '' : typeof v === 'string' ? v : JSON.stringify(v));
  const of = (x: Attributes, y: Attributes): [string, string, string][] => [...new Set([...Object.keys(x), ...Object.keys(y)])].sort().map((key): [string, string, string] => [key, text(x[key]), text(y[key])]).filter(([, v, w]) => v !== w);
  return [...of(a.resource.attributes, b.resource.attributes).sort((x, y) => Number(y[0] === 'service.version') - Number(x[0] === 'service.version')), ...of(a.attributes, b.attributes)];
}

export type Shown = 'all' | 'changed' | 'a' | 'b';

/** Which nodes to show: the tree, or those that explain most first. */
export function orderNodes(c: Compared, by: 'explains' | 'tree', shown: Shown): Int32Array {
  const order = treeOrder(c).filter((k) => shown === 'all' || (shown === 'changed' ? explains(c, k) !== 0 || c.a.calls[k] !== c.b.calls[k] || c.a.total[k] !== c.b.total[k] || c.a.errors[k] !== c.b.errors[k] : shown === 'a' ? c.b.calls[k] === 0 : c.a.calls[k] === 0));
  if (by === 'tree') return order;
  const weight = (k: number): number => Math.abs(explains(c, k));
  const other = (k: number): number => Math.abs(c.b.total[k] - c.a.total[k]);
  return order.sort((x, y) => weight(y) - weight(x) || other(y) - other(x) || x - y);
}
