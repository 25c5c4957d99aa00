// Where the series are: by metric, by label, by pair; and what would be saved without one of them.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { bytes, exactBytes } from '../lib/admin';
import { useQuestion } from '../lib/api';
import { dropLabelRule, dropMetricRule, savedBy, type Amount, type Cardinality as Counts, type LabelCount, type MetricCount, type PairCount } from '../lib/cardinality';
import { count, grouped, percent, plural } from '../lib/format';
import { useKeys } from '../lib/keys';
import { useScreen } from '../lib/nav';
import { usePrefs } from '../lib/prefs';
import { complaintAt, selectors, withMatcher, writeSelector, type Matcher } from '../lib/promql';
import { cardinality, cardinalityLink, metricsLink, type CardinalityState, type MetricsState } from '../lib/screens';
import { parseMs, showTime } from '../lib/time';
import { Grid, Share, type Column } from '../ui/grid';
import { Snippet } from '../ui/settings/parts';
import { Empty, FailureNote, PartialNote, Progress } from '../ui/states';
import { TimePicker } from '../ui/time';

const listed = 1000;
type Set = (some: Partial<CardinalityState>, replace?: boolean) => void;
type Row = Amount & { name: string; value?: string; values?: number; type?: string; help?: string };

/** The explorer, held to the same filter and range. */
const explore = (state: CardinalityState, some: Partial<MetricsState>): string => metricsLink({ start: state.start === 'now-24h' ? 'now-1h' : state.start, end: state.end, match: state.match, ...some });

function MatchField({ state, set, wrong }: { state: CardinalityState; set: Set; wrong: string }) {
  const [typed, setTyped] = useState(state.match);
  useEffect(() => setTyped(state.match), [state.match]);
  const take = (): void => {
    const t = typed.trim() === '{}' ? '' : typed.trim();
    if (t !== state.match) set({ match: t, drop: '' });
  };
  const at = wrong ? complaintAt(wrong, state.match) : null;
  return (
    <form class="where" role="search" aria-label="Filter" onSubmit={(e) => { e.preventDefault(); take(); }}>
      <input class="field" aria-label="Selector of series" data-search="" placeholder={'All series; a selector narrows: {job="cart"}, http_requests_total'} spellcheck={false} autocomplete="off" aria-invalid={wrong !== ''} value={typed} maxLength={8192}
        onInput={(e) => setTyped(e.currentTarget.value)} onBlur={take} onKeyDown={(e) => e.key === 'Escape' && e.currentTarget.blur()} />
      {state.match && <button type="button" class="button" onClick={() => set({ match: '', drop: '' })}>All series</button>}
      <p class="wrong" role="status">{wrong && (at ? <>{at.message}<span class="muted">, at character {at.at + 1}</span></> : wrong)}</p>
    </form>
  );
}

/** Samples in memory are counted for all series alone. */
function Totals({ of, all }: { of: Counts; all: boolean }) {
  const { zone } = usePrefs();
  const facts: [string, string][] = [[grouped(of.series), 'series'], [grouped(of.metrics_found), of.metrics_found === 1 ? 'metric' : 'metrics'], [grouped(of.labels_found), of.labels_found === 1 ? 'label' : 'labels'], [grouped(of.pairs_found), of.pairs_found === 1 ? 'pair' : 'pairs'], ...(all ? [[grouped(of.samples), 'samples'] as [string, string]] : [])];
  return (
    <div class="facts">
      {facts.map(([n, what]) => <span key={what}><b>{n}</b> {what}</span>)}
      <span><b title={exactBytes(of.bytes)}>{bytes(of.bytes)}</b> on disk</span>
      {all && <span><b title={exactBytes(of.memory_bytes)}>{bytes(of.memory_bytes)}</b> in memory</span>}
      {of.newest && <span>newest <b>{showTime(parseMs(of.newest), zone)}</b></span>}
    </div>
  );
}

/* ---- what a drop saves ---- */

function Saving({ series, size, of }: { series: number; size: number; of: Counts }) {
  return (
    <p>
      Saves <b>{plural(series, 'series', 'series')}</b>, {percent(of.series ? series / of.series : 0)} of {grouped(of.series)}, and {of.bytes ? <><b title={exactBytes(size)}>{bytes(size)}</b> on disk, {percent(size / of.bytes)}</> : 'as large a share of the memory'}.
    </p>
  );
}

function DropMetric({ name, of, state, set }: { name: string; of: Counts; state: CardinalityState; set: Set }) {
  const m = of.metrics.find((x) => x.name === name);
  if (!m) return null;
  return (
    <aside class="note block" aria-label={`Without ${name}`}>
      <h2>Without {name}</h2>
      <Saving series={m.series} size={m.bytes} of={of} />
      <p>Prometheus leaves it out with this; an SDK with a view that drops it. What is stored stays until it is deleted or old.</p>
      <Snippet text={dropMetricRule(name)} label="Rule that drops the metric" />
      <div class="row"><a class="button main" href={explore(state, { metric: name, query: [writeSelector(name, selectors(state.match)[0]?.matchers)] })}>Look at it</a><a class="button" href={cardinalityLink({ ...state, match: writeSelector(name, selectors(state.match)[0]?.matchers), by: 'label', drop: '', find: '' })}>Its labels</a><button class="button" onClick={() => set({ drop: '' })}>Close</button></div>
    </aside>
  );
}

function DropLabel({ name, of, state, set }: { name: string; of: Counts; state: CardinalityState; set: Set }) {
  const asked = useQuestion<Counts>('/api/v1/metrics/cardinality', { 'match[]': state.match, start: state.start, end: state.end, limit: 1, drop: name });
  const d = asked.data?.drop, saved = d ? savedBy(d) : null;
  return (
    <aside class="note block" aria-label={`Without ${name}`}>
      <h2>Without the label {name}</h2>
      {asked.failure ? <FailureNote failure={asked.failure} again={asked.again} /> : !d || !saved ? <p class="muted">Comparing {name ? 'label sets' : ''} …</p> : (
        <>
          <p>{plural(d.series, 'series', 'series')} {d.series === 1 ? 'has' : 'have'} it; without it {grouped(d.series_left)} {d.series_left === 1 ? 'is' : 'are'} left.</p>
          {saved.series > 0 ? <Saving series={saved.series} size={saved.bytes} of={of} /> : <p>It saves no series: other labels tell them apart already.</p>}
          {saved.series > 0 && <p>Samples of series that fall together must be added up by who sends them: an SDK does so with a view that leaves the attribute out; Prometheus only drops the label, and then needs other labels to keep its series apart.</p>}
          <Snippet text={dropLabelRule(name)} label="Rule that drops the label" />
        </>
      )}
      <div class="row"><button class="button" onClick={() => set({ by: 'pair', find: `${name}=`, drop: '' })}>Its values</button><button class="button" onClick={() => set({ drop: '' })}>Close</button></div>
    </aside>
  );
}

/* ---- the table ---- */

const sortedBy = (rows: readonly Row[], by: CardinalityState['sort']): Row[] => [...rows].sort((a, b) => (b[by] ?? 0) - (a[by] ?? 0) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));

function rowsOf(of: Counts, state: CardinalityState): Row[] {
  const all: readonly (MetricCount | LabelCount | PairCount)[] = state.by === 'metric' ? of.metrics : state.by === 'label' ? of.labels : of.pairs;
  const words = state.find.toLowerCase();
  const found = (all as Row[]).filter((r) => (state.by === 'metric' || r.name !== '__name__') && (words === '' || `${r.name}${r.value === undefined ? '' : `=${r.value}`}`.toLowerCase().includes(words)));
  return sortedBy(found, state.by !== 'label' && state.sort === 'values' ? 'series' : state.sort);
}

function Table({ of, state, set }: { of: Counts; state: CardinalityState; set: Set }) {
  const [at, setAt] = useState(-1);
  const rows = useMemo(() => rowsOf(of, state), [of, state.by, state.find, state.sort]);
  const most = Math.max(1, ...rows.map((r) => r.series)), all = { metric: of.metrics_found, label: of.labels_found, pair: of.pairs_found }[state.by];
  const pick = (r: Row): void => {
    if (state.by === 'pair') set({ match: withMatcher(state.match || '{}', { label: r.name, op: '=', value: r.value ?? '' } as Matcher), by: 'metric', find: '', drop: '' });
    else set({ drop: `${state.by}:${r.name}` });
  };
  const move = (step: number): void => setAt(Math.max(0, Math.min(rows.length - 1, at + step)));
  useKeys({ j: () => move(1), k: () => move(-1), arrowdown: () => move(1), arrowup: () => move(-1), enter: () => rows[at] && pick(rows[at]), escape: () => state.drop && set({ drop: '' }) });
  const share = (k: number): string => percent(of.series ? rows[k].series / of.series : 0);
  const columns: Column[] = [
    { by: '', title: { metric: 'Metric', label: 'Label', pair: 'Label and value' }[state.by], width: 'minmax(0, 3fr)', cell: (k) => <span class="cut mono" title={rows[k].help ? `${rows[k].name}\n${rows[k].help}` : rows[k].value ?? rows[k].name}>{rows[k].name}{rows[k].value !== undefined && <span class="muted">={JSON.stringify(rows[k].value)}</span>}</span> },
    ...(state.by === 'metric' ? [{ by: '', title: 'Type', width: '84px', wide: true, cell: (k: number) => <span class="muted">{rows[k].type === 'unknown' ? '' : rows[k].type}</span> }] : []),
    ...(state.by === 'label' ? [{ by: 'values', title: 'Values', width: '80px', num: true, cell: (k: number) => grouped(rows[k].values ?? 0) }] : []),
    { by: '', title: 'Share', width: '138px', num: true, wide: true, cell: (k) => <Share of={rows[k].series / most} text={share(k)} /> },
    { by: 'series', title: 'Series', width: '82px', num: true, cell: (k) => grouped(rows[k].series) },
    { by: 'samples', title: 'Samples', width: '84px', num: true, wide: true, cell: (k) => (rows[k].samples ? <span title={grouped(rows[k].samples)}>{count(rows[k].samples)}</span> : <span class="muted">–</span>) },
    { by: 'bytes', title: 'Bytes', width: '84px', num: true, cell: (k) => (rows[k].bytes ? <span title={exactBytes(rows[k].bytes)}>{bytes(rows[k].bytes)}</span> : <span class="muted">–</span>) },
    { by: '', title: 'Explore', width: '62px', wide: true, cell: (k) => <a href={state.by === 'metric' ? explore(state, { metric: rows[k].name, query: [writeSelector(rows[k].name, selectors(state.match)[0]?.matchers)] }) : explore(state, { match: withMatcher(state.match || '{}', state.by === 'pair' ? { label: rows[k].name, op: '=', value: rows[k].value! } : { label: rows[k].name, op: '!=', value: '' }) })} onClick={(e) => e.stopPropagation()}>explore</a> },
  ];
  return (
    <>
      <div class="head">
        <div class="group" role="group" aria-label="Counted by">{(['metric', 'label', 'pair'] as const).map((by) => <button key={by} class="button" aria-pressed={state.by === by} onClick={() => set({ by, find: '', drop: '' })}>By {by}</button>)}</div>
        <input class="field short" aria-label="Find" placeholder="Find" value={state.find} spellcheck={false} autocomplete="off" onInput={(e) => set({ find: e.currentTarget.value }, true)} />
        <span class="muted" role="status">{plural(rows.length, state.by)}{all > listed && `: the ${grouped(listed)} with most series of ${grouped(all)}`}</span>
      </div>
      {rows.length > 0 ? <Grid id="count" label={`Series by ${state.by}`} columns={columns} count={rows.length} at={at} order={{ by: state.by !== 'label' && state.sort === 'values' ? 'series' : state.sort, down: true }} onOrder={(o) => set({ sort: o.by as CardinalityState['sort'] })} onPick={(k) => { setAt(k); pick(rows[k]); }} rowClass={() => 'pickable'} />
        : <p class="muted">Nothing here has “{state.find}” in it.</p>}
    </>
  );
}

function Nothing({ state, set }: { state: CardinalityState; set: Set }) {
  return (
    <Empty title={state.match ? 'No series fulfils this selector' : 'No series in this range of time'} actions={<>{state.match && <button class="button main" onClick={() => set({ match: '' })}>All series</button>}<button class="button" onClick={() => set({ start: 'now-30d', end: '' })}>Look at the last 30 days</button><a class="button" href="/start">Send some</a></>}>
      {state.match ? 'Or none that does has samples in this range of time.' : 'Nobody sent metrics in it, or they are older than what is kept.'}
    </Empty>
  );
}

export default function Cardinality() {
  const [state, set] = useScreen(cardinality);
  const asked = useQuestion<Counts>('/api/v1/metrics/cardinality', { 'match[]': state.match, start: state.start, end: state.end, limit: listed });
  const of = asked.data, bad = asked.failure && /match\[\]/.test(asked.failure.message) && asked.failure.status === 400;
  const [kind, name] = [state.drop.slice(0, state.drop.indexOf(':')), state.drop.slice(state.drop.indexOf(':') + 1)];
  return (
    <>
      <Progress on={asked.busy} text="Counting series" stop={asked.stop} />
      <div class="head">
        <h1>Cardinality</h1>
        <a class="button" href={explore(state, {})}>Metrics</a>
        <TimePicker range={state} onChange={set} refresh={asked.again} />
      </div>
      <MatchField state={state} set={set} wrong={bad ? asked.failure!.message : ''} />
      {asked.failure && !bad && <FailureNote failure={asked.failure} again={asked.again} />}
      <PartialNote of={of} />
      {!of && !asked.failure && <p class="muted">Counting series …</p>}
      {of && of.series === 0 && !asked.busy && <Nothing state={state} set={set} />}
      {of && of.series > 0 && (
        <>
          <Totals of={of} all={state.match === ''} />
          {of.bytes === 0 && <p class="muted">All of it is in memory so far. Samples and bytes of each metric are counted once they are in files.</p>}
          {kind === 'metric' && <DropMetric name={name} of={of} state={state} set={set} />}
          {kind === 'label' && <DropLabel name={name} of={of} state={state} set={set} />}
          <Table of={of} state={state} set={set} />
        </>
      )}
    </>
  );
}
