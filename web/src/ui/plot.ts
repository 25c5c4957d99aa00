// uPlot, loaded by the screens that draw it. Dragging over it picks a range of time.
import uPlot from 'uplot';
import { alone } from '../hot/lines';
import { colour } from '../lib/prefs';
import { showTime } from '../lib/time';

export interface Series {
  label: string;
  token: string; // a colour of tokens.css
  kind: 'line' | 'area' | 'bars' | 'dashed' | 'steps' | 'points'; // steps: dashed, over bars
}
export interface PlotOptions {
  series: Series[];
  format: (v: number) => string;
  utc: boolean;
  onPick: (fromMs: number, toMs: number) => void;
  onReset: () => void; // a double click
  onPoint: (i: number | null) => void; // the pointer is over this x
  axis?: [number, number]; // of the values; else from zero to the greatest
  marks?: PlotMark[]; // dots over the lines
  stack?: boolean; // each series is drawn on the one before it, filled in between
  lines?: { y: number; token: string }[]; // across the chart
  binary?: boolean; // marks of the axis at powers of two
  ticks?: (values: number[]) => string[]; // marks of the axis; else as `format`
  label: string;
}
/** Something that stands at one place and can be opened. */
export interface PlotMark {
  x: number; // seconds
  y: number;
  title: string;
  open: () => void;
}
export interface Plot {
  destroy: () => void;
  point: (i: number | null) => void; // moves the cursor
}

/** "22:05", "22:05:30" or "11-26 22:00", by how far apart the marks are. */
function timeMarks(utc: boolean): (u: uPlot, marks: number[]) => string[] {
  return (_u, marks) => {
    const apart = marks.length > 1 ? marks[1] - marks[0] : 60;
    const [from, to] = apart >= 7200 ? [5, 16] : apart < 60 ? [11, 19] : [11, 16];
    return marks.map((m) => showTime(m * 1000, utc ? 'utc' : 'local').slice(from, to));
  };
}

/** 1, 2, 5, 10 … of each power of 1024. */
const powers = Array.from({ length: 7 }, (_, k) => [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].map((n) => n * 1024 ** k)).flat();

const soft = (c: string): string => c.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.18)');

function seriesOf(s: Series, v: ArrayLike<number>): uPlot.Series {
  const c = colour(s.token), marks = alone(v);
  if (s.kind === 'bars') return { label: s.label, stroke: c, width: 0, fill: c, points: { show: false }, paths: uPlot.paths.bars!({ size: [0.86, 40, 2], gap: 1, align: 1 }) };
  if (s.kind === 'points') return { label: s.label, stroke: c, width: 0, points: { show: true, size: 4, fill: c } };
  return {
    label: s.label, stroke: c, width: 1.5, dash: s.kind === 'dashed' || s.kind === 'steps' ? [5, 4] : undefined, fill: s.kind === 'area' ? soft(c) : undefined,
    points: { show: marks.length > 0, size: 6, fill: c, filter: () => marks },
    ...(s.kind === 'steps' ? { paths: uPlot.paths.stepped!({ align: 1 }) } : {}),
  };
}

const full = (c: string): string => c.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.4)');

/** The lowest down to zero, the others down to the one below. */
function bandsOf(o: PlotOptions): uPlot.Band[] | undefined {
  if (!o.stack) return undefined;
  return o.series.slice(1).map((s, i) => ({ series: [i + 2, i + 1] as uPlot.Band['series'], fill: full(colour(s.token)) }));
}

/** Thresholds, dashed. */
function rules(u: uPlot, o: PlotOptions): void {
  const { ctx, bbox } = u;
  for (const l of o.lines ?? []) {
    const y = Math.round(u.valToPos(l.y, 'y', true));
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.save();
    ctx.strokeStyle = colour(l.token);
    ctx.lineWidth = devicePixelRatio || 1;
    ctx.setLineDash([6, 4].map((n) => n * (devicePixelRatio || 1)));
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.restore();
  }
}

/** From the first bucket's start to the last one's end, so that no bar is cut. */
function spread(x: ArrayLike<number>): [number, number] {
  const first = x[0] ?? 0, last = x[x.length - 1] ?? 1, step = x.length > 1 ? x[1] - first : 60;
  return [first, last + step];
}

/** Dots are for the pointer alone; who uses keys has them as a list. */
function dotOf(mark: PlotMark): { mark: PlotMark; element: HTMLElement } {
  const element = document.createElement('i');
  element.className = 'exemplar';
  element.title = mark.title;
  element.setAttribute('aria-hidden', 'true');
  element.addEventListener('mousedown', (e) => e.stopPropagation()); // no range is picked
  element.addEventListener('click', mark.open);
  return { mark, element };
}

/** A value beyond the axis stands at its edge. */
function place(u: uPlot, dots: { mark: PlotMark; element: HTMLElement }[]): void {
  const { clientWidth: width, clientHeight: height } = u.over;
  for (const { mark, element } of dots) {
    const x = u.valToPos(mark.x, 'x'), y = u.valToPos(mark.y, 'y');
    element.hidden = x < 0 || x > width;
    element.style.left = `${x}px`;
    element.style.top = `${Math.max(4, Math.min(height - 4, y))}px`;
  }
}

export function plot(into: HTMLElement, data: ArrayLike<number>[], o: PlotOptions): Plot {
  const axis = { stroke: colour('muted'), grid: { stroke: colour('line'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
  const range = spread(data[0]), dots = (o.marks ?? []).map(dotOf);
  const made = new uPlot(
    {
      width: into.clientWidth,
      height: into.clientHeight,
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 }, y: false, bind: { dblclick: () => () => { o.onReset(); return null; } } },
      scales: { x: { time: true, range: () => range }, y: { range: (_u, _min, max) => o.axis ?? [0, max > 0 ? max * 1.08 : 1] } },
      padding: [8, 26, 0, 0],
      axes: [{ ...axis, space: 80, size: 22, gap: 3, grid: { show: false }, values: timeMarks(o.utc) }, { ...axis, size: 56, gap: 6, space: 26, ...(o.binary ? { incrs: powers } : {}), values: (_u, v) => (o.ticks ?? ((all) => all.map(o.format)))(v) }],
      series: [{}, ...o.series.map((s, i) => ({ ...seriesOf(s, data[i + 1]), ...(o.stack && i === 0 ? { fill: full(colour(s.token)) } : {}) }))],
      bands: bandsOf(o),
      tzDate: o.utc ? (ts) => uPlot.tzDate(new Date(ts * 1e3), 'Etc/UTC') : undefined,
      hooks: {
        setSelect: [(u) => {
          if (u.select.width < 4) return;
          o.onPick(u.posToVal(u.select.left, 'x') * 1000, u.posToVal(u.select.left + u.select.width, 'x') * 1000);
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
        setCursor: [(u) => o.onPoint(u.cursor.idx ?? null)],
        draw: [(u) => { rules(u, o); place(u, dots); }],
      },
    },
    data as uPlot.AlignedData,
    into,
  );
  made.over.append(...dots.map((d) => d.element));
  made.root.querySelector('canvas')?.setAttribute('aria-hidden', 'true');
  const watch = new ResizeObserver(() => made.setSize({ width: into.clientWidth, height: into.clientHeight }));
  watch.observe(into);
  return {
    destroy: () => { watch.disconnect(); made.destroy(); },
    point: (i) => made.setCursor(i === null ? { left: -10, top: -10 } : { left: made.valToPos(data[0][i], 'x') + 1, top: 10 }),
  };
}
