// Answers over time: the chart, its exemplars, and the legend in which series are looked for and picked.
import { useMemo, useState } from 'preact/hooks';
import { axisOf, drawn, marksOf, type Line, type Mark } from '../../hot/series';
import { change, grouped, measured, plural, ticks } from '../../lib/format';
import { go } from '../../lib/nav';
import { usePrefs } from '../../lib/prefs';
import { labelsText, letterOf, showStep, type Exemplars, type Measure, type Steps } from '../../lib/prom';
import { traceLink, type MetricsState, type Range } from '../../lib/screens';
import { showClock } from '../../lib/time';
import { Chart } from '../chart';
import { Grid, type Column } from '../grid';
import { readOrder, writeOrder } from '../../hot/spans';
import { useZoom } from '../time';
import type { PlotMark, PlotOptions } from '../plot';

export const linesMost = 50, marksMost = 120;
const tones = 8;
export const toneOf = (i: number): string => `service-${i % tones}`;

export interface Drawing {
  steps: Steps;
  lines: Line[]; // of all queries
  before: Map<string, Line>; // by key
  exemplars: Exemplars[];
  common: ReadonlySet<string>[]; // of each query: labels that all of its series have alike
  queries: number;
  measure: Measure;
}

const nameOf = (d: Drawing, l: Line): string => {
  const text = labelsText(l.labels, d.common[l.query]);
  const name = text === '{}' ? (labelsText(l.labels) === '{}' ? 'value' : labelsText(l.labels)) : text;
  return d.queries > 1 ? `${letterOf(l.query)} ${name}` : name;
};

function titleOf(m: Mark, show: (v: number) => string): string {
  const labels = Object.entries({ ...m.series, ...m.labels }).map(([k, v]) => `${k}=${v}`).join('\n');
  return `${show(m.value)}\n${labels}${m.trace ? '\nOpen its trace' : ''}`;
}
const linkOf = (m: Mark): string => traceLink(m.trace, m.span ? { span: m.span } : {});

/** What the pointer is over: the greatest first, each in its tone. */
function Tip({ d, shown, colours, at }: { d: Drawing; shown: Line[]; colours: Map<string, string>; at: number }) {
  const there = shown.map((l) => ({ l, v: l.values[at] })).filter((x): x is { l: Line; v: number } => x.v !== null && x.v !== undefined).sort((a, b) => b.v - a.v);
  const before = (l: Line): number | null => d.before.get(l.key)?.values[at] ?? null;
  return (
    <ul>
      {there.slice(0, 10).map(({ l, v }) => <li key={l.key}><i class="dot" style={{ background: `var(--${colours.get(l.key)})` }} /><span class="cut">{nameOf(d, l)}</span><b>{measured(v, d.measure)}{before(l) !== null && <span class="muted"> {measured(before(l)!, d.measure)} before</span>}</b></li>)}
      {there.length > 10 && <li class="muted">and {there.length - 10} more</li>}
      {there.length === 0 && <li class="muted">no values</li>}
    </ul>
  );
}

export function SeriesChart({ d, state, set, coloured }: { d: Drawing; state: MetricsState; set: (s: Partial<MetricsState>) => void; coloured: Map<string, string> }) {
  const zoom = useZoom(state, (r: Range) => set(r));
  const shown = useMemo(() => drawn(d.lines, state.find, state.series, linesMost), [d, state.find, state.series.join('\0')]);
  const marks = useMemo(() => marksOf(d.exemplars, marksMost), [d]);
  const show = (v: number): string => measured(v, d.measure);
  const made = useMemo(() => {
    const x = Array.from({ length: d.steps.n }, (_, i) => d.steps.start + i * d.steps.step);
    const series: PlotOptions['series'] = [], data: (number | null)[][] = [x];
    for (const l of shown) {
      series.push({ label: nameOf(d, l), token: coloured.get(l.key)!, kind: 'line' });
      data.push(l.values);
    }
    const old = shown.map((l) => d.before.get(l.key)).filter((l): l is Line => l !== undefined);
    for (const l of old) {
      series.push({ label: `${nameOf(d, l)} before`, token: shown.length === 1 ? 'muted' : coloured.get(l.key)!, kind: 'dashed' });
      data.push(l.values);
    }
    const inUnit = d.measure !== '' && d.measure !== 'bytes/s'; // what was measured and what is drawn are one quantity
    const dots: PlotMark[] = marks.map((m) => ({ x: m.time, y: m.value, title: titleOf(m, show), open: () => m.trace && go(linkOf(m)) }));
    return { data, series, axis: axisOf([...shown, ...old, ...(inUnit ? marks.map((m) => ({ min: m.value, max: m.value, n: 1 })) : [])]), dots };
  }, [d, shown, marks]);
  if (shown.length === 0) return null;
  const label = `${plural(shown.length, 'series', 'series')} over time, a value each ${showStep(d.steps.step)}`;
  return (
    <Chart tall data={made.data as ArrayLike<number | null>[]} series={made.series} format={show} label={label} onPick={zoom.pick} onReset={zoom.out} axis={made.axis} marks={made.dots} ticks={(v) => ticks(v, d.measure)}
      tip={(i) => <Tip d={d} shown={shown} colours={coloured} at={i} />} />
  );
}

const orders = ['-last', '-max', '-mean', '-min', 'name'];

function sorted(lines: readonly Line[], by: string, d: Drawing): Line[] {
  const o = readOrder(by, orders), number = (l: Line): number => (o.by === 'last' ? (l.last ?? -Infinity) : l.n ? l[o.by as 'max' | 'mean' | 'min'] : -Infinity);
  const out = [...lines];
  return o.by === 'name' ? out.sort((a, b) => (o.down ? -1 : 1) * nameOf(d, a).localeCompare(nameOf(d, b), 'en', { numeric: true })) : out.sort((a, b) => (o.down ? number(b) - number(a) : number(a) - number(b)) || 0);
}

export function Legend({ d, state, set, coloured }: { d: Drawing; state: MetricsState; set: (s: Partial<MetricsState>, replace?: boolean) => void; coloured: Map<string, string> }) {
  const [at, setAt] = useState(-1);
  const found = useMemo(() => sorted(drawn(d.lines, state.find, [], Infinity), state.sort, d), [d, state.find, state.sort]);
  const lit = useMemo(() => new Set(drawn(d.lines, state.find, state.series, linesMost).map((l) => l.key)), [d, state.find, state.series.join('\0')]);
  const show = (v: number | null): string => (v === null || Number.isNaN(v) || !Number.isFinite(v) ? '–' : measured(v, d.measure));
  const toggle = (l: Line): void => set({ series: state.series.includes(l.key) ? state.series.filter((k) => k !== l.key) : [...state.series, l.key].slice(-16) });
  const onKey = (e: KeyboardEvent): void => {
    if ((e.target as Element).closest('button, input, a')) return;
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp' || e.key === 'j' || e.key === 'k') setAt(Math.max(0, Math.min(found.length - 1, at + (e.key === 'ArrowDown' || e.key === 'j' ? 1 : -1))));
    else if ((e.key === 'Enter' || e.key === ' ') && found[at]) toggle(found[at]);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  const was = (l: Line): Line | undefined => d.before.get(l.key);
  const columns: Column[] = [
    { by: 'name', title: 'Series', width: 'minmax(0, 1fr)', cell: (k) => <span class={lit.has(found[k].key) ? 'cut mono' : 'cut mono unlit'} title={labelsText(found[k].labels)}><i class="dot" style={{ background: `var(--${lit.has(found[k].key) ? coloured.get(found[k].key) : 'line'})` }} aria-hidden="true" />{nameOf(d, found[k])}</span> },
    { by: 'last', title: 'Last', width: '92px', num: true, cell: (k) => show(found[k].last) },
    { by: 'min', title: 'Least', width: '92px', num: true, wide: true, cell: (k) => show(found[k].min) },
    { by: 'mean', title: 'Mean', width: '92px', num: true, wide: true, cell: (k) => show(found[k].mean) },
    { by: 'max', title: 'Greatest', width: '92px', num: true, wide: true, cell: (k) => show(found[k].max) },
    ...(state.compare ? [{ by: '', title: 'Mean before', width: '138px', num: true, wide: true, cell: (k: number) => { const b = was(found[k]); return b ? <>{show(b.mean)} <small class="change">{change(found[k].mean, b.mean)}</small></> : '–'; } }] : []),
  ];
  return (
    <section class="legendbox" aria-label="Legend" onKeyDown={onKey}>
      <div class="head">
        <input class="field" aria-label="Find series" placeholder="Find series" value={state.find} spellcheck={false} autocomplete="off" onInput={(e) => set({ find: e.currentTarget.value }, true)} />
        <span class="muted" role="status">{found.length === d.lines.length ? plural(found.length, 'series', 'series') : `${grouped(found.length)} of ${plural(d.lines.length, 'series', 'series')}`}{lit.size < found.length && `, ${lit.size} drawn${state.series.length ? '' : ': the greatest'}`}</span>
        <span class="grow" />
        {state.series.length > 0 && <button class="button" onClick={() => set({ series: [] })}>Draw all</button>}
      </div>
      <Grid id="line" label="Series" columns={columns} count={found.length} at={at} order={readOrder(state.sort, orders)} onOrder={(o) => set({ sort: writeOrder(o) })} onPick={(k) => { setAt(k); toggle(found[k]); }} />
    </section>
  );
}

/** Exemplars for those who do not point: each with the way to its trace. */
export function ExemplarList({ d }: { d: Drawing }) {
  const [open, setOpen] = useState(false);
  const { zone } = usePrefs();
  const marks = useMemo(() => marksOf(d.exemplars, marksMost).reverse(), [d]);
  if (marks.length === 0) return null;
  return (
    <section aria-label="Exemplars">
      <button class="link" aria-expanded={open} onClick={() => setOpen(!open)}>{plural(marks.length, 'exemplar')}{marks.length >= marksMost - 3 && ', the greatest of each stretch'}</button>
      {open && (
        <div class="scroll tall" tabIndex={0} role="region" aria-label="Exemplars">
          <table class="table">
            <thead><tr><th scope="col">Time</th><th scope="col" class="num">Value</th><th scope="col">Trace</th><th scope="col" class="hide-small">Series</th></tr></thead>
            <tbody>
              {marks.map((m) => (
                <tr key={`${m.time} ${m.trace} ${m.value}`}>
                  <td class="mono">{showClock(m.time * 1000, zone, Date.now())}</td><td class="num">{measured(m.value, d.measure)}</td>
                  <td class="mono">{m.trace ? <a href={linkOf(m)}>{m.trace.slice(0, 8)}…</a> : labelsText(m.labels)}</td><td class="hide-small mono">{labelsText(m.series)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
