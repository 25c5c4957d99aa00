import test from 'node:test';
import assert from 'node:assert/strict';
import { mustAsk, originOf, ownFirst, sayOrigins } from '../src/lib/origins';

test("metrics of one's own come before those of the machine, and clew's come last", () => {
  const sorted = ['clew_a', 'clew_b', 'container_cpu_usage_seconds_total', 'http_requests_total', 'nodes_total', 'node_load1', 'node_load15', 'up', 'zz'];
  assert.deepEqual(ownFirst(sorted), ['http_requests_total', 'nodes_total', 'up', 'zz', 'container_cpu_usage_seconds_total', 'node_load1', 'node_load15', 'clew_a', 'clew_b']);
  assert.deepEqual(ownFirst([]), []);
  assert.deepEqual(['clew', 'clew_x', 'clewx', 'node_', 'node', 'Clew_x', 'container_fs_reads_total'].map((n) => originOf(n)), [0, 2, 0, 1, 0, 0, 1]);
});

test('and it is said, where there is something to say', () => {
  assert.equal(sayOrigins(['a', 'b']), '');
  assert.equal(sayOrigins(['a', 'node_x', 'clew_y', 'clew_z']), '1 of your own, then 1 of the machine and its containers, 2 of clew');
  assert.equal(sayOrigins(['node_x', 'clew_y']), 'none of your own yet; 1 of the machine and its containers, 1 of clew');
  assert.equal(sayOrigins(['a', 'clew_y']), '1 of your own, then 1 of clew');
  assert.equal(sayOrigins([]), '');
});

test("names of a process are clew's where nobody else says them", () => {
  assert.deepEqual(ownFirst(['clew_a', 'process_cpu_seconds_total', 'process_open_fds'], new Set(['process_open_fds'])), ['process_open_fds', 'clew_a', 'process_cpu_seconds_total']);
  assert.equal(sayOrigins(['clew_a', 'process_cpu_seconds_total'], new Set()), 'none of your own yet; 2 of clew');
  assert.equal(originOf('process_x', null), 0);
  assert.deepEqual([['clew_a'], ['process_x'], ['clew_a', 'process_x']].map(mustAsk), [false, false, true]);
});
