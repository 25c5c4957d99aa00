// Traces as dots. A dot opens its trace; a rectangle picks times and durations. The table below it says the same in words.
import { useEffect, useRef, useState } from 'preact/hooks';
import { nearest, scatter, selection, type Box, type Scatter } from '../hot/scatter';
import type { TraceSummary } from '../lib/api';
import { duration, plural } from '../lib/format';
import { go } from '../lib/nav';
import { colour, isDark, usePrefs } from '../lib/prefs';
import { traceLink } from '../lib/screens';
import { showTime } from '../lib/time';

const boxOf = (w: number, h: number): Box => ({ left: 58, top: 12, right: w - 14, bottom: h - 24 });

function grid(g: CanvasRenderingContext2D, s: Scatter, box: Box, utc: boolean): void {
  g.font = '11px system-ui, sans-serif';
  g.fillStyle = colour('muted');
  g.strokeStyle = colour('line');
  g.lineWidth = 1;
  g.textAlign = 'right';
  for (let d = s.low; d <= s.high; d++) {
    const y = Math.round(box.bottom - ((d - s.low) / (s.high - s.low)) * (box.bottom - box.top)) + 0.5;
    g.beginPath();
    g.moveTo(box.left, y);
    g.lineTo(box.right, y);
    g.stroke();
    g.fillText(duration(10 ** d).replace(/\.0+(?= )/, ''), box.left - 8, y + 4);
  }
  const steps = Math.max(2, Math.floor((box.right - box.left) / 140));
  for (let k = 0; k <= steps; k++) {
    g.textAlign = k === 0 ? 'left' : k === steps ? 'right' : 'center';
    const text = showTime(s.from + ((s.to - s.from) * k) / steps, utc ? 'utc' : 'local');
    g.fillText(s.to - s.from > 86_400_000 ? text.slice(5, 16) : text.slice(11), box.left + ((box.right - box.left) * k) / steps, box.bottom + 17);
  }
}

function draw(canvas: HTMLCanvasElement, s: Scatter, box: Box, at: number, utc: boolean): void {
  const g = canvas.getContext('2d')!, scale = devicePixelRatio || 1;
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, canvas.width, canvas.height);
  grid(g, s, box, utc);
  for (const bad of [0, 1]) {
    g.fillStyle = g.strokeStyle = colour(bad ? 'error' : 'accent');
    for (let i = 0; i < s.n; i++) {
      if (s.error[i] !== bad) continue;
      g.globalAlpha = i === at ? 1 : 0.55;
      g.beginPath();
      if (bad) g.rect(s.x[i] - s.radius[i], s.y[i] - s.radius[i], 2 * s.radius[i], 2 * s.radius[i]); // not by colour alone
      else g.arc(s.x[i], s.y[i], s.radius[i], 0, 7);
      g.fill();
      g.globalAlpha = 1;
      g.stroke();
    }
  }
}

export function ScatterPlot({ traces, from, to, onPick }: {
  traces: TraceSummary[]; from: number; to: number; onPick: (p: { from: number; to: number; min: number; max: number }) => void;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const made = useRef<{ s: Scatter; box: Box } | null>(null);
  const [at, setAt] = useState(-1);
  const [size, setSize] = useState<[number, number]>([0, 0]);
  const [rubber, setRubber] = useState<[number, number, number, number] | null>(null);
  const prefs = usePrefs(), dark = isDark(), utc = prefs.zone === 'utc';
  useEffect(() => {
    const c = canvas.current!;
    const watch = new ResizeObserver(() => setSize([c.clientWidth, c.clientHeight]));
    watch.observe(c);
    return () => watch.disconnect();
  }, []);
  useEffect(() => {
    const c = canvas.current!, [w, h] = size;
    if (!w) return;
    c.width = w * (devicePixelRatio || 1);
    c.height = h * (devicePixelRatio || 1);
    const box = boxOf(w, h);
    made.current = { s: scatter(traces, from, to, box), box };
    draw(c, made.current.s, box, at, utc);
  }, [traces, from, to, size, dark, utc]);
  useEffect(() => {
    if (made.current) draw(canvas.current!, made.current.s, made.current.box, at, utc);
  }, [at]);
  const point = (e: PointerEvent): [number, number] => {
    const r = canvas.current!.getBoundingClientRect();
    return [e.clientX - r.left, e.clientY - r.top];
  };
  const move = (e: PointerEvent): void => {
    const [x, y] = point(e);
    if (rubber) setRubber([rubber[0], rubber[1], x, y]);
    else setAt(made.current ? nearest(made.current.s, x, y, 8) : -1);
  };
  const up = (e: PointerEvent): void => {
    if (!rubber || !made.current) return;
    const [x0, y0] = rubber, [x, y] = point(e);
    setRubber(null);
    if (Math.abs(x - x0) > 5 || Math.abs(y - y0) > 5) onPick(selection(made.current.s, made.current.box, x0, y0, x, y));
    else if (at >= 0) go(traceLink(traces[at].trace_id));
  };
  const t = at >= 0 ? traces[at] : null, s = made.current?.s;
  return (
    <div class="scatter">
      <canvas ref={canvas} role="img" aria-label={`${plural(traces.length, 'trace')} by time and duration; the table below has the same`}
        onPointerMove={move} onPointerLeave={() => { setAt(-1); setRubber(null); }} onPointerDown={(e) => setRubber([...point(e), ...point(e)])} onPointerUp={up} />
      {rubber && <div class="rubber" style={{ left: `${Math.min(rubber[0], rubber[2])}px`, top: `${Math.min(rubber[1], rubber[3])}px`, width: `${Math.abs(rubber[2] - rubber[0])}px`, height: `${Math.abs(rubber[3] - rubber[1])}px` }} />}
      {t && s && !rubber && (
        <div class="tip" style={{ left: `${Math.min(s.x[at] + 12, Math.max(0, size[0] - 240))}px`, top: `${Math.min(s.y[at] + 10, size[1] - 52)}px` }}>
          <b>{t.root.operation}</b>
          <div class="muted">{t.root.service} · {duration(t.duration_ns)} · {plural(t.span_count, 'span')}{t.error_count > 0 && ` · ${plural(t.error_count, 'error')}`}</div>
        </div>
      )}
    </div>
  );
}
