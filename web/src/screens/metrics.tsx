// The metrics explorer: what there is, queries in PromQL, their answers as a chart or a table.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { linesOf, telling } from '../hot/series';
import type { Failure } from '../lib/api';
import { grouped } from '../lib/format';
import { useKeys } from '../lib/keys';
import { useScreen } from '../lib/nav';
import { askProm, letterOf, measureOf, readStep, rowsOf, seriesMost, showStep, stepOf, stepsBefore, stepsOf, type Exemplars, type Labels, type Measure, type Result, type Steps } from '../lib/prom';
import { complaintAt, selectors, tokens, writeSelector } from '../lib/promql';
import { cardinalityLink, metrics, queriesMost, targetsLink, type MetricsState } from '../lib/screens';
import { rangeMs } from '../lib/time';
import { say } from '../ui/chips';
import { Browser } from '../ui/metrics/browser';
import { ExemplarList, Legend, SeriesChart, toneOf, type Drawing } from '../ui/metrics/draw';
import { Editor } from '../ui/metrics/editor';
import { useJobs, type Answered, type Job } from '../ui/metrics/ask';
import { useNames, type Names } from '../ui/metrics/names';
import { ValueTable } from '../ui/metrics/table';
import { useNarrow } from '../ui/grid';
import { Saved } from '../ui/saved';
import { Empty, FailureNote, Progress } from '../ui/states';
import { TimePicker } from '../ui/time';

type Set = (some: Partial<MetricsState>, replace?: boolean) => void;

/** What was asked: kept beside the answers, which are read by it. */
interface Asked {
  steps: Steps;
  queries: string[];
  as: MetricsState['as'];
}

function jobsOf(state: MetricsState, steps: Steps): Job[] {
  const jobs: Job[] = [], over = (s: Steps) => ({ start: s.start, end: s.end, step: s.step, limit: seriesMost });
  state.query.forEach((query, i) => {
    if (state.off.includes(letterOf(i))) return;
    if (state.as === 'table') jobs.push({ role: `${i}`, path: '/query', params: { query, time: steps.end, limit: seriesMost } });
    else {
      jobs.push({ role: `${i}`, path: '/query_range', params: { query, ...over(steps) } });
      if (state.compare) jobs.push({ role: `${i} before`, path: '/query_range', params: { query, ...over(stepsBefore(steps)) } });
      if (state.exemplars === 'shown' && selectors(query).length) jobs.push({ role: `${i} exemplars`, path: '/query_exemplars', params: { query, start: steps.start, end: steps.end } });
    }
  });
  return jobs.sort((a, b) => a.role.length - b.role.length); // what is drawn first, then what is drawn beside it
}

/** Asks what the state wants, anew when something of it changes or `turn` does. */
function useAnswers(state: MetricsState, pixels: number, turn: number) {
  const wanted = [state.start, state.end, state.step, state.as, String(state.compare), state.exemplars, state.off, ...state.query].join('\0');
  const { steps, jobs, id } = useMemo(() => {
    const [from, to] = rangeMs(state, Date.now());
    const steps = stepsOf(from, to, readStep(state.step) ?? stepOf(to - from, pixels)), jobs = jobsOf(state, steps);
    return { steps, jobs, id: `${wanted}\0${turn}\0${steps.end}` };
  }, [wanted, turn]);
  return { steps, ...useJobs<Asked>(id, jobs, { steps, queries: state.query, as: state.as }) };
}

const dataOf = <T,>(a: Answered | undefined): T | null => (a?.answer ? (a.answer.data as T) : null);

function drawingOf(of: Asked, answers: Map<string, Answered>): Drawing {
  const lines = of.queries.flatMap((_, i) => { const r = dataOf<Result>(answers.get(`${i}`)); return r ? linesOf(r, i, of.steps) : []; });
  const before = of.queries.flatMap((_, i) => { const r = dataOf<Result>(answers.get(`${i} before`)); return r ? linesOf(r, i, stepsBefore(of.steps)) : []; });
  const exemplars = of.queries.flatMap((_, i) => dataOf<Exemplars[]>(answers.get(`${i} exemplars`)) ?? []);
  const common = of.queries.map((_, i) => alike(lines.filter((l) => l.query === i).map((l) => l.labels), of.queries.length === 1));
  return { steps: of.steps, lines, before: new Map(before.map((l) => [l.key, l])), exemplars, common, queries: of.queries.length, measure: measureOfAll(of.queries.filter((_, i) => answers.has(`${i}`))) };
}

/** Labels that need not be named: of one series alone all but its name, where it is not all there is. */
function alike(rows: Labels[], alone: boolean): ReadonlySet<string> {
  const common = new Set(Object.keys(telling(rows).common));
  if (rows.length !== 1) return common;
  if (alone || !common.delete('__name__')) common.clear();
  return common;
}

function measureOfAll(queries: string[]): Measure {
  const all = new Set(queries.map((q) => measureOf(tokens(q), selectors(q).map((s) => s.metric))));
  return all.size === 1 ? [...all][0] : '';
}

/* ---- queries ---- */

function Notes({ of }: { of: Answered | undefined }) {
  const warnings = of?.answer?.warnings ?? [], infos = of?.answer?.infos ?? [];
  if (!warnings.length && !infos.length) return null;
  return (
    <div class="notes" role="status">
      {warnings.map((w) => <p key={w} class="warn"><b>Warning</b> {w === 'results truncated due to limit' ? `these are ${grouped(seriesMost)} of more series; matchers, sum or topk take fewer` : w.replace(/^PromQL warning: /, '')}</p>)}
      {infos.map((w) => <p key={w} class="muted"><b>Info</b> {w.replace(/^PromQL info: /, '')}</p>)}
    </div>
  );
}

function QueryRow({ i, state, set, names, answered, run, focus, leave, again }: {
  i: number; state: MetricsState; set: Set; names: Names; answered: Answered | undefined; run: (i: number, text: string) => void; focus: (i: number) => void; leave: (i: number, text: string) => void; again: () => void;
}) {
  const query = state.query[i] ?? '', letter = letterOf(i), off = state.off.includes(letter);
  const failure = answered?.failure ?? null, atPlace = failure && complaintAt(failure.message, query);
  const remove = (): void => set({ query: state.query.filter((_, k) => k !== i), series: [], off: [...state.off].filter((l) => l !== letter).map((l) => (l > letter ? letterOf(l.charCodeAt(0) - 66) : l)).join('') });
  const turn = (): void => set({ off: off ? state.off.replace(letter, '') : [...state.off, letter].sort().join('') });
  const format = (): void => void askProm<string>('/format_query', { query }, new AbortController().signal).then((a) => run(i, a.data), (e: Failure) => say(e.message));
  return (
    <div class={off ? 'queryrow off' : 'queryrow'}>
      <Editor id={`query-${i}`} letter={letter} first={i === 0} value={query} names={names} range={state} failure={failure} run={(t) => run(i, t)} onFocus={() => focus(i)} onLeave={(t) => leave(i, t)}>
        <span class="queryacts">
          {query !== '' && <button class="button quiet icon" aria-label={`Format query ${letter}`} title="Format" onClick={format}>¶</button>}
          {query !== '' && (state.query.length > 1 || off) && <button class="button quiet icon" aria-label={off ? `Ask query ${letter}` : `Do not ask query ${letter}`} aria-pressed={off} title={off ? 'Ask it again' : 'Leave it out'} onClick={turn}>{off ? '○' : '●'}</button>}
          {(query !== '' || i > 0) && <button class="button quiet icon" aria-label={`Remove query ${letter}`} title="Remove" onClick={remove}>×</button>}
        </span>
      </Editor>
      {failure && !atPlace && <FailureNote failure={failure} again={again} />}
      <Notes of={answered} />
    </div>
  );
}

/* ---- states ---- */

/** Metrics that a query names and that nobody has sent in this range. */
const unknownIn = (queries: string[], names: Names): string[] =>
  names.names.length && !names.cut && !names.busy ? [...new Set(queries.flatMap((q) => selectors(q).map((s) => s.metric)))].filter((m) => m && !names.names.includes(m)) : [];

function NothingFound({ state, set, names }: { state: MetricsState; set: Set; names: Names }) {
  const unknown = state.match ? [] : unknownIn(state.query, names), held = state.query.some((q) => selectors(q).some((s) => s.matchers.length > 0));
  const bare = state.query.map((q) => selectors(q).reverse().reduce((t, s) => (s.metric ? t.slice(0, s.from) + writeSelector(s.metric) + t.slice(s.to) : t), q));
  return (
    <Empty title={unknown.length ? `There is no metric ${unknown[0]} in this range of time` : state.query.length > 1 ? 'These queries give nothing' : 'This query gives nothing'}
      actions={<>{held && bare.join('\0') !== state.query.join('\0') && <button class="button main" onClick={() => set({ query: bare })}>Without matchers</button>}<button class="button" onClick={() => set({ start: 'now-24h', end: '' })}>Look at the last 24 hours</button><button class="button" onClick={() => set({ browser: 'open', metric: '', label: '', match: '' })}>See what there is</button></>}>
      {unknown.length ? 'Nobody sent it in this range, or its name is another one.' : 'No series fulfils it in this range of time. A comparison such as > 5 leaves out what is not; rate needs two samples within its window.'}
    </Empty>
  );
}

function Welcome({ names, state, set }: { names: Names; state: MetricsState; set: Set }) {
  if (names.busy || names.failure) return null;
  if (names.names.length === 0)
    return (
      <Empty title="No metrics in this range of time" actions={<><a class="button main" href="/start">Send some</a><button class="button" onClick={() => set({ start: 'now-7d', end: '', match: '' })}>Look at the last 7 days</button></>}>
        clew takes metrics by OpenTelemetry's protocol and by Prometheus's remote write{state.match && `; none of them fulfils ${state.match}`}.
      </Empty>
    );
  return <Empty title="Pick a metric, or write a query">The list has all that came in this range of time. In the query, Ctrl Space offers what can stand there, Enter asks, Shift Enter begins a line.</Empty>;
}

/* ---- answers ---- */

function StepField({ state, set, step }: { state: MetricsState; set: Set; step: number }) {
  const [wrong, setWrong] = useState(false);
  const take = (t: string): void => {
    const typed = t.trim();
    setWrong(typed !== '' && readStep(typed) === null);
    if (typed !== state.step && (typed === '' || readStep(typed) !== null)) set({ step: typed });
  };
  return <label class="step"><span class="muted">Step</span> <input class="field mono" key={state.step} defaultValue={state.step} placeholder={showStep(step)} aria-label="Step" aria-invalid={wrong} title={wrong ? 'Write 15s, 1m, 1h30m' : 'Between two values; empty: by the width of the chart'} onBlur={(e) => take(e.currentTarget.value)} onKeyDown={(e) => { if (e.key === 'Enter') take(e.currentTarget.value); }} /></label>;
}

function Natives({ d, run }: { d: Drawing; run: (i: number, text: (q: string) => string) => void }) {
  const natives = d.lines.filter((l) => l.native);
  if (!natives.length) return null;
  return (
    <p class="note">
      <span class="grow">{natives.length === d.lines.length ? 'These are' : `${natives.length} of these are`} native histograms; the chart shows their mean.</span>
      <button class="button" onClick={() => run(natives[0].query, (q) => `histogram_quantile(0.95, ${q})`)}>Show the 95 % quantile</button>
    </p>
  );
}

function Answers({ of, answers, state, set, run }: { of: Asked; answers: Map<string, Answered>; state: MetricsState; set: Set; run: (i: number, text: (q: string) => string) => void }) {
  const d = useMemo(() => drawingOf(of, answers), [of, answers]);
  const coloured = useMemo(() => new Map(d.lines.map((l, i) => [l.key, toneOf(i)])), [d]);
  const results = useMemo(() => of.queries.flatMap((_, i) => { const r = dataOf<Result>(answers.get(`${i}`)); return r ? [{ query: i, result: r }] : []; }), [of, answers]);
  if (of.as === 'table') return results.some((r) => rowsOf(r.result) > 0) ? <ValueTable results={results} sort={state.sort} onSort={(sort) => set({ sort })} measure={d.measure} queries={of.queries.length} /> : null;
  if (!d.lines.length) return null;
  return (
    <>
      <figure class="chart"><SeriesChart d={d} state={state} set={set} coloured={coloured} /></figure>
      <Natives d={d} run={run} />
      <ExemplarList d={d} />
      <Legend d={d} state={state} set={set} coloured={coloured} />
    </>
  );
}

/* ---- the screen ---- */

/** Pixels that a chart has, in steps, so that a scroll bar asks nothing anew. */
const widthOf = (browser: boolean): number => Math.floor((Math.min(1680, innerWidth) - (browser && innerWidth > 1100 ? 340 : 40)) / 50) * 50;

export default function Metrics() {
  const [state, set] = useScreen(metrics);
  const narrow = useNarrow();
  const browsing = state.browser === 'open' || (state.browser === 'auto' && !narrow);
  const [turn, setTurn] = useState(0);
  const [rows, setRows] = useState(1);
  const [active, setActive] = useState(0);
  const [touched, setTouched] = useState(false);
  const [drafts, setDrafts] = useState<Record<number, string>>({}); // typed and not asked
  const again = (): void => setTurn((t) => t + 1);
  const names = useNames((browsing && !state.metric) || touched, browsing || touched, state, state.match);
  const { shown, busy, stop, steps } = useAnswers(state, widthOf(browsing), turn);
  const shownRows = Math.min(queriesMost, Math.max(1, state.query.length, rows));

  const put = (i: number, text: string, more: Partial<MetricsState> = {}): void => {
    const typed = text.trim(), next = [...state.query];
    setDrafts({});
    const same = next.findIndex((q, k) => q === typed && k !== i);
    if (same >= 0) return say(`That is query ${letterOf(same)} already`);
    if (typed === '') next.splice(i, 1);
    else next[Math.min(i, next.length)] = typed;
    setRows(next.length);
    if (next.join('\0') === state.query.join('\0') && Object.keys(more).length === 0) return again();
    set({ query: next, ...(next[i] === state.query[i] ? {} : { series: [] }), ...more });
  };
  const focusQuery = (i: number): void => { setActive(i); setTouched(true); };
  const add = (): void => {
    setRows(Math.min(queriesMost, state.query.length + 1));
    requestAnimationFrame(() => document.getElementById(`query-${state.query.length}`)?.focus());
  };
  useKeys({
    f: () => { set({ browser: 'open', metric: '', label: '' }); requestAnimationFrame(() => document.getElementById('find-metric')?.focus()); },
    a: add, v: () => set({ as: state.as === 'chart' ? 'table' : 'chart' }), x: () => set({ exemplars: state.exemplars === 'shown' ? 'hidden' : 'shown' }),
  });
  useEffect(() => setActive((k) => Math.min(k, Math.max(0, shownRows - 1))), [shownRows]);

  const answered = (i: number): Answered | undefined => (shown?.of.queries[i] === state.query[i] ? shown?.answers.get(`${i}`) : undefined);
  const asked = state.query.length > 0, some = shown && [...shown.answers].some(([role, a]) => !role.includes(' ') && rowsOf(dataOf<Result>(a)) > 0);
  const all = shown && [...shown.answers.values()].filter((a) => !a.job.role.includes(' ')), failed = all && all.length > 0 && all.every((a) => a.failure);
  const current = drafts[active] ?? state.query[active] ?? '';
  return (
    <>
      <Progress on={busy} text="Asking" stop={stop} />
      <div class="head">
        <h1>Metrics</h1>
        <button class="button" aria-pressed={browsing} title="The list of metrics (f)" onClick={() => set({ browser: browsing ? 'closed' : 'open' })}>Browse</button>
        <div class="group" role="group" aria-label="Show as"><button class="button" aria-pressed={state.as === 'chart'} title="Chart (v)" onClick={() => set({ as: 'chart' })}>Chart</button><button class="button" aria-pressed={state.as === 'table'} title="Table (v)" onClick={() => set({ as: 'table' })}>Table</button></div>
        <a class="button" href={targetsLink()}>Targets</a>
        <a class="button" href={cardinalityLink()}>Cardinality</a>
        <Saved screen="metrics" query={metrics.write(state).slice(1)} />
        <TimePicker range={state} onChange={set} refresh={again} compare={{ on: state.compare, set: (compare) => set({ compare }) }} />
      </div>
      <div class={browsing ? 'explorer browsing' : 'explorer'}>
        {browsing && <Browser state={state} set={set} names={names} query={current} ask={(q, more) => put(active, q, more)} />}
        <div class="asking">
          <div class="queries">
            {Array.from({ length: shownRows }, (_, i) => <QueryRow key={i} i={i} state={state} set={(s, r) => { setRows(1); set(s, r); }} names={names} answered={answered(i)} run={put} focus={focusQuery} leave={(k, t) => setDrafts((d) => (d[k] === t ? d : { ...d, [k]: t }))} again={again} />)}
            <div class="head">
              {shownRows < queriesMost && <button class="button" title="Another query (a)" onClick={add}>Add query</button>}
              {state.as === 'chart' && asked && <StepField state={state} set={set} step={steps.step} />}
              {state.as === 'chart' && asked && <button class="button" aria-pressed={state.exemplars === 'shown'} title="Traces that were measured (x)" onClick={() => set({ exemplars: state.exemplars === 'shown' ? 'hidden' : 'shown' })}>Exemplars</button>}
            </div>
          </div>
          {asked && !shown && <p class="muted">Asking …</p>}
          {shown && asked && <Answers of={shown.of} answers={shown.answers} state={state} set={set} run={(i, text) => put(i, text(state.query[i] ?? ''))} />}
          {shown && asked && !busy && !some && !failed && shown.answers.size > 0 && <NothingFound state={state} set={set} names={names} />}
          {asked && shown?.answers.size === 0 && !busy && <p class="muted">Every query is left out: ○ beside one asks it again.</p>}
          {!asked && <Welcome names={names} state={state} set={set} />}
        </div>
      </div>
    </>
  );
}
