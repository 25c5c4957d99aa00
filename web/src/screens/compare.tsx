// Two traces beside each other: what one has and does that the other has not and does not, and what explains the difference of the two.
import { useMemo, useState } from 'preact/hooks';
import { compare, differing, explains, failsIn, orderNodes, telling, type Compared } from '../hot/compare';
import { median, pick, type Candidate as CandidateOf } from '../hot/picks';
import { idOf } from '../hot/waterfall';
import { useQuestion, type SpanDetails, type Traces, type TraceSummary } from '../lib/api';
import { duration, grouped, percent, plural } from '../lib/format';
import { useKeys } from '../lib/keys';
import { go, useScreen } from '../lib/nav';
import { usePrefs } from '../lib/prefs';
import { compare as codec, compareLink, traceLink, tracesLink, type CompareState } from '../lib/screens';
import { absolute, parseMs, showTime } from '../lib/time';
import { useTrace, type Trace } from '../lib/trace';
import { Dot } from '../ui/chips';
import { SmallFall } from '../ui/smallfall';
import { Grid, Share, type Column } from '../ui/grid';
import { Empty, FailureNote, PartialNote, Progress } from '../ui/states';

type Candidate = CandidateOf<TraceSummary>;
const idIn = (text: string): string => /[0-9a-f]{32}/i.exec(text)?.[0].toLowerCase() ?? '';
const times = (ratio: number): string => ratio.toFixed(ratio < 10 ? 2 : 0);
const signed = (ns: number): string => (ns > 0 ? `+${duration(ns)}` : duration(ns));

// ---- choosing the other ---------------------------------------------------------------------------------------------

const groups = (failed: boolean): [Candidate['why'], string][] => [['unlike', failed ? 'Without errors' : 'With errors'], ['slower', 'Slower'], ['usual', 'Usual'], ['faster', 'Faster']];

function useCandidates(t: Trace): { found: Candidate[]; busy: boolean; usual: number } {
  const { root } = t;
  const start = parseMs(t.start), day = 86_400_000;
  const range = useMemo(() => absolute(start - day, Math.min(Date.now(), start + day) + 60_000), [t]);
  const of = { ...range, service: root.service, operation: root.operation, root: root.missing ? undefined : true };
  const newest = useQuestion<Traces>('/api/v1/traces', { ...of, limit: 100 });
  const longest = useQuestion<Traces>('/api/v1/traces', { ...of, limit: 10, order: 'longest' });
  const failing = useQuestion<Traces>(t.error_count > 0 ? null : '/api/v1/traces', { ...of, limit: 10, status: 'error' });
  return useMemo(() => {
    const all = new Map<string, TraceSummary>();
    for (const s of [...(newest.data?.traces ?? []), ...(longest.data?.traces ?? []), ...(failing.data?.traces ?? [])])
      if (s.root.service === root.service && s.root.operation === root.operation) all.set(s.trace_id, s);
    const usual = median((newest.data?.traces ?? []).map((s) => s.duration_ns));
    all.delete(t.trace_id);
    return { found: pick([...all.values()], t.duration_ns, usual, 4, t.error_count > 0), busy: newest.busy || longest.busy || failing.busy, usual };
  }, [t, newest.data, longest.data, failing.data, newest.busy, longest.busy, failing.busy]);
}

function Choose({ t }: { t: Trace }) {
  const { zone } = usePrefs();
  const { found, busy, usual } = useCandidates(t);
  const [typed, setTyped] = useState('');
  const id = idIn(typed);
  const choose = (e: Event): void => {
    e.preventDefault();
    if (id) go(compareLink({ a: t.trace_id, b: id }));
  };
  return (
    <>
      <h1>Compare <span class="muted">{t.root.service}</span> {t.root.operation} <span class="muted">of {duration(t.duration_ns)} with …</span></h1>
      <form class="where" onSubmit={choose} aria-label="Another trace">
        <input class="field" data-search spellcheck={false} autocomplete="off" aria-label="Id or link of another trace" placeholder="Id or link of another trace" value={typed} aria-invalid={typed.trim() !== '' && !id} aria-describedby="id-wrong" onInput={(e) => setTyped(e.currentTarget.value)} />
        <button class="button main" type="submit" disabled={!id}>Compare</button>
        <span id="id-wrong" class="wrong" role="status">{typed.trim() !== '' && !id ? 'An id has 32 hexadecimal digits' : ''}</span>
      </form>
      <Progress on={busy} text="Looking for traces of the same operation" />
      {busy && found.length === 0 && <p class="muted">Looking for traces of the same operation …</p>}
      {!busy && found.length === 0 && <Empty title="No other trace of this operation" actions={<a class="button" href={tracesLink()}>Search traces</a>}>None within a day of this one begins with {t.root.service} {t.root.operation}. Any trace can be compared by its id.</Empty>}
      {found.length > 0 && <p class="muted">Traces within a day of this one that begin with the same operation; the newest of them usually take {duration(usual)}.</p>}
      <div class="pickgroups">
        {groups(t.error_count > 0).map(([why, name]) => {
          const of = found.filter((c) => c.why === why);
          return of.length > 0 && (
            <section key={why} class="chart" aria-label={name}>
              <h2>{name}</h2>
              <ul class="picks">{of.map(({ trace }) => <li key={trace.trace_id}><a href={compareLink({ a: t.trace_id, b: trace.trace_id })}>{duration(trace.duration_ns)}</a> <span class="muted">{signed(trace.duration_ns - t.duration_ns)} · {plural(trace.span_count, 'span')}{trace.error_count > 0 && ` · ${plural(trace.error_count, 'error')}`} · {showTime(parseMs(trace.start), zone)}</span></li>)}</ul>
            </section>
          );
        })}
      </div>
    </>
  );
}

// ---- the comparison -------------------------------------------------------------------------------------------------

/** `total`: how long the longer of the two takes, so that both are drawn on one scale. */
function Which({ name, t, total }: { name: string; t: Trace; total: number }) {
  const { zone } = usePrefs(), bars = useMemo(() => ({ ...t.w, total }), [t, total]);
  return (
    <li>
      <b>{name}</b> <a href={traceLink(t.trace_id)}><Dot service={t.root.service} />{t.root.service} {t.root.operation}</a> <b>{duration(t.w.total)}</b>
      <span class="muted"> {plural(t.span_count, 'span')}{t.error_count > 0 && <>, <span class="bad">{plural(t.error_count, 'error')}</span></>}, {showTime(parseMs(t.start), zone, true)}</span>
      <a class="smallfall" href={traceLink(t.trace_id)} tabIndex={-1} aria-hidden="true"><SmallFall bars={bars} label="" /></a>
    </li>
  );
}

/** In one sentence, where the difference comes from. */
function Sentence({ c, a, b }: { c: Compared; a: Trace; b: Trace }) {
  const order = useMemo(() => orderNodes(c, 'explains', 'all'), [c]);
  if (c.difference === 0) return <p>Both take {duration(a.w.total)}.</p>;
  const most = [...order.slice(0, 3)].filter((k) => Math.sign(explains(c, k)) === Math.sign(c.difference));
  const share = most.reduce((sum, k) => sum + explains(c, k), 0) / c.difference;
  return (
    <p>
      B takes <b>{duration(Math.abs(c.difference))} {c.difference > 0 ? 'longer' : 'less'}</b> than A{a.w.total > 0 && `, ${times(b.w.total / a.w.total)} times as long`}.
      {most.length > 0 && <> {most.length === 1 ? 'This operation explains' : `These ${most.length} operations explain`} {share > 1.005 ? 'more than all' : percent(share)} of it: {most.map((k, i) => <span key={k}>{i > 0 && ', '}<b>{c.name[k]}</b> <span class="muted">of {c.service[k]}</span> {signed(explains(c, k))}</span>)}.</>}
      {Math.abs(c.idle) >= Math.abs(c.difference) / 100 && <> {signed(c.idle)} is between spans.</>}
    </p>
  );
}

/** What went wrong in one of the two alone. */
function Fails({ c, a, b }: { c: Compared; a: Trace; b: Trace }) {
  const of = (side: 'a' | 'b', t: Trace) => {
    const all = failsIn(c, side);
    return all.length > 0 && (
      <p key={side}><span class="tag error">{side.toUpperCase()} alone fails</span> in {all.slice(0, 3).map((k, i) => <span key={k}>{i > 0 && ', '}<a href={traceLink(t.trace_id, { as: 'table', find: c.name[k] })}>{c.name[k]}</a> <span class="muted">of {c.service[k]}</span></span>)}{all.length > 3 && ` and ${all.length - 3} more`}.</p>
    );
  };
  return <>{of('a', a)}{of('b', b)}</>;
}

const differingMost = 12;

/** What the operation that tells most says differently in the two: the version that runs, the instance, an answer's status. */
function Differs({ c, a, b }: { c: Compared; a: Trace; b: Trace }) {
  const k = useMemo(() => telling(c), [c]), path = (t: Trace, i: number): string | null => (i < 0 ? null : `/api/v1/traces/${t.trace_id}/spans/${idOf(t.w, i)}`);
  const inA = useQuestion<SpanDetails>(path(a, k < 0 ? -1 : c.a.first[k])).data?.spans[0], inB = useQuestion<SpanDetails>(path(b, k < 0 ? -1 : c.b.first[k])).data?.spans[0];
  const all = useMemo(() => (inA && inB ? differing(inA, inB) : []), [inA, inB]), value = (v: string) => (v ? <span class="who" title={v}>{v}</span> : <span class="muted">not there</span>);
  if (all.length === 0) return null;
  return (
    <details class="differs" open>
      <summary>{plural(all.length, 'attribute')} of <b>{c.name[k]}</b> <span class="muted">of {c.service[k]}</span> {all.length === 1 ? 'differs' : 'differ'}</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label="Attributes that differ">
        <table class="table">
          <thead><tr><th scope="col">Attribute</th><th scope="col">A</th><th scope="col">B</th></tr></thead>
          <tbody>{all.slice(0, differingMost).map(([key, x, y], i) => <tr key={i}><th scope="row" class="mono">{key}</th><td>{value(x)}</td><td>{value(y)}</td></tr>)}</tbody>
        </table>
      </div>
      {all.length > differingMost && <p class="muted">And {plural(all.length - differingMost, 'attribute')} more.</p>}
    </details>
  );
}

const shows: [CompareState['show'], string][] = [['all', 'All operations'], ['changed', 'Changed'], ['a', 'Only in A'], ['b', 'Only in B']];
const calls = (id: string, n: number, name: string) => (n ? <a href={traceLink(id, { as: 'table', find: name })}>{grouped(n)}</a> : <span class="muted">none</span>);

const failures = (a: number, b: number) => (a + b === 0 ? <span class="muted">–</span> : a === b ? `${a} both` : <span class="bad" title={`${a} in A, ${b} in B`}>{a} → {b}</span>);

function NodeName({ c, k, tree }: { c: Compared; k: number; tree: boolean }) {
  const only = c.b.calls[k] === 0 ? 'A' : c.a.calls[k] === 0 ? 'B' : '';
  const parent = c.parent[k];
  return (
    <span class="cut" title={tree || parent < 0 ? undefined : `in ${c.name[parent]}`} style={tree ? { paddingLeft: `${Math.min(c.depth[k], 24) * 12}px` } : {}}>
      <Dot service={c.service[k]} />{only && <span class="tag">only in {only}</span>} {c.name[k]} <span class="muted">{c.service[k]}{!tree && parent >= 0 && ` in ${c.name[parent]}`}</span>
    </span>
  );
}

function Nodes({ c, a, b, state, set }: { c: Compared; a: Trace; b: Trace; state: CompareState; set: (s: Partial<CompareState>, replace?: boolean) => void }) {
  const rows = useMemo(() => orderNodes(c, state.sort, state.show), [c, state.sort, state.show]);
  const most = useMemo(() => rows.reduce((m, k) => Math.max(m, Math.abs(explains(c, k))), 1), [c, rows]);
  const [at, setAt] = useState(-1);
  const move = (step: number): void => setAt(Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + step)));
  useKeys({ j: () => move(1), k: () => move(-1), arrowdown: () => move(1), arrowup: () => move(-1), enter: () => document.querySelector<HTMLElement>(`#node-${at} a`)?.click(), escape: () => setAt(-1) });
  const took = (n: number, ns: number) => (n ? duration(ns) : <span class="muted">–</span>);
  const columns: Column[] = [
    { by: '', title: 'Operation', width: 'minmax(0, 1fr)', cell: (k) => <NodeName c={c} k={rows[k]} tree={state.sort === 'tree'} /> },
    { by: '', title: 'Calls in A', width: '76px', num: true, wide: true, cell: (k) => calls(a.trace_id, c.a.calls[rows[k]], c.name[rows[k]]) },
    { by: '', title: 'in B', width: '64px', num: true, wide: true, cell: (k) => calls(b.trace_id, c.b.calls[rows[k]], c.name[rows[k]]) },
    { by: '', title: 'Time in A', width: '88px', num: true, wide: true, cell: (k) => took(c.a.calls[rows[k]], c.a.total[rows[k]]) },
    { by: '', title: 'Time in B', width: '88px', num: true, wide: true, cell: (k) => took(c.b.calls[rows[k]], c.b.total[rows[k]]) },
    { by: '', title: 'Difference', width: '92px', num: true, wide: true, cell: (k) => signed(c.b.total[rows[k]] - c.a.total[rows[k]]) },
    { by: '', title: 'Errors', width: '84px', num: true, wide: true, cell: (k) => failures(c.a.errors[rows[k]], c.b.errors[rows[k]]) },
    { by: '', title: 'Explains', width: '164px', num: true, cell: (k) => <Share signed of={explains(c, rows[k]) / most} text={signed(explains(c, rows[k]))} /> },
  ];
  return (
    <>
      <div class="head">
        <div class="group" role="group" aria-label="Order">
          <button class="button" aria-pressed={state.sort === 'explains'} onClick={() => set({ sort: 'explains' }, true)}>What explains it</button>
          <button class="button" aria-pressed={state.sort === 'tree'} onClick={() => set({ sort: 'tree' }, true)}>As a tree</button>
        </div>
        <select class="field short" aria-label="Which operations" value={state.show} onChange={(e) => set({ show: e.currentTarget.value as CompareState['show'] }, true)}>{shows.map(([v, name]) => <option key={v} value={v}>{name}</option>)}</select>
        <span class="muted" role="status">{plural(rows.length, 'operation')}</span>
      </div>
      {rows.length === 0 ? <Empty title="None of these">Choose all operations to see what both traces have.</Empty>
        : <Grid id="node" label="Operations of both traces" columns={columns} count={rows.length} at={at} order={null} onPick={setAt} />}
      <p class="muted">An operation is a service and name, below the same operations from the root on. “Explains” is the difference of its time on the critical path; with the time between spans these sum up to the difference of the two durations. Time is of all calls, also of those at once.</p>
    </>
  );
}

function Both({ a, b, state, set }: { a: Trace; b: Trace; state: CompareState; set: (s: Partial<CompareState>, replace?: boolean) => void }) {
  const c = useMemo(() => compare(a.w, b.w), [a, b]);
  return (
    <>
      <div class="head">
        <h1>Two traces</h1>
        <button class="button" onClick={() => set({ a: state.b, b: state.a })}>Swap A and B</button>
        <a class="button" href={compareLink({ a: state.a })}>Another B …</a>
      </div>
      <ul class="sides"><Which name="A" t={a} total={Math.max(a.w.total, b.w.total)} /><Which name="B" t={b} total={Math.max(a.w.total, b.w.total)} /></ul>
      <PartialNote of={a.partial ? a : b} />
      {(a.truncated || b.truncated) && <div class="note warn" role="status">A trace has more spans than can be looked at: what is compared are its first.</div>}
      <Sentence c={c} a={a} b={b} />
      <Fails c={c} a={a} b={b} />
      <Differs c={c} a={a} b={b} />
      <Nodes c={c} a={a} b={b} state={state} set={set} key={`${state.sort} ${state.show}`} />
    </>
  );
}

export default function Compare() {
  const [state, set] = useScreen(codec);
  const [idA, idB] = [idIn(state.a), idIn(state.b)];
  const a = useTrace(idA || null), b = useTrace(idB || null);
  if (!idA) return <Empty whole title="Which traces?" actions={<a class="button main" href={tracesLink()}>Search traces</a>}>Open a trace and choose “Compare with …”, or give the ids of two as a and b.</Empty>;
  const gone = (t: typeof a, id: string) => t.failure && (t.failure.status === 404 ? <Empty title="One of them is not there" actions={<a class="button" href={tracesLink()}>Search traces</a>}>{id} was never sent here, or is older than what is kept.</Empty> : <FailureNote failure={t.failure} again={t.again} />);
  const failed = gone(a, idA) || gone(b, idB);
  return (
    <>
      <Progress on={a.busy || b.busy} text="Loading the traces" />
      {failed && <><h1>Two traces</h1>{failed}</>}
      {!failed && (!a.data || (idB && !b.data)) && <><h1>Two traces</h1><p class="muted">Loading the traces …</p></>}
      {!failed && a.data && !idB && <Choose t={a.data} key={idA} />}
      {!failed && a.data && idB && b.data && <Both a={a.data} b={b.data} state={state} set={set} />}
    </>
  );
}
