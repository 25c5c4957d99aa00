// The map of services as a drawing: boxes, curves between them, how well each does. No browser is needed.
import type { Duration, ErrorStatus } from '../lib/api';

export interface MapNode {
  kind: 'service' | 'database' | 'messaging' | 'peer';
  environment: string;
  namespace: string;
  name: string;
  language: string | null;
  versions: string[];
  versions_truncated: boolean;
  instance_count: number;
  span_count: number;
  error_count: number;
  error_ratio: number;
  duration: Duration | null;
  calls_in: number;
  errors_in: number;
  calls_out: number;
  errors_out: number;
  error_status: ErrorStatus;
  last_seen: string;
  distance?: number;
  x: number;
  y: number;
}
export interface MapEdge {
  client: number;
  server: number;
  connection: 'direct' | 'virtual_node' | 'database' | 'messaging_system';
  call_count: number;
  error_count: number;
  error_ratio: number;
  error_status: ErrorStatus;
  client_duration: Duration | null;
  server_duration: Duration | null;
  last_seen: string;
  bends: [number, number][];
}
export interface MapGraph {
  range: { start: string; end: string | null }; // null: no limit
  nodes: MapNode[];
  edges: MapEdge[];
  width: number;
  height: number;
  left_out: number;
  other_count: number;
  partial: boolean;
  partial_reason?: string;
}

/* ---- how well ---- */

export type Health = 'failing' | 'degraded' | 'healthy' | 'quiet';
const shown: Record<ErrorStatus, Health> = { critical: 'failing', degraded: 'degraded', healthy: 'healthy', unknown: 'quiet' };
/** Of a node, an edge, a service: as the server judged it. */
export const healthOf = (of: { error_status: ErrorStatus }): Health => shown[of.error_status];
/** By the calls it gets; of one that nobody calls by its own spans; of one that sends none, such as a user, by its calls of others. */
export function errorsOf(n: MapNode): { calls: number; ratio: number } {
  const [calls, errors] = n.calls_in > 0 ? [n.calls_in, n.errors_in] : n.span_count > 0 ? [n.span_count, n.error_count] : [n.calls_out, 0];
  return { calls, ratio: calls > 0 ? errors / calls : 0 };
}

/** What a node is called in addresses: its name can be that of a database, too, or stand in two environments. */
export const keyOf = (n: MapNode): string => [n.environment, n.namespace, n.kind, n.name].map(encodeURIComponent).join('/');

/* ---- drawing ---- */

export const box = { width: 196, height: 46 }, stepX = 284, stepY = 64, margin = 24, laneApart = 18;
export interface Drawing {
  width: number;
  height: number;
  boxes: { x: number; y: number }[]; // left upper corners, one a node
  lines: { path: string; weight: number; x: number; y: number; back: boolean }[]; // one an edge; x, y: its middle
}

const middleY = (y: number): number => margin + y * stepY + box.height / 2;
const left = (x: number): number => margin + x * stepX;
const f = (v: number): string => String(Math.round(v * 10) / 10);

/** A curve that leaves and meets every point level. */
function curve(points: readonly (readonly [number, number])[]): string {
  let path = `M${f(points[0][0])} ${f(points[0][1])}`;
  for (let i = 1; i < points.length; i++) {
    const [x0, y0] = points[i - 1], [x1, y1] = points[i], half = (x1 - x0) / 2;
    path += `C${f(x0 + half)} ${f(y0)} ${f(x1 - half)} ${f(y1)} ${f(x1)} ${f(y1)}`;
  }
  return path;
}

/** What has a place, and the lines between: a map of services, or the path of one request. */
export interface Placed {
  nodes: { x: number; y: number }[];
  edges: { client: number; server: number; call_count: number; bends: [number, number][] }[];
  width: number;
  height: number;
}

/** Edges between the same two nodes, whichever way they go, run beside each other: how far each is from the middle. */
function lanes(g: Placed): number[] {
  const sides = new Map<string, number[]>(), shift = g.edges.map(() => 0);
  g.edges.forEach((e, i) => {
    const key = `${Math.min(e.client, e.server)} ${Math.max(e.client, e.server)}`, all = sides.get(key);
    if (all) all.push(i);
    else sides.set(key, [i]);
  });
  for (const all of sides.values()) {
    const apart = Math.min(laneApart, (box.height - 10) / Math.max(1, all.length - 1));
    all.forEach((i, k) => { shift[i] = (k - (all.length - 1) / 2) * apart; });
  }
  return shift;
}

function line(g: Placed, e: Placed['edges'][0], most: number, shift: number): Drawing['lines'][number] {
  const from = g.nodes[e.client], to = g.nodes[e.server], weight = 1 + 2 * (most > 0 ? Math.log1p(e.call_count) / Math.log1p(most) : 0);
  if (e.client === e.server) {
    const x = left(from.x) + box.width - 26, y = margin + from.y * stepY;
    return { path: `M${f(x)} ${f(y)}C${f(x)} ${f(y - 16)} ${f(x + 18)} ${f(y - 16)} ${f(x + 18)} ${f(y)}`, weight, x: x + 9, y: y - 12, back: false };
  }
  const back = to.x < from.x;
  const start: [number, number] = [left(from.x) + (back ? 0 : box.width), middleY(from.y)], end: [number, number] = [left(to.x) + (back ? box.width : 0), middleY(to.y)];
  const points = [start, ...e.bends.map(([x, y]): [number, number] => [left(x) + box.width / 2, middleY(y)]), end].map(([x, y]): [number, number] => [x, y + shift]);
  const at = Math.floor((points.length - 1) / 2), a = points[at], b = points[at + 1];
  return { path: curve(points), weight, x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, back };
}

export function draw(g: Placed): Drawing {
  const shift = lanes(g);
  const most = g.edges.reduce((n, e) => Math.max(n, e.call_count), 0);
  return {
    width: 2 * margin + g.width * stepX + box.width,
    height: 2 * margin + g.height * stepY + box.height,
    boxes: g.nodes.map((n) => ({ x: left(n.x), y: margin + n.y * stepY })),
    lines: g.edges.map((e, i) => line(g, e, most, shift[i])),
  };
}

/** The order of keys: column by column, from above. */
export const reading = (g: Placed): number[] => g.nodes.map((_, i) => i).sort((a, b) => g.nodes[a].x - g.nodes[b].x || g.nodes[a].y - g.nodes[b].y);

/** Where an arrow key leads from a node: the nearest in that direction; itself where there is none. */
export function towards(g: Placed, at: number, dx: number, dy: number): number {
  let best = at, least = Infinity;
  g.nodes.forEach((n, i) => {
    const ahead = (n.x - g.nodes[at].x) * 4 * dx + (n.y - g.nodes[at].y) * dy, aside = Math.abs((n.x - g.nodes[at].x) * 4 * dy) + Math.abs((n.y - g.nodes[at].y) * dx);
    if (i === at || ahead <= 0.01 || (dx !== 0 && n.x === g.nodes[at].x) || (dy !== 0 && n.x !== g.nodes[at].x)) return;
    const way = ahead + 2 * aside;
    if (way < least) [best, least] = [i, way];
  });
  return best;
}

/* ---- what is looked at: a window on the drawing ---- */

export interface View {
  x: number;
  y: number;
  width: number;
  height: number;
}
/** All of it in a frame of that shape; small maps are not blown up. */
export function whole(d: Drawing, frame: { width: number; height: number }): View {
  const scale = Math.max(d.width / frame.width, d.height / frame.height, 1), width = frame.width * scale, height = frame.height * scale;
  return { x: (d.width - width) / 2, y: (d.height - height) / 2, width, height };
}
/** What is seen first: all, if its words can be read then; else what can be, about that node. */
export const readable = 1 / 0.6; // units of the drawing a pixel
export function first(d: Drawing, frame: { width: number; height: number }, node: number): View {
  const all = whole(d, frame), at = d.boxes[node];
  if (!at || all.width / frame.width <= readable) return all;
  const width = frame.width * readable, height = frame.height * readable;
  const within = (middle: number, size: number, most: number): number => (size >= most ? (most - size) / 2 : Math.min(most - size, Math.max(0, middle - size / 2)));
  return { x: within(at.x + box.width / 2, width, d.width), y: within(at.y + box.height / 2, height, d.height), width, height };
}
/** Where one would look: what fails most, else what is called most. */
export function foremost(g: MapGraph): number {
  const weight = (n: MapNode): number => (healthOf(n) === 'failing' ? 1e15 : 0) + errorsOf(n).calls;
  return g.nodes.reduce((best, n, i) => (weight(n) > weight(g.nodes[best]) ? i : best), 0);
}
/** The same view where that box is all in it, else one about the box. */
export function showing(v: View, at: { x: number; y: number }): View {
  const isIn = at.x >= v.x && at.y >= v.y && at.x + box.width <= v.x + v.width && at.y + box.height <= v.y + v.height;
  return isIn ? v : { ...v, x: at.x + (box.width - v.width) / 2, y: at.y + (box.height - v.height) / 2 };
}
/** Who fails, in the order of keys. */
export const failingOf = (g: MapGraph): number[] => reading(g).filter((i) => healthOf(g.nodes[i]) === 'failing');
/** The worst first, and of two alike who is called more. */
export function worstFirst(g: MapGraph): number[] {
  const order: Health[] = ['failing', 'degraded', 'healthy', 'quiet'], rank = g.nodes.map((n) => order.indexOf(healthOf(n)));
  return g.nodes.map((_, i) => i).sort((a, b) => rank[a] - rank[b] || errorsOf(g.nodes[b]).calls - errorsOf(g.nodes[a]).calls || a - b);
}
/** Closer (by < 1) or farther, with (x, y) of the drawing staying where it is. */
export function zoomed(v: View, by: number, x: number, y: number, least = 200, most = 40000): View {
  const width = Math.min(most, Math.max(least, v.width * by)), k = width / v.width;
  return { x: x - (x - v.x) * k, y: y - (y - v.y) * k, width, height: v.height * k };
}
/** How wide a letter is, of a usual one; about, since nobody measures here. */
function widthOf(letter: string): number {
  const code = letter.codePointAt(0)!;
  if (code >= 0x1100) return code >= 0xfe00 && code <= 0xfe0f ? 0 : 1.8; // ideographs, emoji
  return /[\p{M}\u200b-\u200f]/u.test(letter) ? 0 : /[mwMW@%—<>=+~#&]/.test(letter) ? 1.45 : /\p{Lu}/u.test(letter) ? 1.15 : /[ijlrtfI.,:;'|!()[\]/ -]/.test(letter) ? 0.7 : 1.05;
}
/** So much of a text as fits where `most` usual letters do; never half a letter. */
export function cut(text: string, most: number): string {
  const letters = Array.from(text.slice(0, 8 * most));
  let width = 0, fit = 0;
  for (const [i, letter] of letters.entries()) {
    width += widthOf(letter);
    if (width <= most - 1) fit = i + 1;
    if (width > most) return `${letters.slice(0, fit).join('')}…`;
  }
  return text.length > 8 * most ? `${letters.slice(0, fit).join('')}…` : text;
}
