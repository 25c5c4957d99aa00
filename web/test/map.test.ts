// The map as a drawing: boxes apart, lines that end at them, how well a node does, keys from one to the next.
import assert from 'node:assert/strict';
import test from 'node:test';
import { box, cut, draw, errorsOf, failingOf, first, foremost, healthOf, keyOf, readable, reading, showing, towards, whole, worstFirst, zoomed, type MapEdge, type MapGraph, type MapNode } from '../src/hot/map';

const node = (name: string, x: number, y: number, some: Partial<MapNode> = {}): MapNode => ({
  kind: 'service', environment: 'prod', namespace: '', name, language: null, versions: [], versions_truncated: false, instance_count: 0, span_count: 0, error_count: 0, error_ratio: 0, duration: null,
  calls_in: 0, errors_in: 0, calls_out: 0, errors_out: 0, error_status: 'unknown', last_seen: '', x, y, ...some,
});
const edge = (client: number, server: number, some: Partial<MapEdge> = {}): MapEdge => ({ client, server, connection: 'direct', call_count: 10, error_count: 0, error_ratio: 0, error_status: 'healthy', client_duration: null, server_duration: null, last_seen: '', bends: [], ...some });
const graph = (nodes: MapNode[], edges: MapEdge[]): MapGraph => ({
  range: { start: '2026-01-01T00:00:00Z', end: '2026-01-01T01:00:00Z' }, nodes, edges, width: Math.max(...nodes.map((n) => n.x)), height: Math.max(...nodes.map((n) => n.y)), left_out: 0, other_count: 0, partial: false,
});
const shop = graph([node('web', 0, 0.5), node('cart', 1, 0), node('pay', 1, 1), node('db', 2, 0.5, { kind: 'database' })],
  [edge(0, 1, { call_count: 1000 }), edge(0, 2), edge(1, 3), edge(2, 3), edge(0, 3, { bends: [[1, 2]] }), edge(3, 0), edge(1, 1)]);

test('boxes stand apart and within the drawing', () => {
  const d = draw(shop);
  d.boxes.forEach((a, i) => {
    assert.ok(a.x >= 0 && a.y >= 0 && a.x + box.width <= d.width && a.y + box.height <= d.height);
    d.boxes.forEach((b, k) => assert.ok(i === k || Math.abs(a.x - b.x) >= box.width || Math.abs(a.y - b.y) >= box.height));
  });
});

test('lines begin and end at their boxes, and go by their bends', () => {
  const d = draw(shop), numbers = (path: string): number[] => path.match(/-?\d+(\.\d+)?/g)!.map(Number);
  const ends = (i: number): [number, number, number, number] => { const v = numbers(d.lines[i].path); return [v[0], v[1], v.at(-2)!, v.at(-1)!]; };
  const [x0, y0, x1, y1] = ends(0);
  assert.deepEqual([x0, y0], [d.boxes[0].x + box.width, d.boxes[0].y + box.height / 2]);
  assert.deepEqual([x1, y1], [d.boxes[1].x, d.boxes[1].y + box.height / 2]);
  assert.equal(d.lines[4].path.match(/C/g)!.length, 2);
  const [bx0, , bx1] = ends(5); // back: out of the left side, into the right
  assert.ok(d.lines[5].back && bx0 === d.boxes[3].x && bx1 === d.boxes[0].x + box.width);
  assert.ok(d.lines[0].weight > d.lines[1].weight && d.lines[0].weight <= 4);
  assert.ok(!/NaN|Infinity/.test(d.lines.map((l) => l.path + l.x + l.y + l.weight).join()));
});

test('edges between the same two nodes run beside each other, whichever way they go, and so do their words', () => {
  const two = graph([node('a', 0, 0), node('b', 1, 0)], [edge(0, 1), edge(1, 0), edge(0, 1)]), d = draw(two);
  const ys = d.lines.map((l) => l.path.match(/-?\d+(\.\d+)?/g)!.map(Number)).map((v) => [v[1], v.at(-1)!]);
  for (const [a, b] of ys) assert.equal(a, b);
  assert.deepEqual(ys.map(([y]) => y - (d.boxes[0].y + box.height / 2)), [-18, 0, 18]);
  assert.deepEqual(d.lines.map((l) => l.y), ys.map(([y]) => y));
  const many = draw(graph(two.nodes, Array.from({ length: 9 }, (_, i) => edge(i % 2, 1 - (i % 2)))));
  for (const l of many.lines) assert.ok(l.y > many.boxes[0].y && l.y < many.boxes[0].y + box.height, 'all of them meet their boxes');
});

test('health is what the server says, figures are of the calls of others, else of its own spans', () => {
  const health = (error_status: MapNode['error_status']) => healthOf(node('a', 0, 0, { error_status, span_count: 100, error_count: 50, calls_in: 1000, errors_in: 9 }));
  assert.deepEqual([health('unknown'), health('healthy'), health('degraded'), health('critical')], ['quiet', 'healthy', 'degraded', 'failing']);
  assert.deepEqual(errorsOf(node('a', 0, 0, { calls_in: 10, errors_in: 4 })), { calls: 10, ratio: 0.4 });
});

test('keys tell nodes of one name apart', () => {
  const keys = [node('a/b', 0, 0), node('b', 0, 0, { namespace: 'a' }), node('a', 0, 0, { kind: 'database' }), node('a', 0, 0), node('a', 0, 0, { environment: 'stage' })].map(keyOf);
  assert.equal(new Set(keys).size, 5);
});

test('arrow keys lead to every node, and to none where there is none', () => {
  assert.deepEqual(reading(shop), [0, 1, 2, 3]);
  assert.equal(towards(shop, 0, 1, 0), 1);
  assert.equal(towards(shop, 1, 0, 1), 2);
  assert.equal(towards(shop, 2, 1, 0), 3);
  assert.equal(towards(shop, 3, -1, 0), 1);
  assert.equal(towards(shop, 0, -1, 0), 0);
  assert.equal(towards(shop, 3, 0, 1), 3);
});

test('a view holds all, is not blown up, and zooms about a point', () => {
  const d = draw(shop), v = whole(d, { width: 300, height: 200 });
  assert.ok(v.x <= 0 && v.y <= 0 && v.x + v.width >= d.width && v.y + v.height >= d.height);
  assert.ok(Math.abs(v.width / v.height - 1.5) < 1e-9);
  assert.equal(whole(d, { width: 3000, height: 2000 }).width, 3000);
  const z = zoomed(v, 0.5, 100, 50), share = (w: typeof v): number => (100 - w.x) / w.width;
  assert.ok(Math.abs(share(v) - share(z)) < 1e-9 && Math.abs(z.width / z.height - 1.5) < 1e-9);
  assert.equal(zoomed(v, 1e-9, 0, 0).width, 200);
});

test('a map too large to be read begins where one would look', () => {
  const nodes = Array.from({ length: 200 }, (_, i) => node(`s${i}`, Math.floor(i / 20), i % 20, { span_count: 100 + i, error_count: i === 77 ? 90 : 0, error_status: i === 77 ? 'critical' : 'healthy' }));
  const g = graph(nodes, []), d = draw(g), frame = { width: 900, height: 600 };
  assert.equal(foremost(g), 77);
  const v = first(d, frame, 77);
  assert.ok(Math.abs(v.width / frame.width - readable) < 1e-9 && v.x >= 0 && v.y >= 0 && v.x + v.width <= d.width && v.y + v.height <= d.height);
  assert.ok(d.boxes[77].x >= v.x && d.boxes[77].x + box.width <= v.x + v.width && d.boxes[77].y >= v.y && d.boxes[77].y + box.height <= v.y + v.height);
  assert.deepEqual(first(draw(shop), frame, 0), whole(draw(shop), frame));
  assert.equal(foremost(graph([node('a', 0, 0, { span_count: 1 }), node('b', 0, 1, { span_count: 5 })], [])), 1);
});

test('names are cut to what a box has room for, by how wide letters are, and never within one', () => {
  assert.equal(cut('notification-service', 22), 'notification-service');
  assert.match(cut('x'.repeat(600), 22), /^x{19,21}…$/);
  assert.match(cut('W'.repeat(30), 22), /^W{13,15}…$/);
  assert.match(cut('結帳服務結帳服務結帳服務結帳服務', 22), /^.{10,12}…$/);
  for (let n = 1; n < 30; n++) assert.ok(!/[\ud800-\udbff](?![\udc00-\udfff])/.test(cut('🧨'.repeat(20), n)), 'no half of a pair');
  assert.ok(cut('\u0301'.repeat(5000), 22).length < 200, 'marks that take no room end too');
});

test('who sends no spans and is called by nobody is told by its calls, and is neither well nor ill', () => {
  const user = node('user', 0, 0, { kind: 'peer', calls_out: 40, errors_out: 9 });
  assert.deepEqual(errorsOf(user), { calls: 40, ratio: 0 });
  assert.equal(healthOf(user), 'quiet');
});

test('the worst come first in the list, and keys lead from one that fails to the next', () => {
  const g = graph([node('well', 0, 0, { span_count: 900, error_status: 'healthy' }), node('fails', 2, 0, { span_count: 10, error_count: 5, error_status: 'critical' }), node('idle', 0, 1), node('fails much', 1, 0, { span_count: 100, error_count: 9, error_status: 'critical' }), node('ails', 1, 1, { span_count: 100, error_count: 2, error_status: 'degraded' })], []);
  assert.deepEqual(worstFirst(g).map((i) => g.nodes[i].name), ['fails much', 'fails', 'ails', 'well', 'idle']);
  assert.deepEqual(failingOf(g).map((i) => g.nodes[i].name), ['fails much', 'fails']);
});

test('a view stays where it is while it shows a box whole, else it goes about it', () => {
  const v = { x: 100, y: 100, width: 400, height: 300 };
  assert.equal(showing(v, { x: 100, y: 100 }), v);
  assert.deepEqual(showing(v, { x: 99, y: 100 }), { x: 99 + box.width / 2 - 200, y: 100 + box.height / 2 - 150, width: 400, height: 300 });
  assert.deepEqual(showing(v, { x: 2000, y: -500 }), { x: 2000 + box.width / 2 - 200, y: -500 + box.height / 2 - 150, width: 400, height: 300 });
});
