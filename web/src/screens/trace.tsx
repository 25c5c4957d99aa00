// One trace: its waterfall or its spans as a table, and the span that is looked at.
import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { criticalPath, findRows, idOf, markIds, nextMarked, positionOf, reveal, rowOf, visibleRows, type Waterfall } from '../hot/waterfall';
import { Failure, useQuestion, type Logs, type TraceSpans } from '../lib/api';
import { duration, plural } from '../lib/format';
import { useKeys } from '../lib/keys';
import { useScreen, useTitle } from '../lib/nav';
import { usePrefs } from '../lib/prefs';
import { compareLink, correlationLink, logsLink, serviceLink, trace as codec, traceLink, tracesLink, type Range, type TraceState } from '../lib/screens';
import { parseMs, showTime } from '../lib/time';
import { around, useTrace, type Trace } from '../lib/trace';
import { parseCondition } from '../lib/where';
import { AnalysisView } from '../ui/analysis';
import { CopyButton, Dot, say, Who } from '../ui/chips';
import { Fall, type View } from '../ui/fall';
import { SpanDetail } from '../ui/span';
import { Operations, SpanTable } from '../ui/spans';
import { Empty, FailureNote, PartialNote, Progress } from '../ui/states';

type Set = (s: Partial<TraceState>, replace?: boolean) => void;
const collapsedMax = 64; // ids in the URL

function viewOf(text: string, total: number): View {
  const m = /^(\d+)-(\d+)$/.exec(text);
  const [from, to] = m ? [Number(m[1]), Math.min(total, Number(m[2]))] : [0, total];
  return to > from ? [from, to] : [0, total];
}

/** Which rows are collapsed: from the URL at first, kept here, and written back while they are few. */
function useCollapsed(w: Waterfall, state: TraceState, set: Set) {
  const first = useMemo(() => {
    const c = new Uint8Array(w.n);
    if (state.collapsed.includes('*')) for (let i = 0; i < w.n; i++) c[i] = w.end[i] > i + 1 ? 1 : 0;
    for (const id of state.collapsed) {
      const i = rowOf(w, id);
      if (i >= 0 && w.end[i] > i + 1) c[i] = 1;
    }
    return c;
  }, [w]);
  const [collapsed, setCollapsed] = useState<Uint8Array>(first);
  const change = (next: Uint8Array): void => {
    setCollapsed(next);
    const ids: string[] = [];
    let parents = 0, count = 0;
    for (let i = 0; i < w.n; i++) {
      parents += w.end[i] > i + 1 ? 1 : 0;
      count += next[i];
      if (next[i] && ids.length < collapsedMax) ids.push(idOf(w, i));
    }
    set({ collapsed: count === parents && parents > 0 ? ['*'] : ids }, true);
  };
  return { collapsed, change };
}

/** Rows with what is looked for: in names at once, in all else that the server finds a moment later; a condition is one there, too. */
function useFound(t: Trace, find: string) {
  const [asked, setAsked] = useState(find);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(find), 250);
    return () => clearTimeout(timer);
  }, [find]);
  const wanted = asked.trim(), isCondition = typeof parseCondition(wanted) !== 'string';
  const server = useQuestion<TraceSpans>(wanted ? `/api/v1/traces/${t.trace_id}/spans` : null, isCondition ? { where: wanted } : { text: wanted });
  const isThere = !server.busy && asked === find ? server.data : null;
  return useMemo(() => {
    const marks = new Uint8Array(t.w.n);
    let count = findRows(t.w, find, marks);
    if (isThere) count += markIds(t.w, isThere.span_id, marks);
    return { marks, count, busy: find.trim() !== '' && !isThere && !server.failure };
  }, [t, find, isThere, server.failure]);
}

function Header({ t, range, children }: { t: Trace; range: Range; children: ComponentChildren }) {
  const { zone } = usePrefs();
  return (
    <>
      <div class="head">
        <h1><Dot service={t.root.service} /><span class="muted">{t.root.service}</span> {t.root.operation}</h1>
        {children}
      </div>
      <div class="facts">
        <span><b>{duration(t.w.skew ? t.w.total : t.duration_ns)}</b></span>
        <span><b>{plural(t.span_count, 'span')}</b></span>
        {t.error_count > 0 ? <span class="tag error">{plural(t.error_count, 'error')}</span> : <span>no errors</span>}
        <span>{showTime(parseMs(t.start), zone, true)}</span>
        <span class="mono">{t.trace_id} <CopyButton what="the trace's id" text={t.trace_id} /></span>
        {t.correlation_ids.map((id, i) => <span key={i} class="mono">id <a href={correlationLink(id, t.correlation_ids_encoded?.[i] ?? '')}>{id}</a> <CopyButton what="the correlation id" text={id} /></span>)}
        <ul class="services" aria-label="Services">{t.services.slice(0, 12).map((s) => <li key={s.name}><Who service={s.name} href={serviceLink({ ...range, service: s.name })} />&nbsp;<span class="muted">{s.span_count}</span></li>)}{t.services.length > 12 && <li class="muted">and {t.services.length - 12} more</li>}</ul>
      </div>
    </>
  );
}

/** Whose clock is ahead or behind, by how much, and how that is known. */
function Clocks({ t, state, set }: { t: Trace; state: TraceState; set: Set }) {
  if (!t.stored) return null;
  const say = ({ service, ahead_ns, call_count }: Trace['clocks'][number]): string => `the clock of ${service} is ${duration(Math.abs(ahead_ns))} ${ahead_ns > 0 ? 'ahead' : 'behind'} (${plural(call_count, 'call')})`;
  const said = t.clocks.slice(0, 8).map(say).join(', '), more = t.clocks.length > 8 ? ` and ${t.clocks.length - 8} more` : '';
  return (
    <div class="note warn" role="status">
      Clocks are apart: {said}{more}; a call must lie within its caller. {state.stored ? 'These are the times as they were stored.' : 'Corrected here.'}{' '}
      <button class="button" aria-pressed={state.stored} onClick={() => set({ stored: !state.stored, view: '' }, true)}>Stored times</button>
    </div>
  );
}

function Notes({ t }: { t: Trace }) {
  const missing = t.missing_parents.length;
  return (
    <>
      <PartialNote of={t} />
      {t.truncated && <div class="note warn" role="status">This trace has more spans than can be shown at once; these are the first {plural(t.w.n, 'span')}. <a href={`/api/v1/traces/${t.trace_id}?format=otlp`}>As OTLP/JSON</a></div>}
      {missing > 0 && <div class="note warn" role="status">{missing >= 100 ? '100 spans or more' : plural(missing, 'span')} that others name as their parent never came: their children stand as roots. A service in between may not export, or drops spans.</div>}
    </>
  );
}

/** Goes to the next row that is marked. */
function jump(marks: Uint8Array, at: number, step: 1 | -1, none: string, select: (i: number) => void): void {
  const i = nextMarked(marks, at < 0 ? (step === 1 ? -1 : 0) : at, step);
  if (i < 0) say(none);
  else select(i);
}

function Tree({ t, at, marks, state, set }: { t: Trace; at: number; marks: Uint8Array; state: TraceState; set: Set }) {
  const { w } = t;
  const { collapsed, change } = useCollapsed(w, state, set);
  const [rows, count] = useMemo(() => {
    const out = new Int32Array(w.n);
    return [out, visibleRows(w, collapsed, out)] as const;
  }, [w, collapsed]);
  const path = useMemo(() => (state.path ? criticalPath(w) : null), [w, state.path]);
  const position = positionOf(rows, count, Math.max(0, at));
  useEffect(() => { // what is selected is to be seen, whoever selected it
    if (at < 0) return;
    const next = collapsed.slice();
    if (reveal(w, next, at)) change(next);
  }, [at]);
  const select = (i: number): void => set({ span: idOf(w, i) }, true);
  const move = (step: number): void => { if (count) select(rows[at < 0 ? 0 : Math.max(0, Math.min(count - 1, position + step))]); };
  const fold = (i: number, to: 0 | 1): void => {
    if (i < 0 || w.end[i] === i + 1) return;
    const next = collapsed.slice();
    next[i] = to;
    change(next);
  };
  const all = (to: 0 | 1): void => change(to ? Uint8Array.from(collapsed, (_, i) => (w.end[i] > i + 1 ? 1 : 0)) : new Uint8Array(w.n));
  const left = (): void => (at >= 0 && (collapsed[at] || w.end[at] === at + 1) ? void (w.parent[at] >= 0 && select(w.parent[at])) : fold(at, 1));
  useKeys({
    j: () => move(1), k: () => move(-1), arrowdown: () => move(1), arrowup: () => move(-1), arrowleft: left, arrowright: () => (at >= 0 && !collapsed[at] ? move(1) : fold(at, 0)),
    enter: () => fold(at, collapsed[at] ? 0 : 1), '[': () => all(1), ']': () => all(0),
  });
  return (
    <Fall w={w} rows={rows} count={count} at={at} marks={marks} path={path} collapsed={collapsed} view={viewOf(state.view, w.total)} position={position}
      onView={(v) => set({ view: v ? `${Math.floor(v[0])}-${Math.ceil(v[1])}` : '' }, true)} onSelect={select} onToggle={(i) => fold(i, collapsed[i] ? 0 : 1)} />
  );
}

/** What is found, and what is on the critical path, where either is asked for. */
function Table({ t, at, marks, state, set }: { t: Trace; at: number; marks: Uint8Array; state: TraceState; set: Set }) {
  const only = useMemo(() => {
    if (!state.path) return state.find.trim() ? marks : null;
    const path = criticalPath(t.w), wanted = state.find.trim() !== '';
    return Uint8Array.from(path, (p, i) => (p >= 0 && (!wanted || marks[i]) ? 1 : 0));
  }, [t, marks, state.find, state.path]);
  return <SpanTable w={t.w} only={only} at={at} sort={state.sort} onSort={(sort) => set({ sort }, true)} onSelect={(i) => set({ span: idOf(t.w, i) }, true)} />;
}

const views: [TraceState['as'], string][] = [['tree', 'Tree'], ['table', 'Table'], ['operations', 'Operations'], ['analysis', 'Analysis']];
/** Those that have a row for each span. */
const isOfSpans = (as: TraceState['as']): boolean => as === 'tree' || as === 'table';

function Find({ field, state, set, found, onEnter }: { field: RefObject<HTMLInputElement | null>; state: TraceState; set: Set; found: { count: number; busy: boolean }; onEnter: (step: 1 | -1) => void }) {
  return (
    <>
      <input ref={field} class="field find" data-search aria-label="Find in spans" title="Words of names, services and attributes; a condition as in http.status_code >= 500; a span's id" placeholder="Find in spans (/)" value={state.find}
        onInput={(e) => set({ find: e.currentTarget.value }, true)} onKeyDown={(e) => { if (e.key === 'Enter') onEnter(e.shiftKey ? -1 : 1); }} />
      {state.find && <span class="muted" role="status">{plural(found.count, 'span')}{found.busy ? ' …' : ''}</span>}
    </>
  );
}

function Shown({ t: asked }: { t: Trace }) {
  const [state, set] = useScreen(codec);
  const t = useMemo(() => (state.stored && asked.stored ? { ...asked, w: asked.stored } : asked), [asked, state.stored]);
  const { w } = t;
  const range = useMemo(() => around(t), [t]);
  const { data: logs } = useQuestion<Logs>('/api/v1/logs/query', { ...range, trace_id: t.trace_id, limit: 200, order: 'oldest' });
  const found = useFound(t, state.find);
  const at = useMemo(() => (state.span ? rowOf(w, state.span) : -1), [w, state.span]);
  const field = useRef<HTMLInputElement>(null);
  const select = (i: number): void => set({ span: idOf(w, i) }, true);
  const error = (step: 1 | -1): void => jump(w.error, at, step, 'No errors in this trace', select);
  const show = (as: TraceState['as']): void => set({ as, sort: '' }, true);
  useKeys({
    n: () => error(1), e: () => error(1), p: () => error(-1), c: () => set({ path: !state.path }, true),
    v: () => show(views[(views.findIndex(([as]) => as === state.as) + 1) % views.length][0]),
    escape: () => (document.activeElement === field.current ? field.current?.blur() : at >= 0 ? set({ span: '' }, true) : state.view ? set({ view: '' }, true) : set({ find: '' }, true)),
  });
  return (
    <>
      <Header t={t} range={range}>
        <div class="group" role="group" aria-label="View">{views.map(([as, name]) => <button key={as} class="button" aria-pressed={state.as === as} title={`${name} (v)`} onClick={() => show(as)}>{name}</button>)}</div>
        {state.as !== 'analysis' && <Find field={field} state={state} set={set} found={found} onEnter={(step) => jump(found.marks, at, step, 'Nothing found', select)} />}
        {isOfSpans(state.as) && <button class="button" aria-pressed={state.path} title="Critical path (c): what the duration is made of" onClick={() => set({ path: !state.path }, true)}>Critical path</button>}
        {t.error_count > 0 && <button class="button" title="Next error (e)" onClick={() => error(1)}>Next error</button>}
        <a class="button" title="Everything that belongs to this request" href={correlationLink(t.correlation_ids[0] ?? t.trace_id, t.correlation_ids_encoded?.[0] ?? '')}>Correlation</a>
        <a class="button" href={compareLink({ a: t.trace_id })}>Compare with …</a>
        <a class="button" href={logsLink({ ...range, trace_id: t.trace_id })}>Logs{logs ? ` ${logs.logs.length}${logs.next_cursor ? '+' : ''}` : ''}</a>
      </Header>
      <Notes t={t} />
      <Clocks t={t} state={state} set={set} />
      <div class={at >= 0 && isOfSpans(state.as) ? 'trace open' : 'trace'}>
        {state.as === 'tree' && <Tree t={t} at={at} marks={found.marks} state={state} set={set} />}
        {state.as === 'table' && <Table t={t} at={at} marks={found.marks} state={state} set={set} />}
        {state.as === 'operations' && <div class="stack"><Operations w={w} sort={state.sort} onSort={(sort) => set({ sort }, true)} link={(name) => traceLink(t.trace_id, { as: 'table', find: name, sort: '-duration' })} /></div>}
        {state.as === 'analysis' && <AnalysisView id={t.trace_id} />}
        {at >= 0 && isOfSpans(state.as) && <SpanDetail t={t} i={at} logs={logs} range={range} close={() => set({ span: '' }, true)} key={state.span} />}
      </div>
    </>
  );
}

function NotThere({ id, again }: { id: string; again: () => void }) {
  return (
    <Empty whole title="There is no such trace" actions={<><button class="button main" onClick={again}>Look again</button><a class="button" href={tracesLink()}>Search traces</a></>}>
      {id} was never sent here, not yet, or is older than what is kept. A trace that has just ended may still be on its way.
    </Empty>
  );
}

export default function TraceScreen({ id }: { id: string }) {
  const { data, failure, busy, again } = useTrace(id);
  useTitle(data ? data.root.operation : '');
  return (
    <>
      <Progress on={busy} text="Loading the trace" />
      {failure && (failure instanceof Failure && failure.status === 404 ? <NotThere id={id} again={again} /> : <FailureNote failure={failure} again={again} />)}
      {!data && !failure && <p class="muted">Loading the trace …</p>}
      {data && data.w.n > 0 && <Shown t={data} key={data.trace_id} />}
    </>
  );
}
