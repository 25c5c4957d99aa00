// One request: what it was, and what happened in it as a timeline, as traces, as log records and as a path; and what its services' metrics did meanwhile.
import { useQuestion } from '../../lib/api';
import { farthest, paramsOf, pathOf, shownId, type One } from '../../lib/correlation';
import { duration, plural } from '../../lib/format';
import { useKeys } from '../../lib/keys';
import { cameFrom, useTitle } from '../../lib/nav';
import { usePrefs } from '../../lib/prefs';
import { correlations, correlationsLink, logsLink, paths, serviceLink, traceLink, tracesLink, type CorrelationsState, type Range } from '../../lib/screens';
import { absolute, parseMs, showTime } from '../../lib/time';
import { writeKey, writeValue } from '../../lib/where';
import { CopyButton, Who } from '../chips';
import { Empty, FailureNote, PartialNote, Progress } from '../states';
import { TimePicker } from '../time';
import { FlowTab } from './flow';
import { LogsTab } from './logs';
import { MeanwhileStrip } from './meanwhile';
import { TimelineTab } from './timeline';
import { TracesTab } from './traces';

type Set_ = (s: Partial<CorrelationsState>, replace?: boolean) => void;
const tabs: [CorrelationsState['tab'], string][] = [['timeline', 'Timeline'], ['traces', 'Traces'], ['logs', 'Logs'], ['flow', 'Flow']];

/** Half an hour before and after. */
const around = (c: One): Range => absolute(parseMs(c.first_seen) - 1_800_000, parseMs(c.last_seen) + 1_800_000);
/** The list as it was left, else that of the same range. */
function backLink(s: CorrelationsState): string {
  const from = cameFrom(), list = from.startsWith(`${paths.correlations}?`) || from === paths.correlations ? correlations.read(from.slice(paths.correlations.length)) : null;
  return correlationsLink(list && !list.id ? list : { start: s.start, end: s.end, environment: s.environment, attribute: s.attribute });
}

function Header({ c, state, set, again }: { c: One | null; state: CorrelationsState; set: Set_; again: () => void }) {
  const { zone } = usePrefs();
  const range = c ? absolute(parseMs(c.first_seen) - 60_000, parseMs(c.last_seen) + 60_000) : { start: state.start, end: state.end };
  const where = [`${state.attribute || writeKey('', 'correlation_id')}=${writeValue(state.id)}`];
  return (
    <>
      <div class="head">
        <a class="button" href={backLink(state)} title="All correlations">‹ All</a>
        <h1><span class="muted">{state.attribute || 'Correlation'}</span> <span class="mono oneid">{shownId(state.id)}</span> <CopyButton big what="the id" text={state.id} /></h1>
        <a class="button" title="Traces with a row that came with this id" href={tracesLink({ ...range, where })}>Search traces</a>
        <a class="button" title="Log records that came with this id" href={logsLink({ ...range, where })}>Search logs</a>
        {state.attribute && <TimePicker range={state} onChange={set} refresh={again} />}
      </div>
      {c && (
        <div class="facts">
          <span><b>{duration(c.duration_ns)}</b></span>
          <span><b>{plural(c.span_count, 'span')}</b></span><span><b>{plural(c.log_count, 'log record')}</b></span><span>{plural(c.trace_count, 'trace')}</span>
          {c.error_count > 0 ? <span class="tag error">{plural(c.error_count, 'error')}</span> : <span>no errors</span>}
          <span>{showTime(parseMs(c.first_seen), zone, true)}</span>
          {c.root_service && <span>begins with {c.root_trace_id ? <a href={traceLink(c.root_trace_id)}>{c.root_service} {c.root_operation}</a> : `${c.root_service} ${c.root_operation}`}</span>}
          <ul class="services" aria-label="Services">{c.services.slice(0, 12).map((s) => <li key={s}><Who service={s} href={serviceLink({ ...around(c), service: s, environment: state.environment })} /></li>)}{c.service_count > 12 && <li class="muted">and {c.service_count - 12} more</li>}</ul>
        </div>
      )}
    </>
  );
}

/** Whose clock is ahead or behind, and by how much; times can be seen as they came. */
function ClocksNote({ c, state, set }: { c: One; state: CorrelationsState; set: Set_ }) {
  const all = farthest(c.clocks), more = all.length - 8;
  if (all.length === 0) return null;
  const drawn = state.tab === 'timeline' || state.tab === 'traces';
  return (
    <div class="note warn" role="status">
      Clocks are apart: {all.slice(0, 8).map((k) => `the clock of ${k.service} is ${duration(Math.abs(k.ahead_ns))} ${k.ahead_ns > 0 ? 'ahead' : 'behind'} (${plural(k.call_count, 'call')})`).join(', ')}{more > 0 && ` and ${more} more`}; a call must lie within its caller. {state.tab === 'logs' ? 'Records are shown with the times that were stored.' : state.stored && drawn ? 'These are the times as they were stored.' : 'Corrected here.'}{' '}
      {drawn && <button class="button" aria-pressed={state.stored} onClick={() => set({ stored: !state.stored, view: '' }, true)}>Stored times</button>}
    </div>
  );
}

function Tabs({ state, set, c }: { state: CorrelationsState; set: Set_; c: One }) {
  const counts: Partial<Record<CorrelationsState['tab'], number>> = { traces: c.trace_count, logs: c.log_count };
  const show = (tab: CorrelationsState['tab']): void => set({ tab, row: '' }, true);
  const at = tabs.findIndex(([t]) => t === state.tab);
  const turn = (e: KeyboardEvent): void => {
    const step = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0;
    if (!step) return;
    e.preventDefault();
    const to = tabs[(at + step + tabs.length) % tabs.length][0];
    show(to);
    document.getElementById(`tab-${to}`)?.focus();
  };
  useKeys({ v: () => show(tabs[(at + 1) % tabs.length][0]), 1: () => show('timeline'), 2: () => show('traces'), 3: () => show('logs'), 4: () => show('flow') });
  return (
    <div class="tabs" role="tablist" aria-label="What happened" onKeyDown={turn}>
      {tabs.map(([t, name], i) => <button key={t} id={`tab-${t}`} role="tab" aria-selected={i === at} aria-controls="tab-panel" tabIndex={i === at ? 0 : -1} title={`${name} (${i + 1})`} onClick={() => show(t)}>{name}{counts[t] !== undefined && <span class="muted"> {counts[t]}</span>}</button>)}
    </div>
  );
}

function NotThere({ state, set, again }: { state: CorrelationsState; set: Set_; again: () => void }) {
  return (
    <Empty title="Nothing has this id" actions={<><button class="button main" onClick={again}>Look again</button>{state.attribute ? <button class="button" onClick={() => set({ start: 'now-7d', end: '' })}>In the last 7 days</button> : <a class="button" href={correlationsLink({ start: 'now-24h', search: state.id })}>Search for it</a>}<a class="button" href={backLink(state)}>All correlations</a></>}>
      {state.attribute ? `No span or log record of this range has ${state.attribute} = ${shownId(state.id)}.` : 'It was never sent here, not yet, or is older than what is kept. Ids are compared letter by letter.'}{state.id.includes('\ufffd') && !state.encoded && ' This one has bytes that are no text: open it from a list, whose links keep them.'}
    </Empty>
  );
}

export function OneCorrelation({ state, set }: { state: CorrelationsState; set: Set_ }) {
  const asked = useQuestion<One>(pathOf(state), paramsOf(state)), c = asked.data;
  useTitle(shownId(state.id));
  useKeys({ u: () => history.back() });
  return (
    <>
      <Progress on={asked.busy} text="Loading the correlation" stop={asked.stop} />
      <Header c={c} state={state} set={set} again={asked.again} />
      {asked.failure && (asked.failure.status === 404 ? <NotThere state={state} set={set} again={asked.again} /> : <FailureNote failure={asked.failure} again={asked.again} />)}
      <PartialNote of={c} />
      {!c && !asked.failure && <p class="muted">Loading …</p>}
      {c && (
        <>
          <ClocksNote c={c} state={state} set={set} />
          <Tabs state={state} set={set} c={c} />
          <div class="stack" role="tabpanel" id="tab-panel" aria-labelledby={`tab-${state.tab}`}>
            {state.tab === 'timeline' && <TimelineTab state={state} set={set} />}
            {state.tab === 'traces' && <TracesTab state={state} />}
            {state.tab === 'logs' && <LogsTab state={state} set={set} />}
            {state.tab === 'flow' && <FlowTab state={state} set={set} start={c.first_seen} range={around(c)} />}
          </div>
          <MeanwhileStrip state={state} first={c.first_seen} last={c.last_seen} />
        </>
      )}
    </>
  );
}
