// Searching logs: conditions, how many by time and severity, groups, and the records.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { groups, LogColumns, stacked, totals, unstacked } from '../hot/logs';
import { get, useQuestion, type Failure, type LogHistogram, type Logs as Answer } from '../lib/api';
import { count, plural } from '../lib/format';
import { useScreen } from '../lib/nav';
import { logFields } from '../lib/fields';
import { logColumns, logs, traceLink, type LogsState } from '../lib/screens';
import { complaint } from '../lib/where';
import { Around } from '../ui/around';
import { Breakdown } from '../ui/breakdown';
import { Change } from '../ui/change';
import { Chart } from '../ui/chart';
import { ColumnsButton } from '../ui/columns';
import { ChoiceField, environmentChoices, TextField, useNames } from '../ui/filters';
import { LogDetail } from '../ui/logdetail';
import { LogList, useRecord, whole } from '../ui/loglist';
import type { Shown } from '../ui/logrow';
import { narrowed as groupAs } from '../ui/overview';
import { PredicateBar } from '../ui/predicate';
import { Saved } from '../ui/saved';
import type { Series } from '../ui/plot';
import { Empty, FailureNote, PartialNote, Progress, useRefused } from '../ui/states';
import { Tail } from '../ui/tail';
import { TimePicker, useZoom } from '../ui/time';

const pageSize = 200;
const fields = ['service', 'environment', 'severity', 'body', 'event_name'];
type Set = (s: Partial<LogsState>, replace?: boolean) => void;
const narrowed = (s: LogsState) => ({ start: s.start, end: s.end, service: s.service, environment: s.environment, severity: s.severity, text: s.text, trace_id: s.trace_id, span_id: s.span_id, where: s.where });

function Filters({ state, set, names, failure }: { state: LogsState; set: Set; names: ReturnType<typeof useNames>; failure: Failure | null }) {
  const least: [LogsState['severity'], string][] = [['', 'All'], ['debug', 'Debug and up'], ['info', 'Info and up'], ['warn', 'Warn and up'], ['error', 'Error and up'], ['fatal', 'Fatal']];
  return (
    <>
      <div class="filters">
        <div class="wide"><TextField search name="Words" value={state.text} placeholder={'payment "card expired" refus*'} onChange={(text) => set({ text })} /></div>
        <TextField name="Service" value={state.service} options={names.services} placeholder="Any" onChange={(service) => set({ service })} />
        <ChoiceField name="Environment" value={state.environment} of={environmentChoices(names.environments, state.environment)} onChange={(environment) => set({ environment })} />
        <ChoiceField name="Severity" value={state.severity} of={least} onChange={(severity) => set({ severity })} />
      </div>
      <PredicateBar where={state.where} text={state.text} fields={logFields} scope={{ ...state, signal: 'logs' }} failure={failure} onChange={set} />
      {state.trace_id && (
        <div class="note">
          <span class="grow">Records of {state.span_id ? 'one span of ' : ''}trace <a class="mono" href={traceLink(state.trace_id, { span: state.span_id })}>{state.trace_id}</a></span>
          {state.span_id && <button class="button" onClick={() => set({ span_id: '' })}>The whole trace</button>}
          <button class="button" onClick={() => set({ trace_id: '', span_id: '' })}>All records</button>
        </div>
      )}
    </>
  );
}

function Histogram({ asked, range, set }: { asked: LogHistogram; range: LogsState; set: Set }) {
  const zoom = useZoom(range, set);
  const [data, values] = useMemo(() => {
    const before = asked.before ? [totals(asked.before.buckets, asked.buckets.length)] : [];
    return [[...stacked(asked.buckets), ...before], [...unstacked(asked.buckets), ...before]];
  }, [asked]);
  const tokens = ['line-strong', 'accent', 'warn', 'error'];
  const series: Series[] = groups.map((g, i) => ({ label: g.name, token: tokens[i], kind: 'bars' }));
  if (asked.before) series.push({ label: 'all before', token: 'text', kind: 'steps' });
  return (
    <figure class="chart">
      <figcaption>
        <span><b>{plural(asked.count, 'record')}</b> <Change now={asked.count} before={asked.before?.count} show={(v) => plural(v, 'record')} /></span>
        <span class="legend">{groups.map((g, i) => <span key={g.name}><i style={{ background: `var(--${tokens[i]})` }} />{g.name}</span>)}{asked.before && <span><i class="dash" />before</span>}</span>
      </figcaption>
      <Chart low data={data} values={values} format={count} onPick={zoom.pick} onReset={zoom.out} label={`${plural(asked.count, 'record')} by time and severity`} series={series} />
    </figure>
  );
}

/** The pages so far as columns. */
function usePages(state: LogsState) {
  const question = { ...narrowed(state), order: state.order, limit: pageSize };
  const first = useQuestion<Answer>('/api/v1/logs/query', question);
  const made = useMemo(() => {
    const columns = new LogColumns<Shown>();
    if (first.data) columns.append(whole(first.data));
    return { columns, cursor: first.data?.next_cursor ?? null, busy: false };
  }, [first.data]);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [, drawn] = useState(0);
  useEffect(() => setFailure(null), [made]);
  const load = (): void => {
    if (!made.cursor || made.busy || failure) return;
    made.busy = true;
    get<Answer>('/api/v1/logs/query', { ...question, cursor: made.cursor }).then(
      (page) => {
        made.columns.append(whole(page));
        made.cursor = page.next_cursor;
        made.busy = false;
        drawn((n) => n + 1);
      },
      (e: Failure) => { made.busy = false; setFailure(e); },
    );
  };
  return { first, made, load, failure };
}

function NoneFound({ state, set, known }: { state: LogsState; set: Set; known: number }) {
  const cleared: Partial<LogsState> = { service: '', environment: '', severity: '', text: '', trace_id: '', span_id: '', where: [] };
  const filtered = (Object.keys(cleared) as (keyof LogsState)[]).some((k) => (state[k] as string | string[]).length > 0);
  const anything = useQuestion<{ count: number }>(filtered && !state.record ? '/api/v1/logs/query' : null, { start: state.start, end: state.end, mode: 'count' });
  const refused = useRefused('logs', !filtered);
  if (filtered && (anything.busy || (anything.data?.count ?? 1) > 0))
    return (
      <Empty title="No record fulfils these conditions" actions={<button class="button main" onClick={() => set(cleared)}>Remove all conditions</button>}>
        {anything.data ? `This range of time has ${plural(anything.data.count, 'record')} without them.` : 'There may be some without them.'}
      </Empty>
    );
  const told = refused && <> Refused since clew started: {refused}.</>;
  if (known === 0)
    return <Empty title="Nothing has come in so far" actions={<a class="button main" href="/start">Send some</a>}>clew runs and waits for records by OpenTelemetry's protocol.{told}</Empty>;
  return (
    <Empty title="No logs in this range of time" actions={<><button class="button main" onClick={() => set({ start: 'now-7d', end: '' })}>Look at the last 7 days</button><a class="button" href="/start">Send some</a></>}>
      Nothing was sent in it{filtered ? ', with these conditions or without' : ''}, or it is older than what is kept.{told}
    </Empty>
  );
}

function Live({ state, set, columns }: { state: LogsState; set: Set; columns: (c: string[]) => void }) {
  const [last, setLast] = useState<Shown | null>(null);
  const { start: _start, end: _end, ...conditions } = narrowed(state);
  const open = useRecord(state.record, last?.id === state.record ? last : null);
  const select = (r: Shown | null): void => {
    setLast(r);
    set({ record: r?.id ?? '' }, true);
  };
  return (
    <div class={state.record ? 'loggrid open' : 'loggrid'}>
      <Tail params={conditions} columns={state.column} record={open.record} select={select} />
      {state.record && <LogDetail open={open} state={state} set={set} columns={columns} />}
    </div>
  );
}

function Header({ state, set, names, columns, failure = null, children }: { state: LogsState; set: Set; names: ReturnType<typeof useNames>; columns: (c: string[]) => void; failure?: Failure | null; children?: ComponentChildren }) {
  const order = (o: LogsState['order'], name: string) => <button class="button" aria-pressed={state.order === o} onClick={() => set({ order: o })}>{name}</button>;
  return (
    <>
      <div class="head">
        <h1>Logs</h1>
        {HAS_TAIL && <button class="button" aria-pressed={state.live} title="Records as they come" onClick={() => set({ live: !state.live })}>Live</button>}
        {!state.live && <div class="group" role="group" aria-label="Order">{order('newest', 'Newest')}{order('oldest', 'Oldest')}</div>}
        <ColumnsButton columns={state.column} set={columns} initial={logColumns} scope={{ signal: 'logs', start: state.start, end: state.end }} />
        {!state.live && <button class="button" aria-pressed={state.by !== ''} title="Count by a field or an attribute" onClick={() => set({ by: state.by ? '' : 'service' })}>Group</button>}
        <Saved screen="logs" query={logs.write(state).slice(1)} />
        {children}
      </div>
      <Filters state={state} set={set} names={names} failure={failure} />
    </>
  );
}

export default function LogsScreen() {
  const [state, change] = useScreen(logs);
  const columns = (column: string[]): void => change({ column }, true);
  // Another search has another list: the open record is of the one before.
  const set: Set = (some, replace) => change('record' in some || 'around' in some || 'within' in some ? some : { ...some, record: '' }, replace);
  if (state.around) return <Around state={state} set={set} columns={columns} />;
  if (HAS_TAIL && state.live) return <LiveScreen state={state} set={set} columns={columns} />;
  return <Search state={state} set={set} columns={columns} />;
}

function LiveScreen({ state, set, columns }: { state: LogsState; set: Set; columns: (c: string[]) => void }) {
  const names = useNames();
  return (
    <>
      <Header state={state} set={set} names={names} columns={columns} />
      <Live state={state} set={set} columns={columns} />
    </>
  );
}

function Search({ state, set, columns: setColumns }: { state: LogsState; set: Set; columns: (c: string[]) => void }) {
  const { first, made, load, failure } = usePages(state);
  const names = useNames();
  const histogram = useQuestion<LogHistogram>('/api/v1/logs/query', { ...narrowed(state), mode: 'histogram', by: state.by, compare: state.compare ? 'before' : '' });
  const { columns } = made;
  const at = useMemo(() => (state.record ? columns.record.findIndex((r) => r.id === state.record) : -1), [state.record, made, columns.n]);
  const open = useRecord(state.record, at >= 0 ? columns.record[at] : null, first.busy);
  const refresh = (): void => { first.again(); histogram.again(); };
  const picker = <TimePicker range={state} onChange={set} refresh={refresh} compare={{ on: state.compare, set: (compare) => set({ compare }) }} />;
  return (
    <>
      <Progress on={first.busy || histogram.busy} text="Searching logs" stop={() => { first.stop(); histogram.stop(); }} />
      <Header state={state} set={set} names={names} columns={setColumns} failure={first.failure}>{picker}</Header>
      {first.failure ? !complaint(first.failure.message, state.where) && <FailureNote failure={first.failure} again={refresh} /> : histogram.failure && <FailureNote failure={histogram.failure} again={histogram.again} />}
      <PartialNote of={first.data} />
      {!first.data && !first.failure && <p class="muted">Searching …</p>}
      {first.data && columns.n === 0 && !first.busy && <NoneFound state={state} set={set} known={names.known} />}
      {columns.n > 0 && histogram.data && <Histogram asked={histogram.data} range={state} set={set} />}
      {columns.n > 0 && state.by && <Breakdown scope={{ signal: 'logs', start: state.start, end: state.end }} by={state.by} of={histogram.data} fields={fields} onBy={(by) => set({ by })} narrow={(n) => set(groupAs(state.where, n))} />}
      {failure && <FailureNote failure={failure} />}
      {(columns.n > 0 || state.record) && (
        <div class={state.record ? 'loggrid open' : 'loggrid'}>
          {columns.n > 0 && <LogList columns={columns} keys={state.column} at={at} select={(i) => set({ record: i < 0 ? '' : columns.record[i].id }, true)} load={load} label="Records" />}
          {state.record && <LogDetail open={open} state={state} set={set} columns={setColumns} />}
        </div>
      )}
    </>
  );
}
