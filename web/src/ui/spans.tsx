// The spans of a trace as tables: each by itself, and gathered by operation.
import { useMemo, useState } from 'preact/hooks';
import { gather, operationOrders, orderOperations, orderSpans, readOrder, spanOrders, writeOrder } from '../hot/spans';
import { criticalPath, nameOf, serviceOf, type Waterfall } from '../hot/waterfall';
import { duration, grouped, percent } from '../lib/format';
import { useKeys } from '../lib/keys';
import { Dot } from './chips';
import { Grid, Share, type Column } from './grid';
import { Empty } from './states';

const ErrorMark = () => <span class="mark">!<span class="sr">error </span></span>;

/** Keys that walk a list: j k and the arrows. */
function useWalk(count: number, at: number, go: (k: number) => void): void {
  const move = (step: number): void => { if (count) go(at < 0 ? 0 : Math.max(0, Math.min(count - 1, at + step))); };
  useKeys({ j: () => move(1), k: () => move(-1), arrowdown: () => move(1), arrowup: () => move(-1) });
}

/** `only`: the rows to show, null: all. */
export function SpanTable({ w, only, at, sort, onSort, onSelect }: { w: Waterfall; only: Uint8Array | null; at: number; sort: string; onSort: (s: string) => void; onSelect: (i: number) => void }) {
  const order = readOrder(sort, spanOrders);
  const rows = useMemo(() => orderSpans(w, only, order), [w, only, sort]);
  const position = useMemo(() => (at < 0 ? -1 : rows.indexOf(at)), [rows, at]);
  useWalk(rows.length, position, (k) => onSelect(rows[k]));
  const columns: Column[] = [
    { by: 'name', title: 'Name', width: 'minmax(0, 1fr)', cell: (k) => <span class="cut"><Dot service={serviceOf(w, rows[k])} />{w.error[rows[k]] === 1 && <ErrorMark />}{nameOf(w, rows[k])}</span> },
    { by: 'service', title: 'Service', width: 'minmax(0, 220px)', wide: true, cell: (k) => <span class="cut muted">{serviceOf(w, rows[k])}</span> },
    { by: 'start', title: 'Start', width: '104px', num: true, wide: true, cell: (k) => `+${duration(w.start[rows[k]])}` },
    { by: 'duration', title: 'Duration', width: '92px', num: true, cell: (k) => duration(w.duration[rows[k]]) },
    { by: 'self', title: 'Own time', width: '92px', num: true, cell: (k) => duration(w.self[rows[k]]) },
    { by: '', title: 'Of the trace', width: '160px', num: true, wide: true, cell: (k) => <Share of={w.duration[rows[k]] / (w.total || 1)} text={percent(w.duration[rows[k]] / (w.total || 1))} /> },
  ];
  if (rows.length === 0) return <Empty title="No span is left">What is looked for, or the critical path, leaves none of this trace's spans.</Empty>;
  return <Grid id="span" label="Spans" columns={columns} count={rows.length} at={position} order={order} onOrder={(o) => onSort(writeOrder(o))} onPick={(k) => onSelect(rows[k])} />;
}

/** `link`: to the spans of an operation. */
export function Operations({ w, sort, onSort, link }: { w: Waterfall; sort: string; onSort: (s: string) => void; link: (name: string) => string }) {
  const order = readOrder(sort, operationOrders);
  const all = useMemo(() => gather(w, criticalPath(w)), [w]);
  const rows = useMemo(() => orderOperations(all, order), [all, sort]);
  const own = useMemo(() => rows.reduce((sum, o) => sum + o.self, 0) || 1, [rows]);
  const [at, setAt] = useState(-1);
  useWalk(rows.length, at, setAt);
  useKeys({ enter: () => at >= 0 && document.querySelector<HTMLElement>(`#operation-${at} a`)?.click() });
  const columns: Column[] = [
    { by: 'name', title: 'Operation', width: 'minmax(0, 1fr)', cell: (k) => <span class="cut"><Dot service={rows[k].service} /><a href={link(rows[k].name)}>{rows[k].name}</a></span> },
    { by: 'service', title: 'Service', width: 'minmax(0, 200px)', wide: true, cell: (k) => <span class="cut muted">{rows[k].service}</span> },
    { by: 'calls', title: 'Calls', width: '72px', num: true, wide: true, cell: (k) => grouped(rows[k].calls) },
    { by: 'errors', title: 'Errors', width: '66px', num: true, wide: true, cell: (k) => <span class={rows[k].errors ? 'bad' : 'muted'}>{grouped(rows[k].errors)}</span> },
    { by: 'total', title: 'Total', width: '92px', num: true, wide: true, cell: (k) => duration(rows[k].total) },
    { by: 'self', title: 'Own time', width: '176px', num: true, wide: true, cell: (k) => <Share of={rows[k].self / own} text={`${duration(rows[k].self)} · ${percent(rows[k].self / own)}`} /> },
    { by: 'path', title: 'Of the duration', width: '176px', num: true, cell: (k) => <Share of={rows[k].path / (w.total || 1)} text={`${duration(rows[k].path)} · ${percent(rows[k].path / (w.total || 1))}`} /> },
  ];
  return (
    <>
      <p class="muted">What made this trace as long as it is: the time of each operation on the critical path, of {duration(w.total)} in all; own time counts what runs at once as often as it runs.</p>
      <Grid id="operation" label="Operations" columns={columns} count={rows.length} at={at} order={order} onOrder={(o) => onSort(writeOrder(o))} onPick={setAt} />
    </>
  );
}
