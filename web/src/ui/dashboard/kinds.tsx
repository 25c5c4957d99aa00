// What a panel shows of its answers, by its kind.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { heatOf, reduced, stacked, toneAt, valuesOf, type Heat, type Value } from '../../hot/panel';
import { axisOf, linesOf, telling, type Line } from '../../hot/series';
import { fill, legendOf, type Chosens, type Panel } from '../../lib/dashboard';
import { duration, plural } from '../../lib/format';
import { markdown, type Inline } from '../../lib/markdown';
import { colour, isDark, usePrefs } from '../../lib/prefs';
import { labelsText, letterOf, showStep, type Labels } from '../../lib/prom';
import { logsLink, traceLink, type Range } from '../../lib/screens';
import { parseMs, showClock, showTime } from '../../lib/time';
import { axisMarks, formatter } from '../../lib/units';
import { Chart } from '../chart';
import { Dot } from '../chips';
import type { PlotOptions } from '../plot';
import type { Answer, PanelData } from './ask';

export interface BodyProps {
  p: Panel;
  data: PanelData;
  chosens: Chosens;
  range: Range;
  zoom: { pick: (from: number, to: number) => void; out: () => void };
}

const linesMost = 40, tones = 8;
const toneColour: Record<string, string> = { ok: 'text', accent: 'accent', warning: 'warn', error: 'error' };

/* ---- names ---- */

/** Names the series of a panel: by its legend, else by the labels in which they differ. */
function namer(data: PanelData, rows: readonly { query: number; labels: Labels }[], chosens: Chosens): (r: { query: number; labels: Labels }) => string {
  const several = new Set(rows.map((r) => r.query)).size > 1;
  const common = new Map<number, ReadonlySet<string>>();
  for (const a of data.answers) {
    const own = rows.filter((r) => r.query === a.index).map((r) => r.labels);
    common.set(a.index, new Set(own.length > 1 ? Object.keys(telling(own).common) : []));
  }
  return (r) => {
    const legend = data.answers.find((a) => a.index === r.query)?.query.legend;
    if (legend) return legendOf(fill(legend, chosens, data.moment, false), r.labels) || labelsText(r.labels);
    const text = labelsText(r.labels, common.get(r.query)), name = text === '{}' ? (labelsText(r.labels) === '{}' ? 'value' : labelsText(r.labels)) : text;
    return several ? `${letterOf(r.query)} ${name}` : name;
  };
}

const linesIn = (data: PanelData): Line[] => data.answers.flatMap((a: Answer) => (a.result ? linesOf(a.result, a.index, data.steps) : []));

function valuesIn(p: Panel, data: PanelData): Value[] {
  return data.answers.flatMap((a) => (a.result ? valuesOf(a.result, a.index, data.steps, p.calc ?? 'last') : []));
}

const Nothing = () => <p class="panelnote muted">No data in this range of time</p>;

/* ---- time series ---- */

/** The axis: what the panel says, else from what there is; thresholds near it are in sight. */
function axisFor(p: Panel, lines: readonly Pick<Line, 'min' | 'max' | 'n'>[]): [number, number] {
  let [low, high] = axisOf(lines);
  if (p.stack || p.draw === 'bars') low = Math.min(0, low);
  for (const t of p.thresholds ?? []) if (t.at > high && t.at < high * 1.6) high = t.at * 1.04;
  if (p.min !== undefined) low = p.min;
  if (p.max !== undefined) high = p.max;
  return high > low ? [low, high] : [low, low + 1];
}

function Legend({ rows, solo, setSolo }: { rows: { key: string; name: string; tone: string; text: string }[]; solo: string; setSolo: (key: string) => void }) {
  return (
    <ul class="panellegend" aria-label="Legend">
      {rows.map((r) => <li key={r.key}><button aria-pressed={solo === r.key} class={solo && solo !== r.key ? 'unlit' : ''} title={`${r.name}: alone, or with the others`} onClick={() => setSolo(solo === r.key ? '' : r.key)}><i class="dot" style={{ background: `var(--${r.tone})` }} aria-hidden="true" /><span class="cut">{r.name}</span> <b>{r.text}</b></button></li>)}
    </ul>
  );
}

function TimeSeries({ p, data, chosens, zoom }: BodyProps) {
  const { zone } = usePrefs();
  const [solo, setSolo] = useState('');
  const all = useMemo(() => linesIn(data), [data]);
  const name = useMemo(() => namer(data, all, chosens), [data, all]);
  const show = formatter(p, zone);
  const lines = useMemo(() => {
    const some = all.length <= linesMost ? all : [...all].sort((a, b) => (Number.isFinite(b.max) ? b.max : -Infinity) - (Number.isFinite(a.max) ? a.max : -Infinity)).slice(0, linesMost);
    return some.map((l, i) => ({ l, tone: `service-${i % tones}`, name: name(l) }));
  }, [all, name]);
  const made = useMemo(() => {
    const shown = lines.filter((x) => !solo || x.l.key === solo), x = Array.from({ length: data.steps.n }, (_, i) => data.steps.start + i * data.steps.step);
    const values = shown.map((s) => s.l.values), stack = p.stack === true && shown.length > 1, drawn = stack ? stacked(values) : values;
    const kind = p.draw === 'bars' || p.draw === 'points' ? p.draw : p.draw === 'area' && !stack ? 'area' : 'line';
    const series: PlotOptions['series'] = shown.map((s) => ({ label: s.name, token: s.tone, kind: stack && kind !== 'bars' ? 'line' : kind }));
    const ends = stack ? drawn.map((d) => { const v = d.filter((n): n is number => n !== null); return { min: Math.min(0, ...v), max: Math.max(0, ...v), n: v.length }; }) : shown.map((s) => s.l);
    // bars stand before one another: the tallest first
    const order = stack && kind === 'bars' ? series.map((_, i) => series.length - 1 - i) : series.map((_, i) => i);
    return { data: [x, ...order.map((i) => drawn[i])], values: [x, ...order.map((i) => values[i])], series: order.map((i) => series[i]), shown: order.map((i) => shown[i]), stack: stack && kind !== 'bars', axis: axisFor(p, ends) };
  }, [lines, solo, p.stack, p.draw, p.min, p.max, JSON.stringify(p.thresholds)]);
  if (!all.length || all.every((l) => l.n === 0)) return <Nothing />;
  const rules = (p.thresholds ?? []).filter((t) => t.tone !== 'ok').map((t) => ({ y: t.at, token: toneColour[t.tone] }));
  const label = `${p.title || 'Panel'}: ${plural(made.series.length, 'series', 'series')} over time, a value each ${showStep(data.steps.step)}`;
  const tip = (i: number): ComponentChildren => {
    const there = made.shown.map((s) => ({ s, v: s.l.values[i] })).filter((t) => t.v !== null && t.v !== undefined).sort((a, b) => b.v! - a.v!);
    return <ul>{there.slice(0, 10).map(({ s, v }) => <li key={s.l.key}><i class="dot" style={{ background: `var(--${s.tone})` }} /><span class="cut">{s.name}</span><b>{show(v!)}</b></li>)}{there.length > 10 && <li class="muted">and {there.length - 10} more</li>}{!there.length && <li class="muted">no values</li>}</ul>;
  };
  return (
    <>
      <Chart fill data={made.data as ArrayLike<number | null>[]} values={made.values as ArrayLike<number | null>[]} series={made.series} format={show} label={label} onPick={zoom.pick} onReset={zoom.out} axis={made.axis} stack={made.stack} lines={rules} binary={p.unit === 'bytes' || p.unit === 'bytes/s'} ticks={axisMarks(p, zone)} tip={tip} />
      {(lines.length > 1 || (p.queries ?? []).some((q) => q.legend)) && <Legend solo={solo} setSolo={setSolo} rows={lines.map((x) => ({ key: x.l.key, name: x.name, tone: x.tone, text: show(reduced(x.l, p.calc ?? 'last')) }))} />}
      {all.length > lines.length && <p class="panelnote muted">{lines.length} of {all.length} series: those with the greatest values</p>}
    </>
  );
}

/* ---- figures ---- */

function Line_({ values }: { values: (number | null)[] }) {
  const there = values.filter((v): v is number => v !== null);
  if (there.length < 2) return null;
  const low = Math.min(...there), high = Math.max(...there), span = high - low || 1, n = values.length - 1;
  const from = low >= 0 && low < span * 2 ? 0 : low - span * 0.1, to = high + span * 0.05;
  const x = (i: number): string => ((i / n) * 100).toFixed(2), y = (v: number): string => (40 - ((v - from) / (to - from || 1)) * 40).toFixed(2);
  let path = '', area = '', first = -1, last = -1;
  values.forEach((v, i) => {
    if (v === null) return;
    path += `${i > 0 && values[i - 1] !== null ? 'L' : 'M'}${x(i)} ${y(v)}`;
    area += `${first < 0 ? 'M' : 'L'}${x(i)} ${y(v)}`;
    if (first < 0) first = i;
    last = i;
  });
  return <svg class="trendline" viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true"><path class="under" d={`${area}L${x(last)} 40L${x(first)} 40Z`} /><path class="over" d={path} /></svg>;
}

/** A mark beside the number, so that its tone is not told by colour alone. */
const Mark = ({ tone }: { tone: string }) => (tone === 'warning' || tone === 'error' ? <span class="tonemark" title={tone === 'error' ? 'beyond its threshold' : 'near its threshold'}>{tone === 'error' ? '▲' : '△'}<span class="sr">{tone === 'error' ? ' beyond its threshold' : ' near its threshold'}</span></span> : null);

function Stat({ p, data, chosens }: BodyProps) {
  const { zone } = usePrefs();
  const values = useMemo(() => valuesIn(p, data), [data, p.calc]), show = formatter(p, zone), name = namer(data, values, chosens);
  if (!values.length) return <Nothing />;
  if (values.length === 1) {
    const v = values[0], tone = toneAt(v.value, p.thresholds);
    return <div class={`stat tone-${tone}`}><Line_ values={v.values} /><b>{show(v.value)}<Mark tone={tone} /></b>{p.queries?.[0]?.legend && <span class="muted cut">{name(v)}</span>}</div>;
  }
  return <ul class="stats">{values.slice(0, 24).map((v) => { const tone = toneAt(v.value, p.thresholds); return <li key={v.key} class={`tone-${tone}`}><span class="muted cut" title={name(v)}>{name(v)}</span><b>{show(v.value)}<Mark tone={tone} /></b></li>; })}</ul>;
}

/** From the lower to the upper end; beyond them at the end. */
function shareOf(p: Panel, v: number, most: number): number {
  const low = p.min ?? 0, high = p.max ?? (p.unit === 'ratio' ? 1 : p.unit === 'percent' ? 100 : Math.max(most, ...(p.thresholds ?? []).map((t) => t.at)) || 1);
  return Number.isFinite(v) ? Math.max(0, Math.min(1, (v - low) / (high - low || 1))) : 0;
}

function arc(from: number, to: number, r: number): string {
  const at = (s: number): string => { const a = Math.PI * (0.85 + 1.3 * s); return `${(50 + r * Math.cos(a)).toFixed(2)} ${(50 + r * Math.sin(a)).toFixed(2)}`; };
  return `M${at(from)}A${r} ${r} 0 ${(to - from) * 1.3 > 1 ? 1 : 0} 1 ${at(to)}`;
}

function Gauge({ p, data, chosens }: BodyProps) {
  const { zone } = usePrefs();
  const values = useMemo(() => valuesIn(p, data), [data, p.calc]).slice(0, 12), show = formatter(p, zone), name = namer(data, values, chosens);
  if (!values.length) return <Nothing />;
  const most = Math.max(...values.map((v) => v.value).filter(Number.isFinite));
  return (
    <div class="gauges">
      {values.map((v) => {
        const tone = toneAt(v.value, p.thresholds), share = shareOf(p, v.value, most);
        return (
          <div class={`gauge tone-${tone}`} key={v.key}>
            <svg viewBox="0 0 100 74" role="img" aria-label={`${name(v)}: ${show(v.value)}, ${Math.round(share * 100)} % of the way`}>
              <path class="track" d={arc(0, 1, 42)} />
              {share > 0.004 && <path class="part" d={arc(0, share, 42)} />}
              {(p.thresholds ?? []).filter((t) => t.tone !== 'ok').map((t) => { const s = shareOf(p, t.at, most); return s > 0 && s < 1 ? <path key={t.at} class={`limit tone-${t.tone}`} d={arc(s, Math.min(1, s + 0.008), 48.5)} /> : null; })}
            </svg>
            <b>{show(v.value)}<Mark tone={tone} /></b>
            {values.length > 1 && <span class="muted cut">{name(v)}</span>}
          </div>
        );
      })}
    </div>
  );
}

function Bars({ p, data, chosens }: BodyProps) {
  const { zone } = usePrefs();
  const values = useMemo(() => valuesIn(p, data).filter((v) => !Number.isNaN(v.value)).sort((a, b) => b.value - a.value), [data, p.calc]), show = formatter(p, zone), name = namer(data, values, chosens);
  if (!values.length) return <Nothing />;
  const most = values[0].value;
  return (
    <ul class="barlist">
      {values.slice(0, 50).map((v) => {
        const tone = toneAt(v.value, p.thresholds);
        return <li key={v.key} class={`tone-${tone}`}><span class="cut" title={name(v)}>{name(v)}</span><b>{show(v.value)}<Mark tone={tone} /></b><span class="meter" aria-hidden="true"><i style={{ width: `${shareOf(p, v.value, most) * 100}%` }} /></span></li>;
      })}
      {values.length > 50 && <li class="muted">and {values.length - 50} more</li>}
    </ul>
  );
}

/* ---- table ---- */

const rowsMost = 200;

function TableOf({ p, data }: BodyProps) {
  const { zone } = usePrefs();
  const [sort, setSort] = useState('');
  const values = useMemo(() => valuesIn(p, data), [data, p.calc]), show = formatter(p, zone);
  const queries = data.answers.map((a) => a.index);
  const { names, rows } = useMemo(() => {
    const by = new Map<string, { labels: Labels; values: Map<number, number> }>();
    for (const v of values) {
      const labels = { ...v.labels };
      if (queries.length > 1) delete labels.__name__; // a row of several queries
      const key = JSON.stringify(Object.entries(labels).sort());
      const row = by.get(key) ?? { labels, values: new Map<number, number>() };
      row.values.set(v.query, v.value);
      by.set(key, row);
    }
    const all = [...by.values()], t = telling(all.map((r) => r.labels));
    return { names: all.length === 1 ? Object.keys(all[0].labels).sort() : t.names, rows: all };
  }, [values]);
  if (!rows.length) return <Nothing />;
  const by = sort.replace(/^-/, ''), down = sort.startsWith('-');
  const key = (r: (typeof rows)[number]): string | number => (by.startsWith('#') ? (r.values.get(Number(by.slice(1))) ?? -Infinity) : (r.labels[by] ?? ''));
  const sorted = sort ? [...rows].sort((a, b) => { const x = key(a), y = key(b), c = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y), 'en', { numeric: true }); return down ? -c : c; }) : rows;
  const head = (id: string, title: string, num: boolean): ComponentChildren => <th key={id} scope="col" class={num ? 'num' : ''} aria-sort={by === id ? (down ? 'descending' : 'ascending') : undefined}><button onClick={() => setSort(by === id ? (down ? id : `-${id}`) : num ? `-${id}` : id)}>{title}{by === id && <span aria-hidden="true">{down ? ' ↓' : ' ↑'}</span>}</button></th>;
  return (
    <div class="scroll panelscroll" tabIndex={0} role="region" aria-label={`${p.title || 'Table'}, values`}>
      <table class="table tight">
        <thead><tr>{names.map((n) => head(n, n === '__name__' ? 'metric' : n, false))}{queries.map((q) => head(`#${q}`, queries.length > 1 ? data.answers.find((a) => a.index === q)!.query.legend || letterOf(q) : 'Value', true))}</tr></thead>
        <tbody>{sorted.slice(0, rowsMost).map((r, i) => <tr key={i}>{names.map((n) => <td key={n} class="mono">{r.labels[n] ?? ''}</td>)}{queries.map((q) => { const v = r.values.get(q); return <td key={q} class={`num tone-${v === undefined ? 'ok' : toneAt(v, p.thresholds)}`}>{v === undefined ? '–' : <>{show(v)}<Mark tone={toneAt(v, p.thresholds)} /></>}</td>; })}</tr>)}</tbody>
      </table>
      {rows.length > rowsMost && <p class="muted">The first {rowsMost} of {rows.length} rows</p>}
    </div>
  );
}

/* ---- heatmap ---- */

const edge = { left: 64, bottom: 20, top: 4, right: 8 };

function drawHeat(c: HTMLCanvasElement, heat: Heat, data: PanelData, label: (name: string) => string, utc: boolean): void {
  const g = c.getContext('2d')!, scale = devicePixelRatio || 1, w = c.clientWidth, h = c.clientHeight, n = data.steps.n;
  c.width = w * scale;
  c.height = h * scale;
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, w, h);
  const wide = (w - edge.left - edge.right) / n, high = (h - edge.top - edge.bottom) / heat.rows.length;
  g.fillStyle = colour('accent');
  heat.rows.forEach((r, k) => r.values.forEach((v, i) => {
    if (!v) return;
    g.globalAlpha = 0.08 + 0.92 * Math.sqrt(v / heat.max);
    g.fillRect(edge.left + i * wide, edge.top + (heat.rows.length - 1 - k) * high, Math.max(1, wide - (wide > 4 ? 1 : 0)), Math.max(1, high - (high > 4 ? 1 : 0)));
  }));
  g.globalAlpha = 1;
  g.fillStyle = colour('muted');
  g.font = '11px system-ui, sans-serif';
  g.textAlign = 'right';
  const every = Math.max(1, Math.ceil(14 / high));
  heat.rows.forEach((r, k) => { if (k % every === 0) g.fillText(label(r.name), edge.left - 6, edge.top + (heat.rows.length - k) * high + 3 - (high > 12 ? 2 : 0)); });
  const marks = Math.max(1, Math.floor((w - edge.left) / 110));
  for (let m = 0; m <= marks; m++) {
    g.textAlign = m === 0 ? 'left' : m === marks ? 'right' : 'center';
    const t = showTime((data.steps.start + ((data.steps.end - data.steps.start) * m) / marks) * 1000, utc ? 'utc' : 'local');
    g.fillText(data.steps.end - data.steps.start > 86_400 ? t.slice(5, 16) : t.slice(11, 16), edge.left + ((w - edge.left - edge.right) * m) / marks, h - 5);
  }
}

function Heatmap({ p, data, chosens }: BodyProps) {
  const { zone } = usePrefs(), dark = isDark();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState('');
  const [at, setAt] = useState<{ x: number; row: number; i: number } | null>(null);
  const lines = useMemo(() => linesIn(data), [data]);
  const heat = useMemo(() => heatOf(lines, namer(data, lines, chosens)), [lines]);
  const show = formatter(p, zone), label = (n: string): string => (n === '+Inf' ? '+∞' : Number.isFinite(Number(n)) && n !== '' ? show(Number(n)) : n);
  const empty = heat.max === 0;
  useEffect(() => {
    const c = canvas.current;
    if (!c) return undefined;
    const watch = new ResizeObserver(() => setSize(`${c.clientWidth} ${c.clientHeight}`));
    watch.observe(c);
    return () => watch.disconnect();
  }, [empty]);
  useEffect(() => { if (canvas.current && heat.max > 0) drawHeat(canvas.current, heat, data, label, zone === 'utc'); }, [heat, size, dark, zone, p.unit]);
  if (empty) return <Nothing />;
  const point = (e: PointerEvent): void => {
    const r = canvas.current!.getBoundingClientRect(), x = e.clientX - r.left, y = e.clientY - r.top;
    const i = Math.floor(((x - edge.left) / (r.width - edge.left - edge.right)) * data.steps.n), row = heat.rows.length - 1 - Math.floor(((y - edge.top) / (r.height - edge.top - edge.bottom)) * heat.rows.length);
    setAt(i >= 0 && i < data.steps.n && row >= 0 && row < heat.rows.length ? { x, row, i } : null);
  };
  const most = heat.rows.map((r) => ({ name: r.name, sum: r.values.reduce<number>((s, v) => s + (v ?? 0), 0) })).sort((a, b) => b.sum - a.sum)[0];
  return (
    <div class="heat">
      <canvas ref={canvas} role="img" aria-label={`${p.title || 'Heatmap'}: ${plural(heat.rows.length, 'bucket')} over time; most fell into the one up to ${label(most.name)}`} onPointerMove={point} onPointerLeave={() => setAt(null)} />
      {at && <div class="tip" style={at.x > (canvas.current?.clientWidth ?? 0) / 2 ? { left: `${edge.left + 4}px`, top: '4px' } : { right: '12px', top: '4px' }}>{showTime((data.steps.start + at.i * data.steps.step) * 1000, zone).slice(5)}<br />up to {label(heat.rows[at.row].name)}: <b>{formatter({ unit: 'short' }, zone)(heat.rows[at.row].values[at.i] ?? 0)}</b></div>}
    </div>
  );
}

/* ---- words, logs, traces ---- */

function Inlines({ of }: { of: Inline[] }) {
  return <>{of.map((x, i) => (x.kind === 'code' ? <code key={i}>{x.text}</code> : x.kind === 'bold' ? <b key={i}>{x.text}</b> : x.kind === 'italic' ? <i key={i}>{x.text}</i> : x.kind === 'link' ? <a key={i} href={x.href} rel="noopener noreferrer" target={x.href.startsWith('/') || x.href.startsWith('#') ? undefined : '_blank'}>{x.text}</a> : x.text))}</>;
}

export function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => markdown(text), [text]);
  return (
    <div class="markdown">
      {blocks.map((b, i) => {
        if (b.kind === 'heading') return b.level <= 2 ? <h3 class="large" key={i}><Inlines of={b.of} /></h3> : <h3 key={i}><Inlines of={b.of} /></h3>;
        if (b.kind === 'list') { const items = b.items.map((it, k) => <li key={k}><Inlines of={it} /></li>); return b.ordered ? <ol key={i}>{items}</ol> : <ul key={i}>{items}</ul>; }
        if (b.kind === 'code') return <pre key={i}>{b.text}</pre>;
        if (b.kind === 'line') return <hr key={i} />;
        if (b.kind === 'table') return <table key={i} class="table tight"><thead><tr>{b.rows[0].map((c, k) => <th key={k} scope="col"><Inlines of={c} /></th>)}</tr></thead><tbody>{b.rows.slice(1).map((r, k) => <tr key={k}>{r.map((c, n) => <td key={n}><Inlines of={c} /></td>)}</tr>)}</tbody></table>;
        return b.kind === 'quote' ? <blockquote key={i}><Inlines of={b.of} /></blockquote> : <p key={i}><Inlines of={b.of} /></p>;
      })}
    </div>
  );
}

const line = (body: unknown): string => (typeof body === 'string' ? body : body === null || body === undefined ? '' : JSON.stringify(body));

function LogsOf({ p, data, range }: BodyProps) {
  const { zone } = usePrefs();
  const rows = data.answers.flatMap((a) => a.logs?.logs ?? []);
  if (!rows.length) return <Nothing />;
  return (
    <div class="scroll panelscroll" tabIndex={0} role="region" aria-label={`${p.title || 'Logs'}, records`}>
      <ul class="loglines">
        {rows.map((r) => <li key={r.id} class={`s-${r.severity}`}><a href={logsLink({ ...range, service: r.service, record: r.id })}><span class="muted">{showClock(parseMs(r.time), zone, Date.now()).slice(0, -4)}</span><span class="sev">{r.severity === 'unset' ? '' : r.severity}</span><span class="muted cut svc">{r.service}</span><span class="cut">{line(r.body) || '(no body)'}</span></a></li>)}
      </ul>
    </div>
  );
}

function TracesOf({ p, data }: BodyProps) {
  const { zone } = usePrefs();
  const rows = data.answers.flatMap((a) => a.traces?.traces ?? []);
  if (!rows.length) return <Nothing />;
  const most = Math.max(...rows.map((t) => t.duration_ns));
  return (
    <div class="scroll panelscroll" tabIndex={0} role="region" aria-label={`${p.title || 'Traces'}, list`}>
      <table class="table tight tracerows">
        <thead><tr><th scope="col">Trace</th><th scope="col">Start</th><th scope="col" class="num">Spans</th><th scope="col" class="num">Duration</th><th scope="col"><span class="sr">Of the longest</span></th></tr></thead>
        <tbody>{rows.map((t) => <tr key={t.trace_id}><td class="cutcell"><Dot service={t.root.service} /><a href={traceLink(t.trace_id)}>{t.root.operation || t.trace_id.slice(0, 8)}</a> <span class="muted">{t.root.service}</span>{t.error_count > 0 && <span class="tag error">{plural(t.error_count, 'error')}</span>}</td><td class="mono when">{showClock(parseMs(t.start), zone, Date.now()).slice(0, -4)}</td><td class="num">{t.span_count}</td><td class="num">{duration(t.duration_ns)}</td><td class="trackcell"><span class="meter" aria-hidden="true"><i style={{ width: `${(t.duration_ns / most) * 100}%` }} /></span></td></tr>)}</tbody>
      </table>
    </div>
  );
}

export function Unknown({ p }: { p: Panel }) {
  return (
    <div class="unknown">
      <p><b>{p.was ? `A panel of the kind ${p.was}` : 'A panel of a kind that clew has not'}</b></p>
      {p.text && <pre>{p.text}</pre>}
      <p class="muted">It came with an import and is kept as a reminder. Edit it to make something of it, or remove it.</p>
    </div>
  );
}

const bodies: Partial<Record<Panel['kind'], (props: BodyProps) => ComponentChildren>> = { timeseries: TimeSeries, stat: Stat, gauge: Gauge, bars: Bars, table: TableOf, heatmap: Heatmap, logs: LogsOf, traces: TracesOf };

export function Body(props: BodyProps) {
  const Of = bodies[props.p.kind] as ((props: BodyProps) => preact.JSX.Element) | undefined;
  return Of ? <Of {...props} /> : null;
}
