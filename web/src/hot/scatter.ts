// The traces of a search as dots: time across, duration up on a logarithmic scale. Positions are computed here, drawn elsewhere.
import { parseMs } from '../lib/time';

export interface TraceIn {
  start: string;
  duration_ns: number;
  error_count: number;
  span_count: number;
}

export interface Scatter {
  n: number;
  x: Float32Array;
  y: Float32Array;
  radius: Float32Array;
  error: Uint8Array;
  from: number; // ms
  to: number;
  low: number; // log10 ns, whole decades
  high: number;
}

export interface Box {
  left: number;
  top: number;
  right: number; // of the drawing area, in pixels of the canvas
  bottom: number;
}

export function scatter(traces: readonly TraceIn[], from: number, to: number, box: Box): Scatter {
  const n = traces.length;
  const s: Scatter = { n, x: new Float32Array(n), y: new Float32Array(n), radius: new Float32Array(n), error: new Uint8Array(n), from, to, low: 0, high: 0 };
  let least = Infinity, most = 0;
  for (const t of traces) {
    least = Math.min(least, Math.max(1, t.duration_ns));
    most = Math.max(most, t.duration_ns);
  }
  s.low = n ? Math.floor(Math.log10(least)) : 6;
  s.high = n ? Math.max(s.low + 1, Math.ceil(Math.log10(Math.max(2, most)))) : 9;
  for (let i = 0; i < n; i++) {
    const t = traces[i];
    s.x[i] = box.left + ((parseMs(t.start) - from) / Math.max(1, to - from)) * (box.right - box.left);
    s.y[i] = box.bottom - ((Math.log10(Math.max(1, t.duration_ns)) - s.low) / (s.high - s.low)) * (box.bottom - box.top);
    s.radius[i] = Math.min(9, 2.5 + Math.log2(1 + t.span_count) * 0.6);
    s.error[i] = t.error_count > 0 ? 1 : 0;
  }
  return s;
}

/** The dot nearest to a point, at most `reach` pixels from its rim; -1: none. */
export function nearest(s: Scatter, x: number, y: number, reach: number): number {
  let best = -1, least = reach;
  for (let i = 0; i < s.n; i++) {
    const far = Math.max(0, Math.hypot(s.x[i] - x, s.y[i] - y) - s.radius[i]);
    if (far <= least) {
      least = far;
      best = i;
    }
  }
  return best;
}

/** What a rectangle that was drawn means: times in ms, durations in ns. */
export function selection(s: Scatter, box: Box, x0: number, y0: number, x1: number, y1: number): { from: number; to: number; min: number; max: number } {
  const time = (x: number): number => s.from + ((x - box.left) / (box.right - box.left)) * (s.to - s.from);
  const ns = (y: number): number => 10 ** (s.low + ((box.bottom - y) / (box.bottom - box.top)) * (s.high - s.low));
  const [left, right] = x0 < x1 ? [x0, x1] : [x1, x0];
  const [top, bottom] = y0 < y1 ? [y0, y1] : [y1, y0];
  return { from: time(Math.max(box.left, left)), to: time(Math.min(box.right, right)), min: ns(Math.min(box.bottom, bottom)), max: ns(Math.max(box.top, top)) };
}
