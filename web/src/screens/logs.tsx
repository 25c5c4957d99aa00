// Searching logs: conditions, how many by time and severity, and the records.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { groups, LogColumns, stacked } from '../hot/logs';
import { scrollInto } from '../hot/rows';
import { get, useQuestion, type Failure, type LogHistogram, type Logs as Answer } from '../lib/api';
import { count, plural } from '../lib/format';
import { useKeys } from '../lib/keys';
import { useScreen } from '../lib/nav';
import { usePrefs } from '../lib/prefs';
import { logs, logsLink, traceLink, type LogsState } from '../lib/screens';
import { complaint } from '../lib/where';
import { absolute, parseMs, showTime } from '../lib/time';
import { Chart } from '../ui/chart';
import { logFields } from '../lib/fields';
import { CopyButton, Values } from '../ui/chips';
import { ChoiceField, environmentChoices, TextField, useNames } from '../ui/filters';
import { LogRow, type Shown } from '../ui/logrow';
import { PredicateBar } from '../ui/predicate';
import { rowHeight, Rows } from '../ui/rows';
import { Saved } from '../ui/saved';
import { Empty, FailureNote, PartialNote, Progress } from '../ui/states';
import { Tail } from '../ui/tail';
import { TimePicker } from '../ui/time';

const pageSize = 200;
const whole = (page: Answer): Shown[] => page.logs.map((l) => ({ ...l, resourceOf: page.resources[l.resource], scopeOf: page.scopes[l.scope] }));
const narrowed = (s: LogsState) => ({ start: s.start, end: s.end, service: s.service, environment: s.environment, severity: s.severity, text: s.text, trace_id: s.trace_id, span_id: s.span_id, where: s.where });

function Filters({ state, set, failure }: { state: LogsState; set: (s: Partial<LogsState>) => void; failure: Failure | null }) {
  const names = useNames();
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

function Histogram({ asked, onPick }: { asked: LogHistogram; onPick: (from: number, to: number) => void }) {
  const data = useMemo(() => stacked(asked.buckets), [asked]);
  const tokens = ['line-strong', 'accent', 'warn', 'error'];
  return (
    <figure class="chart">
      <figcaption>
        <b>{plural(asked.count, 'record')}</b>
        <span class="legend">{groups.map((g, i) => <span key={g.name}><i style={{ background: `var(--${tokens[i]})` }} />{g.name}</span>)}</span>
      </figcaption>
      <Chart low data={data} format={count} onPick={onPick} label={`${plural(asked.count, 'record')} by time and severity`} series={groups.map((g, i) => ({ label: g.name, token: tokens[i], kind: 'bars' as const }))} />
    </figure>
  );
}

function Detail({ r, state, set, close }: { r: Shown; state: LogsState; set: (s: Partial<LogsState>) => void; close: () => void }) {
  const { zone } = usePrefs();
  const filter = (where: string): void => set({ where: [...state.where.filter((w) => w !== where), where] });
  const at = parseMs(r.time);
  const text = typeof r.body === 'string' ? r.body : JSON.stringify(r.body, null, 2);
  return (
    <aside class="detail" aria-label="Record" tabIndex={0}>
      <header>
        <h2 class="grow"><span class={`s-${r.severity}`}><span class="sev">{r.severity_text || r.severity}</span></span> <span class="muted">{showTime(at, zone, true)}</span></h2>
        <CopyButton big what="the body" text={text} />
        <button class="button quiet icon" aria-label="Close" title="Close (Esc)" onClick={close}>×</button>
      </header>
      <section aria-label="Body"><pre class="body">{text}</pre></section>
      <section aria-label="Ways on" style={{ display: 'flex', flexWrap: 'wrap', gap: '8px' }}>
        {r.trace_id && <a class="button" href={traceLink(r.trace_id, { span: r.span_id ?? '' })}>Open its trace</a>}
        {r.trace_id && <button class="button" onClick={() => set({ trace_id: r.trace_id!, span_id: '' })}>Records of the trace</button>}
        <a class="button" href={logsLink({ ...absolute(at - 30_000, at + 30_000), service: r.service })} title="All records of this service, 30 s before and after">In context</a>
        {state.service !== r.service && <button class="button" onClick={() => set({ service: r.service })}>Only {r.service}</button>}
      </section>
      <section><h3>Attributes <span class="muted">{Object.keys(r.attributes).length}</span></h3><Values of={r.attributes} prefix="" label="Attributes" onFilter={filter} /></section>
      {r.resourceOf && <section><h3>Resource</h3><Values of={r.resourceOf.attributes} prefix="resource." label="Resource" onFilter={filter} /></section>}
      {r.scopeOf?.name && <section><h3>Scope</h3><p class="mono">{r.scopeOf.name} {r.scopeOf.version}</p></section>}
    </aside>
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

function List({ columns, at, select, load }: { columns: LogColumns<Shown>; at: number; select: (i: number) => void; load: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  const now = Date.now();
  useEffect(() => {
    const b = box.current!;
    if (at >= 0) b.scrollTop = scrollInto(b.scrollTop, b.clientHeight, rowHeight, at);
  }, [at]);
  const move = (step: number): void => select(Math.max(0, Math.min(columns.n - 1, at + step)));
  useKeys({ j: () => move(1), k: () => move(-1), arrowdown: () => move(1), arrowup: () => move(-1), enter: () => select(Math.max(0, at)), escape: () => select(-1) });
  return (
    <div class="loglist" style={{ maxHeight: `${columns.n * rowHeight + 2}px` }}>
      <Rows count={columns.n} box={box} role="grid" aria-label="Records" aria-rowcount={columns.n} aria-readonly="true" aria-activedescendant={at >= 0 ? `log-${at}` : undefined} onEnd={load}
        row={(i) => <LogRow key={i} columns={columns} i={i} at={i === at} now={now} onSelect={() => select(i === at ? -1 : i)} />} />
    </div>
  );
}

function NoneFound({ state, set }: { state: LogsState; set: (s: Partial<LogsState>) => void }) {
  const cleared: Partial<LogsState> = { service: '', environment: '', severity: '', text: '', trace_id: '', span_id: '', where: [] };
  const filtered = (Object.keys(cleared) as (keyof LogsState)[]).some((k) => (state[k] as string | string[]).length > 0);
  const anything = useQuestion<{ count: number }>(filtered ? '/api/v1/logs/query' : null, { start: state.start, end: state.end, mode: 'count' });
  if (filtered && (anything.data?.count ?? 0) > 0)
    return <Empty title="No record fulfils these conditions" actions={<button class="button main" onClick={() => set(cleared)}>Remove all conditions</button>}>This range of time has {plural(anything.data!.count, 'record')} without them.</Empty>;
  return (
    <Empty title="No logs in this range of time" actions={<><button class="button main" onClick={() => set({ start: 'now-7d', end: '' })}>Look at the last 7 days</button><a class="button" href="/start">Send some</a></>}>
      Nothing was sent in it, or it is older than what is kept.
    </Empty>
  );
}

function Live({ state, set }: { state: LogsState; set: (s: Partial<LogsState>) => void }) {
  const [record, setRecord] = useState<Shown | null>(null);
  const { start: _start, end: _end, ...conditions } = narrowed(state);
  return (
    <div class={record ? 'loggrid open' : 'loggrid'}>
      <Tail params={conditions} record={record} select={setRecord} />
      {record && <Detail r={record} state={state} set={set} close={() => setRecord(null)} />}
    </div>
  );
}

function Header({ state, set, failure = null, children }: { state: LogsState; set: (s: Partial<LogsState>) => void; failure?: Failure | null; children?: ComponentChildren }) {
  const order = (o: LogsState['order'], name: string) => <button class="button" aria-pressed={state.order === o} onClick={() => set({ order: o })}>{name}</button>;
  return (
    <>
      <div class="head">
        <h1>Logs</h1>
        {HAS_TAIL && <button class="button" aria-pressed={state.live} title="Records as they come" onClick={() => set({ live: !state.live })}>Live</button>}
        {!state.live && <div class="group" role="group" aria-label="Order">{order('newest', 'Newest')}{order('oldest', 'Oldest')}</div>}
        <Saved screen="logs" query={logs.write(state).slice(1)} />
        {children}
      </div>
      <Filters state={state} set={set} failure={failure} />
    </>
  );
}

export default function LogsScreen() {
  const [state, set] = useScreen(logs);
  if (!HAS_TAIL || !state.live) return <Search state={state} set={set} />;
  return (
    <>
      <Header state={state} set={set} />
      <Live state={state} set={set} />
    </>
  );
}

function Search({ state, set }: { state: LogsState; set: (s: Partial<LogsState>) => void }) {
  const { first, made, load, failure } = usePages(state);
  const histogram = useQuestion<LogHistogram>('/api/v1/logs/query', { ...narrowed(state), mode: 'histogram' });
  const [at, setAt] = useState(-1);
  useEffect(() => setAt(-1), [made]);
  const refresh = (): void => { first.again(); histogram.again(); };
  const { columns } = made, record = at >= 0 ? columns.record[at] : undefined;
  return (
    <>
      <Progress on={first.busy || histogram.busy} text="Searching logs" />
      <Header state={state} set={set} failure={first.failure}><TimePicker range={state} onChange={set} refresh={refresh} /></Header>
      {first.failure && !complaint(first.failure.message, state.where) && <FailureNote failure={first.failure} again={refresh} />}
      <PartialNote of={first.data} />
      {!first.data && !first.failure && <p class="muted">Searching …</p>}
      {first.data && columns.n === 0 && !first.busy && <NoneFound state={state} set={set} />}
      {columns.n > 0 && (
        <>
          {histogram.data && <Histogram asked={histogram.data} onPick={(from, to) => set(absolute(from, to))} />}
          {failure && <FailureNote failure={failure} />}
          <div class={record ? 'loggrid open' : 'loggrid'}>
            <List columns={columns} at={at} select={setAt} load={load} />
            {record && <Detail r={record} state={state} set={set} close={() => setAt(-1)} />}
          </div>
        </>
      )}
    </>
  );
}
