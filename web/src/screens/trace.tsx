// One trace: its waterfall, and the span that is looked at.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { criticalPath, findRows, layout, nextMarked, positionOf, reveal, visibleRows, type Waterfall } from '../hot/waterfall';
import { Failure, useQuestion, type Logs, type Trace } from '../lib/api';
import { duration, plural } from '../lib/format';
import { useKeys } from '../lib/keys';
import { useScreen } from '../lib/nav';
import { usePrefs } from '../lib/prefs';
import { logsLink, trace as codec, tracesLink, type Range, type TraceState } from '../lib/screens';
import { absolute, parseMs, showTime } from '../lib/time';
import { CopyButton, Dot, say } from '../ui/chips';
import { Fall, type View } from '../ui/fall';
import { SpanDetail } from '../ui/span';
import { Empty, FailureNote, PartialNote, Progress } from '../ui/states';

/** The hour around a trace: what its pivots look at. */
const around = (t: Trace): Range => {
  const start = parseMs(t.start);
  return absolute(start - 1_800_000, start + t.duration_ns / 1e6 + 1_800_000);
};

function viewOf(text: string, total: number): View {
  const m = /^(\d+)-(\d+)$/.exec(text);
  const [from, to] = m ? [Number(m[1]), Math.min(total, Number(m[2]))] : [0, total];
  return to > from ? [from, to] : [0, total];
}

/** Which rows are collapsed: from the URL at first, kept here, and written back while they are few. */
function useCollapsed(t: Trace, w: Waterfall, state: TraceState, set: (s: Partial<TraceState>, replace?: boolean) => void) {
  const first = useMemo(() => {
    const c = new Uint8Array(w.n);
    const all = state.collapsed.includes('*'), ids = new Set(state.collapsed);
    for (let i = 0; i < w.n; i++) if (w.end[i] > i + 1 && (all || ids.has(t.spans[i].span_id))) c[i] = 1;
    return c;
  }, [w]);
  const [collapsed, setCollapsed] = useState<Uint8Array>(first);
  const change = (next: Uint8Array): void => {
    setCollapsed(next);
    const ids: string[] = [];
    let parents = 0;
    for (let i = 0; i < w.n; i++) {
      parents += w.end[i] > i + 1 ? 1 : 0;
      if (next[i]) ids.push(t.spans[i].span_id);
    }
    set({ collapsed: ids.length === parents && parents > 0 ? ['*'] : ids.slice(0, 64) }, true);
  };
  return { collapsed, change };
}

function Header({ t, children }: { t: Trace; children: ComponentChildren }) {
  const { zone } = usePrefs();
  return (
    <>
      <div class="head">
        <h1><Dot service={t.root.service} /><span class="muted">{t.root.service}</span> {t.root.operation}</h1>
        {children}
      </div>
      <div class="facts">
        <span><b>{duration(t.duration_ns)}</b></span>
        <span><b>{plural(t.span_count, 'span')}</b></span>
        {t.error_count > 0 ? <span class="tag error">{plural(t.error_count, 'error')}</span> : <span>no errors</span>}
        <span>{showTime(parseMs(t.start), zone, true)}</span>
        <span class="mono">{t.trace_id} <CopyButton what="the trace's id" text={t.trace_id} /></span>
        <ul class="services" aria-label="Services">{t.services.slice(0, 12).map((s) => <li key={s.name}><Dot service={s.name} />{s.name}&nbsp;<span class="muted">{s.span_count}</span></li>)}{t.services.length > 12 && <li class="muted">and {t.services.length - 12} more</li>}</ul>
      </div>
    </>
  );
}

function Notes({ t }: { t: Trace }) {
  return (
    <>
      <PartialNote of={t} />
      {t.truncated && <div class="note warn" role="status">This trace has more spans than can be shown at once; these are the first {plural(t.spans.length, 'span')}. <a href={`/api/v1/traces/${t.trace_id}?format=otlp`}>All of it as OTLP/JSON</a></div>}
      {t.missing_parents.length > 0 && <div class="note warn" role="status">{plural(t.missing_parents.length, 'span')} that others name as their parent never came: their children stand as roots. A service in between may not export, or drops spans.</div>}
    </>
  );
}

function Shown({ t }: { t: Trace }) {
  const [state, set] = useScreen(codec);
  const w = useMemo(() => layout(t.spans, t.start), [t]);
  const range = useMemo(() => around(t), [t]);
  const { data: logs } = useQuestion<Logs>('/api/v1/logs/query', { ...range, trace_id: t.trace_id, limit: 1000, order: 'oldest' });
  const { collapsed, change } = useCollapsed(t, w, state, set);
  const [rows, count] = useMemo(() => {
    const out = new Int32Array(w.n);
    return [out, visibleRows(w, collapsed, out)] as const;
  }, [w, collapsed]);
  const marks = useMemo(() => new Uint8Array(w.n), [w]);
  const found = useMemo(() => findRows(t.spans, state.find, marks), [t, state.find]);
  const path = useMemo(() => (state.path ? criticalPath(w) : null), [w, state.path]);
  const at = useMemo(() => (state.span ? t.spans.findIndex((s) => s.span_id === state.span) : -1), [t, state.span]);
  const search = useRef<HTMLInputElement>(null);
  const view = viewOf(state.view, w.total);
  const position = positionOf(rows, count, Math.max(0, at));
  const select = (i: number): void => {
    const next = collapsed.slice();
    if (reveal(w, next, i)) change(next);
    set({ span: t.spans[i].span_id }, true);
  };
  useEffect(() => { if (at > 0) { const next = collapsed.slice(); if (reveal(w, next, at)) change(next); } }, []);
  const move = (step: number): void => { if (count) select(rows[at < 0 ? 0 : Math.max(0, Math.min(count - 1, position + step))]); };
  const fold = (i: number, to: 0 | 1): void => {
    if (i < 0 || w.end[i] === i + 1) return;
    const next = collapsed.slice();
    next[i] = to;
    change(next);
  };
  const jump = (of: Uint8Array, step: 1 | -1, none: string): void => {
    const i = nextMarked(of, at < 0 ? (step === 1 ? -1 : 0) : at, step);
    if (i < 0) say(none);
    else select(i);
  };
  const all = (to: 0 | 1): void => change(to ? Uint8Array.from(collapsed, (_, i) => (w.end[i] > i + 1 ? 1 : 0)) : new Uint8Array(w.n));
  const left = (): void => (at >= 0 && (collapsed[at] || w.end[at] === at + 1) ? void (w.parent[at] >= 0 && select(w.parent[at])) : fold(at, 1));
  useKeys({
    j: () => move(1), k: () => move(-1), arrowdown: () => move(1), arrowup: () => move(-1), arrowleft: left, arrowright: () => (at >= 0 && !collapsed[at] ? move(1) : fold(at, 0)),
    enter: () => fold(at, collapsed[at] ? 0 : 1), n: () => jump(w.error, 1, 'No errors in this trace'), p: () => jump(w.error, -1, 'No errors in this trace'), '[': () => all(1), ']': () => all(0),
    c: () => set({ path: !state.path }, true),
    escape: () => (document.activeElement === search.current ? search.current?.blur() : at >= 0 ? set({ span: '' }, true) : state.view ? set({ view: '' }, true) : set({ find: '' }, true)),
  });
  return (
    <>
      <Header t={t}>
        <input ref={search} class="field" data-search style={{ width: '170px' }} aria-label="Find in spans" placeholder="Find in spans (/)" value={state.find} onInput={(e) => set({ find: e.currentTarget.value }, true)}
          onKeyDown={(e) => { if (e.key === 'Enter') jump(marks, e.shiftKey ? -1 : 1, 'Nothing found'); }} />
        {state.find && <span class="muted" role="status">{plural(found, 'span')}</span>}
        <button class="button" aria-pressed={state.path} title="Critical path (c): what the duration is made of" onClick={() => set({ path: !state.path }, true)}>Critical path</button>
        {t.error_count > 0 && <button class="button" title="Next error (n)" onClick={() => jump(w.error, 1, '')}>Next error</button>}
        <a class="button" href={logsLink({ ...range, trace_id: t.trace_id })}>Logs{logs ? ` ${logs.logs.length}${logs.next_cursor ? '+' : ''}` : ''}</a>
      </Header>
      <Notes t={t} />
      <div class={at >= 0 ? 'trace open' : 'trace'}>
        <Fall w={w} spans={t.spans} rows={rows} count={count} at={at} marks={marks} path={path} collapsed={collapsed} view={view} position={position}
          onView={(v) => set({ view: v ? `${Math.floor(v[0])}-${Math.ceil(v[1])}` : '' }, true)} onSelect={select} onToggle={(i) => fold(i, collapsed[i] ? 0 : 1)} />
        {at >= 0 && <SpanDetail trace={t} w={w} i={at} logs={logs} range={range} close={() => set({ span: '' }, true)} key={state.span} />}
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
  const { data, failure, busy, again } = useQuestion<Trace>(`/api/v1/traces/${id}`);
  useEffect(() => {
    if (data) document.title = `${data.root.operation} · clew`;
  }, [data]);
  return (
    <>
      <Progress on={busy} text="Loading the trace" />
      {failure && (failure instanceof Failure && failure.status === 404 ? <NotThere id={id} again={again} /> : <FailureNote failure={failure} again={again} />)}
      {!data && !failure && <p class="muted">Loading the trace …</p>}
      {data && data.spans.length > 0 && <Shown t={data} key={data.trace_id} />}
    </>
  );
}
