// Searching traces: conditions, dots by time and duration, and the table, page after page.
import { useMemo, useState } from 'preact/hooks';
import { useQuestion, withParams, type Failure, type Operations, type TraceSummary, type Traces as Answer } from '../lib/api';
import { duration, grouped, plural, readDuration } from '../lib/format';
import { useKeys } from '../lib/keys';
import { go, useScreen } from '../lib/nav';
import { usePages } from '../lib/pages';
import { usePrefs } from '../lib/prefs';
import { compareLink, correlationLink, traceLink, traces, type TracesState } from '../lib/screens';
import { complaint } from '../lib/where';
import { absolute, parseMs, rangeMs, showClock } from '../lib/time';
import { traceFields } from '../lib/fields';
import { Dot, Who } from '../ui/chips';
import { ChoiceField, environmentChoices, TextField, useNames } from '../ui/filters';
import { PredicateBar } from '../ui/predicate';
import { Saved } from '../ui/saved';
import { SpanOverview } from '../ui/overview';
import { ScatterPlot } from '../ui/scatter';
import { Empty, FailureNote, PartialNote, Progress, useRefused } from '../ui/states';
import { TimePicker } from '../ui/time';

const pageSize = 50;
const asked = ({ compare: _compare, by: _by, mark: _mark, ...s }: TracesState) => ({ ...s, limit: pageSize });

function Filters({ state, set, failure }: { state: TracesState; set: (s: Partial<TracesState>) => void; failure: Failure | null }) {
  const names = useNames();
  const operations = useQuestion<Operations>(state.service ? `/api/v1/services/${encodeURIComponent(state.service)}/operations` : null, { start: 'now-24h', limit: 200, rollups: true });
  const unique = [...new Set((operations.data?.operations ?? []).map((o) => o.operation))];
  return (
    <>
      <div class="filters">
        <TextField search name="Service" value={state.service} options={names.services} placeholder="Any" onChange={(service) => set({ service, operation: '' })} />
        <TextField name="Operation" value={state.operation} options={unique} placeholder={state.service ? 'Any' : 'Any; pick a service first'} onChange={(operation) => set({ operation })} />
        <ChoiceField name="Environment" value={state.environment} of={environmentChoices(names.environments, state.environment)} onChange={(environment) => set({ environment })} />
        <ChoiceField name="Status" value={state.status} of={[['', 'Any'], ['error', 'Error'], ['ok', 'OK'], ['unset', 'Unset']]} onChange={(status) => set({ status })} />
        <TextField name="At least" value={state.min_duration} placeholder="250ms" check={readDuration} onChange={(min_duration) => set({ min_duration })} />
        <TextField name="At most" value={state.max_duration} placeholder="1h30m" check={readDuration} onChange={(max_duration) => set({ max_duration })} />
        <TextField name="Words" value={state.text} placeholder="card expired" onChange={(text) => set({ text })} />
      </div>
      <PredicateBar where={state.where} text={state.text} fields={traceFields} scope={{ ...state, signal: 'spans' }} failure={failure} onChange={set} />
    </>
  );
}

function Row({ t, at, longest, mark, set }: { t: TraceSummary; at: boolean; longest: number; mark: string; set: (s: Partial<TracesState>, replace?: boolean) => void }) {
  const { zone } = usePrefs();
  return (
    <tr class={at ? 'at' : ''} id={at ? 'row-at' : undefined}>
      <td class="num muted hide-small" style={{ textAlign: 'left' }}>{showClock(parseMs(t.start), zone, Date.now())}</td>
      <td style={{ overflowWrap: 'anywhere' }}>
        <Dot service={t.root.service} /><span class="muted">{t.root.service}</span> <a class="strong" href={traceLink(t.trace_id)}>{t.root.operation}</a>
        {t.correlation_id && <a class="idof mono hide-small" href={correlationLink(t.correlation_id, t.correlation_id_encoded)} title="All of this id">{t.correlation_id}</a>}
        {t.root.missing && <span class="tag warn" title="The span shown as root has a parent that never came">root missing</span>}
      </td>
      <td class="num">{duration(t.duration_ns)}</td>
      <td class="hide-small"><span class="bars" aria-hidden="true"><i style={{ display: 'block', height: '100%', width: `${Math.max(2, (t.duration_ns / longest) * 100)}%`, background: `var(--${t.error_count ? 'error' : 'accent'})` }} /></span></td>
      <td class="num hide-small">{grouped(t.span_count)}</td>
      <td class="num">{t.error_count > 0 ? <span class="tag error">{plural(t.error_count, 'error')}</span> : <span class="muted">–</span>}</td>
      <td class="hide-small"><span class="services">{t.services.slice(0, 5).map((s) => <span key={s.name} title={`${s.name}: ${plural(s.span_count, 'span')}`}><Who service={s.name} /></span>)}{t.services.length > 5 && <span class="muted">+{t.services.length - 5}</span>}</span></td>
      <td class="num hide-small">
        {mark && mark !== t.trace_id ? <a href={compareLink({ a: mark, b: t.trace_id })}>With this</a>
          : <button class="link" aria-pressed={mark === t.trace_id} title="Compare with another (x)" onClick={() => set({ mark: mark ? '' : t.trace_id }, true)}>{mark ? 'Not this' : 'Compare'}</button>}
      </td>
    </tr>
  );
}

function Found({ list, state, set }: { list: TraceSummary[]; state: TracesState; set: (s: Partial<TracesState>, replace?: boolean) => void }) {
  const [at, setAt] = useState(-1);
  const longest = Math.max(1, ...list.map((t) => t.duration_ns));
  const [from, to] = useMemo(() => {
    const [a, b] = rangeMs(state, Date.now());
    return [a, Math.max(b, ...list.map((t) => parseMs(t.start)))];
  }, [list]);
  const move = (step: number): void => {
    setAt(Math.max(0, Math.min(list.length - 1, at + step)));
    requestAnimationFrame(() => document.getElementById('row-at')?.scrollIntoView({ block: 'nearest' }));
  };
  const mark = (): void => { // the first press says which, the second with which
    const id = list[at]?.trace_id;
    if (!id) return;
    if (!state.mark || state.mark === id) set({ mark: state.mark ? '' : id }, true);
    else go(compareLink({ a: state.mark, b: id }));
  };
  useKeys({ j: () => move(1), k: () => move(-1), arrowdown: () => move(1), arrowup: () => move(-1), enter: () => list[at] && go(traceLink(list[at].trace_id)), x: mark, escape: () => state.mark && set({ mark: '' }, true) });
  const pick = (p: { from: number; to: number; min: number; max: number }): void =>
    set({ ...absolute(p.from, p.to), min_duration: `${Math.floor(p.min)}ns`, max_duration: `${Math.ceil(p.max)}ns` });
  return (
    <>
      {state.mark && (
        <div class="note" role="status">
          <span class="grow">Which one is <a class="mono" href={traceLink(state.mark)}>{state.mark.slice(0, 8)}…</a> to be compared with? Choose it below, or <a href={compareLink({ a: state.mark })}>one that is like it</a>.</span>
          <button class="button" onClick={() => set({ mark: '' }, true)}>Cancel</button>
        </div>
      )}
      <ScatterPlot traces={list} from={from} to={to} onPick={pick} />
      <div class="scroll">
        <table class="table">
          <thead><tr><th scope="col" class="hide-small">Start</th><th scope="col">Trace</th><th scope="col" class="num">Duration</th><th scope="col" class="hide-small"><span class="sr">Compared</span></th><th scope="col" class="num hide-small">Spans</th><th scope="col" class="num">Errors</th><th scope="col" class="hide-small">Services</th><th scope="col" class="hide-small"><span class="sr">Compare</span></th></tr></thead>
          <tbody>{list.map((t, i) => <Row key={t.trace_id} t={t} at={i === at} longest={longest} mark={state.mark} set={set} />)}</tbody>
        </table>
      </div>
    </>
  );
}

function NoneFound({ state, set }: { state: TracesState; set: (s: Partial<TracesState>) => void }) {
  const cleared: Partial<TracesState> = { service: '', environment: '', operation: '', status: '', min_duration: '', max_duration: '', text: '', where: [] };
  const filtered = (Object.keys(cleared) as (keyof TracesState)[]).some((k) => (state[k] as string | string[]).length > 0);
  const anything = useQuestion<Answer>('/api/v1/traces', { start: state.start, end: state.end, limit: 1 });
  const inRange = (anything.data?.traces.length ?? 0) > 0, refused = useRefused('traces', !filtered);
  if (filtered && inRange)
    return <Empty title="No trace fulfils these conditions" actions={<button class="button main" onClick={() => set(cleared)}>Remove all conditions</button>}>There are traces in this range of time, but one and the same span must fulfil all conditions.</Empty>;
  return (
    <Empty title="No traces in this range of time" actions={<><button class="button main" onClick={() => set({ start: 'now-7d', end: '' })}>Look at the last 7 days</button><a class="button" href="/start">Send some</a></>}>
      Nothing was sent in it{filtered ? ', with these conditions or without' : ''}, or it is older than what is kept.{refused && <> Refused since clew started: {refused}.</>}
    </Empty>
  );
}

export default function Traces() {
  const [state, set] = useScreen(traces);
  const { first, pages, cursor, load, busy, failure } = usePages<Answer>('/api/v1/traces', asked(state)), list = pages.flatMap((p) => p.traces);
  const order = (o: TracesState['order'], name: string) => <button class="button" aria-pressed={state.order === o} onClick={() => set({ order: o })}>{name}</button>;
  return (
    <>
      <Progress on={first.busy} text="Searching traces" stop={first.stop} />
      <div class="head">
        <h1>Traces {list.length > 0 && <span class="muted">· {list.length}{cursor ? ' and more' : ''}</span>}</h1>
        <div class="group" role="group" aria-label="Order">{order('newest', 'Newest')}{order('longest', 'Longest')}</div>
        <Saved screen="traces" query={traces.write({ ...state, mark: '' }).slice(1)} />
        <button class="button" aria-pressed={state.by !== ''} title="Count spans by a field or an attribute" onClick={() => set({ by: state.by ? '' : 'service' })}>Group</button>
        <TimePicker range={state} onChange={set} refresh={first.again} compare={{ on: state.compare, set: (compare) => set({ compare }) }} />
      </div>
      <Filters state={state} set={set} failure={first.failure} />
      {first.failure && !complaint(first.failure.message, state.where) && <FailureNote failure={first.failure} again={first.again} />}
      <PartialNote of={first.data} />
      {!first.data && !first.failure && <p class="muted">Searching …</p>}
      {first.data && list.length === 0 && !first.busy && <NoneFound state={state} set={set} />}
      {list.length > 0 && (state.compare || state.by) && <SpanOverview state={state} set={set} />}
      {list.length > 0 && <Found list={list} state={state} set={set} key={withParams('', asked(state))} />}
      {failure && <FailureNote failure={failure} again={load} />}
      {list.length > 0 && (
        <div class="more">
          {cursor ? <button class="button" disabled={busy} onClick={load}>{busy ? 'Loading …' : `Load ${pageSize} more`}</button> : <span class="muted">That is all of them.</span>}
        </div>
      )}
    </>
  );
}
