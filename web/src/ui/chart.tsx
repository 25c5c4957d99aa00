// A chart over time: uPlot comes when the first is drawn. What it shows can be read without seeing it: by ← and →, and as a table.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { isDark, usePrefs } from '../lib/prefs';
import { showTime } from '../lib/time';
import type { Plot, PlotOptions } from './plot';

const pageRows = 25;
type Values = ArrayLike<number | null>;

export interface ChartData {
  data: Values[]; // seconds, then a series each, as drawn
  values?: Values[]; // the same as told, where series are drawn one on another
}

const told = 8; // series of a chart with more: the greatest

/** One bucket in words: "spans/s 2.4, before 1.9". */
function say(series: PlotOptions['series'], values: Values[], i: number, format: (v: number) => string): string {
  const all = series.map((s, k) => ({ s, v: values[k + 1][i] }));
  const shown = all.length <= told ? all : all.filter((x) => typeof x.v === 'number' && !Number.isNaN(x.v)).sort((a, b) => b.v! - a.v!).slice(0, told);
  return shown.map(({ s, v }) => `${s.label} ${v === null || v === undefined || Number.isNaN(v) ? '–' : format(v)}`).join(', ') + (all.length > told ? `, ${all.length} series in all` : '');
}

function Table({ series, values, format, label }: { series: PlotOptions['series']; values: Values[]; format: (v: number) => string; label: string }) {
  const { zone } = usePrefs();
  const [page, setPage] = useState(0);
  const rows = values[0].length, pages = Math.max(1, Math.ceil(rows / pageRows)), at = Math.min(page, pages - 1);
  const shown = Array.from({ length: Math.min(pageRows, rows - at * pageRows) }, (_, i) => at * pageRows + i);
  return (
    <div class="charttable">
      <div class="scroll" tabIndex={0} role="region" aria-label={`${label}, as a table`}>
        <table class="table">
          <thead><tr><th scope="col">From</th>{series.map((s) => <th scope="col" class="num" key={s.label}>{s.label}</th>)}</tr></thead>
          <tbody>
            {shown.map((i) => (
              <tr key={i}><td class="mono">{showTime(Number(values[0][i]) * 1000, zone)}</td>{series.map((s, k) => <td class="num" key={s.label}>{say([{ ...s, label: '' }], [values[0], values[k + 1]], i, format).trim()}</td>)}</tr>
            ))}
          </tbody>
        </table>
      </div>
      {pages > 1 && (
        <div class="more">
          <button class="button" disabled={at === 0} onClick={() => setPage(at - 1)}>Earlier</button>
          <span class="muted" role="status">{at * pageRows + 1}–{at * pageRows + shown.length} of {rows}</span>
          <button class="button" disabled={at === pages - 1} onClick={() => setPage(at + 1)}>Later</button>
        </div>
      )}
    </div>
  );
}

/** Moves the data cursor: arrows by one, Page keys by ten, Home, End; Escape leaves. */
function stepOf(key: string, at: number | null, last: number): number | null | undefined {
  const from = at ?? last + 1, to: Record<string, number> = { ArrowLeft: from - 1, ArrowRight: at === null ? 0 : from + 1, PageUp: from - 10, PageDown: from + 10, Home: 0, End: last };
  if (key === 'Escape' && at !== null) return null;
  return key in to ? Math.max(0, Math.min(last, to[key])) : undefined;
}

/** `tip`: what stands beside the pointer, instead of the words. */
export function Chart({ data, values = data, low, tall, fill, tip, ...o }: ChartData & { low?: boolean; tall?: boolean; fill?: boolean; tip?: (i: number) => ComponentChildren } & Omit<PlotOptions, 'utc' | 'onPoint'>) {
  const box = useRef<HTMLDivElement>(null), made = useRef<Plot | null>(null), latest = useRef(o);
  const [at, setAt] = useState<number | null>(null);
  const [spoken, setSpoken] = useState('');
  const [table, setTable] = useState(false);
  const prefs = usePrefs();
  const looks = `${isDark()} ${prefs.zone}`;
  latest.current = o;
  useEffect(() => {
    let gone = false;
    setAt(null);
    void import('./plot').then(({ plot }) => {
      if (gone || !box.current) return;
      const now = () => latest.current;
      made.current = plot(box.current, data as ArrayLike<number>[], { ...o, utc: prefs.zone === 'utc', onPick: (f, t) => now().onPick(f, t), onReset: () => now().onReset(), onPoint: setAt });
    });
    return () => {
      gone = true;
      made.current?.destroy();
      made.current = null;
    };
  }, [data, looks]);
  const text = useMemo(() => (at === null || at >= values[0].length ? '' : `${showTime(Number(values[0][at]) * 1000, prefs.zone).slice(5)} · ${say(o.series, values, at, o.format)}`), [at, values, prefs.zone]);
  const onKey = (e: KeyboardEvent): void => {
    if (e.shiftKey || e.ctrlKey || e.metaKey || e.altKey) return;
    const to = stepOf(e.key, at, values[0].length - 1);
    if (to === undefined) return;
    e.preventDefault();
    made.current?.point(to);
    setAt(to);
    setSpoken(to === null ? '' : `${showTime(Number(values[0][to]) * 1000, prefs.zone)}: ${say(o.series, values, to, o.format)}`);
  };
  return (
    <>
      <div class={fill ? 'plotbox fill' : 'plotbox'}>
        <div class={low ? 'plot low' : tall ? 'plot tall' : fill ? 'plot fill' : 'plot'} ref={box} role="group" aria-roledescription="chart" tabIndex={0} aria-label={`${o.label}. Arrow keys read it value by value.`} onKeyDown={onKey}
          onBlur={() => { made.current?.point(null); setAt(null); }} />
        {text && <div class={`tip readout${tip ? ' many' : ''}${tip && at !== null && at > values[0].length / 2 ? ' left' : ''}`} aria-hidden="true">{tip && at !== null ? <>{showTime(Number(values[0][at]) * 1000, prefs.zone).slice(5)}{tip(at)}</> : text}</div>}
      </div>
      <div class="sr" role="status">{spoken}</div>
      <div class="chartfoot"><button class="link" aria-expanded={table} aria-label={`Table: ${o.label}`} onClick={() => setTable(!table)}>Table</button></div>
      {table && <Table series={o.series} values={values} format={o.format} label={o.label} />}
    </>
  );
}

/** Counts by bucket as a small area, with errors as marks below it. */
export function Spark({ counts, errors, label }: { counts: readonly number[]; errors: readonly number[]; label: string }) {
  const most = Math.max(1, ...counts), n = Math.max(2, counts.length);
  const x = (i: number): string => ((i / (n - 1)) * 130 + 1).toFixed(1), y = (v: number): string => (20 - (v / most) * 18).toFixed(1);
  const line = counts.map((v, i) => `L${x(i)} ${y(v)}`).join('');
  return (
    <svg class="spark" viewBox="0 0 132 26" preserveAspectRatio="none" role="img" aria-label={label}>
      <path class="all" d={`M1 20${line}L${x(counts.length - 1)} 20Z`} />
      <path class="errors" d={errors.map((e, i) => (e ? `M${x(i)} 22h2.2v4h-2.2z` : '')).join('')} />
    </svg>
  );
}
