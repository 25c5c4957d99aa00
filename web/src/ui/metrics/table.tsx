// Answers of one moment as a table: a row a series, a column for each label that tells them apart.
import { useMemo, useState } from 'preact/hooks';
import { cellsOf, sortCells, telling, type Cell } from '../../hot/series';
import { measured, plural, short } from '../../lib/format';
import { usePrefs } from '../../lib/prefs';
import { labelsText, letterOf, type Measure, type Result } from '../../lib/prom';
import { showTime } from '../../lib/time';
import { Grid, type Column } from '../grid';
import { writeOrder } from '../../hot/spans';

const columnsMost = 7;

function ValueCell({ c, measure }: { c: Cell; measure: Measure }) {
  if (!c.native) return <span title={`${c.text} at ${new Date(c.time * 1000).toISOString()}`}>{measure ? <span class="muted">{measured(c.value, measure)} </span> : ''}{c.text}</span>;
  const n = c.native, show = (v: number): string => measured(v, measure);
  return <span title={`${plural(n.buckets, 'bucket')}; quantiles on a straight line within a bucket`}><span class="hide-small">{short(n.count)} × </span>mean {show(n.mean)} <span class="muted"><span class="hide-small">50 % {show(n.p50)}, </span>95 % {show(n.p95)}</span></span>;
}

export function ValueTable({ results, sort, onSort, measure, queries }: { results: { query: number; result: Result }[]; sort: string; onSort: (sort: string) => void; measure: Measure; queries: number }) {
  const [at, setAt] = useState(-1);
  const { zone } = usePrefs();
  const cells = useMemo(() => results.flatMap(({ query, result }) => cellsOf(result, query)), [results]);
  const { common, names } = useMemo(() => (cells.length === 1 ? { common: {}, names: Object.keys(cells[0].labels).sort() } : telling(cells.map((c) => c.labels))), [cells]);
  const rows = useMemo(() => sortCells(cells, sort), [cells, sort]);
  const many = cells.some((c) => c.samples > 1), natives = cells.some((c) => c.native);
  const shownNames = names.length > columnsMost ? names.slice(0, columnsMost - 1) : names, rest = new Set([...shownNames, ...Object.keys(common)]);
  const columns: Column[] = [
    ...(queries > 1 ? [{ by: 'query', title: 'Query', width: '58px', cell: (k: number) => letterOf(rows[k].query) }] : []),
    ...shownNames.map((n, i): Column => ({ by: n, title: n === '__name__' ? 'metric' : n, width: natives ? 'minmax(0, 1fr)' : 'minmax(70px, 1fr)', wide: i > (natives ? 0 : 1), cell: (k) => <span class="cut mono" title={rows[k].labels[n]}>{rows[k].labels[n] ?? ''}</span> })),
    ...(names.length > shownNames.length ? [{ by: '', title: 'other labels', width: 'minmax(90px, 2fr)', wide: true, cell: (k: number) => <span class="cut mono" title={labelsText(rows[k].labels)}>{labelsText(rows[k].labels, rest)}</span> }] : []),
    ...(many ? [{ by: '', title: 'Samples', width: '80px', num: true, wide: true, cell: (k: number) => rows[k].samples }] : []),
    { by: 'value', title: many ? 'Last value' : 'Value', width: natives ? 'minmax(0, 3fr)' : 'minmax(80px, 1fr)', num: true, cell: (k) => <ValueCell c={rows[k]} measure={measure} /> },
  ];
  const onKey = (e: KeyboardEvent): void => {
    if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return;
    setAt(Math.max(0, Math.min(rows.length - 1, at + (e.key === 'ArrowDown' ? 1 : -1))));
    e.preventDefault();
    e.stopPropagation();
  };
  const order = { by: sort.replace(/^-/, ''), down: sort.startsWith('-') }, shared = labelsText(common);
  return (
    <section class="values-of" aria-label="Values" onKeyDown={onKey}>
      <p class="muted">{plural(rows.length, 'series', 'series')}{cells[0] && ` at ${showTime(Math.max(...cells.slice(0, 1000).map((c) => c.time)) * 1000, zone)}`}{shared !== '{}' && <> of <code>{shared}</code></>}</p>
      <Grid id="value" label="Values" columns={columns} count={rows.length} at={at} order={order} onOrder={(o) => onSort(writeOrder(o))} onPick={setAt} />
    </section>
  );
}
