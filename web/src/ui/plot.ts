// uPlot, loaded by the screens that draw it. Dragging over it picks a range of time.
import uPlot from 'uplot';
import { colour } from '../lib/prefs';
import { showTime } from '../lib/time';

export interface Series {
  label: string;
  token: string; // a colour of tokens.css
  kind: 'line' | 'area' | 'bars';
}
export interface PlotOptions {
  series: Series[];
  format: (v: number) => string;
  utc: boolean;
  onPick: (fromMs: number, toMs: number) => void;
  label: string;
  range?: [number, number]; // seconds
}

/** "22:05", "22:05:30" or "11-26 22:00", by how far apart the marks are. */
function timeMarks(utc: boolean): (u: uPlot, marks: number[]) => string[] {
  return (_u, marks) => {
    const apart = marks.length > 1 ? marks[1] - marks[0] : 60;
    const [from, to] = apart >= 7200 ? [5, 16] : apart < 60 ? [11, 19] : [11, 16];
    return marks.map((m) => showTime(m * 1000, utc ? 'utc' : 'local').slice(from, to));
  };
}

const soft = (c: string): string => c.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.18)');

function seriesOf(s: Series): uPlot.Series {
  const c = colour(s.token);
  const bars = s.kind === 'bars' ? { paths: uPlot.paths.bars!({ size: [0.86, 40], gap: 1 }) } : {};
  return { label: s.label, stroke: c, width: s.kind === 'bars' ? 0 : 1.5, fill: s.kind === 'bars' ? c : s.kind === 'area' ? soft(c) : undefined, points: { show: false }, ...bars };
}

export function plot(into: HTMLElement, data: ArrayLike<number>[], o: PlotOptions): { destroy: () => void } {
  const axis = { stroke: colour('muted'), grid: { stroke: colour('line'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
  const made = new uPlot(
    {
      width: into.clientWidth,
      height: into.clientHeight,
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 }, y: false },
      scales: { x: { time: true, range: o.range ? () => o.range! : undefined }, y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.08 : 1] } },
      padding: [8, 26, 0, 0],
      axes: [{ ...axis, space: 80, size: 22, gap: 3, grid: { show: false }, values: timeMarks(o.utc) }, { ...axis, size: 56, gap: 6, space: 26, values: (_u, v) => v.map(o.format) }],
      series: [{}, ...o.series.map(seriesOf)],
      tzDate: o.utc ? (ts) => uPlot.tzDate(new Date(ts * 1e3), 'Etc/UTC') : undefined,
      hooks: {
        setSelect: [(u) => {
          if (u.select.width < 4) return;
          o.onPick(u.posToVal(u.select.left, 'x') * 1000, u.posToVal(u.select.left + u.select.width, 'x') * 1000);
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
      },
    },
    data as uPlot.AlignedData,
    into,
  );
  made.root.querySelector('canvas')?.setAttribute('aria-hidden', 'true');
  const watch = new ResizeObserver(() => made.setSize({ width: into.clientWidth, height: into.clientHeight }));
  watch.observe(into);
  return { destroy: () => { watch.disconnect(); made.destroy(); } };
}
