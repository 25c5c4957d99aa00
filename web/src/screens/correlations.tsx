// Requests by their ids: those of a range of time, and one of them across traces and logs.
import { useState } from 'preact/hooks';
import { shownId, type Correlation, type Correlations } from '../lib/correlation';
import { duration, grouped, plural } from '../lib/format';
import { useKeys } from '../lib/keys';
import { go, useScreen } from '../lib/nav';
import { usePages } from '../lib/pages';
import { usePrefs } from '../lib/prefs';
import { correlations, correlationsLink, propagationLink, type CorrelationsState } from '../lib/screens';
import { parseMs, showClock, showTime } from '../lib/time';
import { Who } from '../ui/chips';
import { OneCorrelation } from '../ui/correlation/one';
import { ChoiceField, environmentChoices, TextField, useAttributeKeys, useNames } from '../ui/filters';
import { Empty, FailureNote, PartialNote, Progress } from '../ui/states';
import { TimePicker } from '../ui/time';

type Set_ = (s: Partial<CorrelationsState>, replace?: boolean) => void;
const pageSize = 100;

/** An opened id leaves the list's own fields behind, and keeps what asks for it. */
const linkOf = (s: CorrelationsState, id: string, encoded = ''): string => correlationsLink({ start: s.start, end: s.end, environment: s.environment, attribute: s.attribute, id, encoded });

/* ---- the list ---- */

function AttributeField({ state, set }: { state: CorrelationsState; set: Set_ }) {
  const [on, setOn] = useState(false);
  const spans = useAttributeKeys({ signal: 'spans', start: state.start, end: state.end }, on), logs = useAttributeKeys({ signal: 'logs', start: state.start, end: state.end }, on);
  return (
    <div onFocusIn={() => setOn(true)}>
      <TextField name="Id is the attribute" value={state.attribute} options={[...new Set([...spans, ...logs])].sort()} placeholder="correlation id" onChange={(attribute) => set({ attribute, derived: false })} />
    </div>
  );
}

function Filters({ state, set }: { state: CorrelationsState; set: Set_ }) {
  const names = useNames();
  return (
    <div class="filters">
      <TextField search name="Id" value={state.search} placeholder="All or some of it" onChange={(search) => set({ search })} />
      <AttributeField state={state} set={set} />
      <TextField name="Service" value={state.service} options={names.services} placeholder="Any" onChange={(service) => set({ service })} />
      <ChoiceField name="Environment" value={state.environment} of={environmentChoices(names.environments, state.environment)} onChange={(environment) => set({ environment })} />
      <div class="row">
        <button class="button" aria-pressed={state.errors} title="Only those with errors (e)" onClick={() => set({ errors: !state.errors })}>With errors</button>
        {!state.attribute && <button class="button" aria-pressed={state.derived} title="Also traces that came without any id, by one made of the trace id" onClick={() => set({ derived: !state.derived })}>Also without id</button>}
      </div>
    </div>
  );
}

function Row({ c, state, at }: { c: Correlation; state: CorrelationsState; at: boolean }) {
  const { zone } = usePrefs();
  return (
    <tr class={at ? 'at' : ''} id={at ? 'row-at' : undefined}>
      <td class="num muted" style={{ textAlign: 'left' }} title={showTime(parseMs(c.first_seen), zone, true)}>{showClock(parseMs(c.first_seen), zone, Date.now()).replace(/\.\d+$/, '')}</td>
      <td class="idcell"><a class="strong mono" href={linkOf(state, c.correlation_id, c.correlation_id_encoded)}>{shownId(c.correlation_id)}</a></td>
      <td class="hide-small" style={{ overflowWrap: 'anywhere' }}>{c.root_service && <span class="muted"><Who service={c.root_service} /></span>} {c.root_operation}</td>
      <td class="num">{duration(c.duration_ns)}{c.clock_skew && <span class="tag warn" title="Clocks of its services may be apart: times are as they were stored. Open it to see right ones">clocks</span>}</td>
      <td class="num hide-small">{grouped(c.span_count)}</td>
      <td class="num hide-small">{grouped(c.log_count)}</td>
      <td class="num hide-small">{grouped(c.trace_count)}</td>
      <td class="num">{c.error_count > 0 ? <span class="tag error">{plural(c.error_count, 'error')}</span> : <span class="muted">–</span>}</td>
      <td class="hide-small"><span class="services">{c.services.slice(0, 4).map((s) => <Who key={s} service={s} />)}{c.service_count > 4 && <span class="muted">+{c.service_count - 4}</span>}</span></td>
    </tr>
  );
}

function Found({ list, state }: { list: Correlation[]; state: CorrelationsState }) {
  const [at, setAt] = useState(-1);
  const move = (by: number): void => {
    setAt(Math.max(0, Math.min(list.length - 1, at + by)));
    requestAnimationFrame(() => document.getElementById('row-at')?.scrollIntoView({ block: 'nearest' }));
  };
  useKeys({ j: () => move(1), k: () => move(-1), arrowdown: () => move(1), arrowup: () => move(-1), enter: () => list[at] && go(linkOf(state, list[at].correlation_id, list[at].correlation_id_encoded)) });
  return (
    <div class="scroll">
      <table class="table">
        <thead><tr><th scope="col">First seen</th><th scope="col">{state.attribute || 'Id'}</th><th scope="col" class="hide-small">Begins with</th><th scope="col" class="num">Duration</th><th scope="col" class="num hide-small">Spans</th><th scope="col" class="num hide-small">Logs</th><th scope="col" class="num hide-small">Traces</th><th scope="col" class="num">Errors</th><th scope="col" class="hide-small">Services</th></tr></thead>
        <tbody>{list.map((c, i) => <Row key={c.correlation_id_encoded ?? c.correlation_id} c={c} state={state} at={i === at} />)}</tbody>
      </table>
    </div>
  );
}

function NoneFound({ state, set }: { state: CorrelationsState; set: Set_ }) {
  const filtered = state.search !== '' || state.service !== '' || state.environment !== '' || state.errors;
  const look = <button class="button" onClick={() => set({ start: 'now-7d', end: '' })}>Look at the last 7 days</button>;
  if (filtered)
    return (
      <Empty title="No id like that in this range of time" actions={<><button class="button main" onClick={() => set({ search: '', service: '', environment: '', errors: false })}>Remove all filters</button>{state.search && <a class="button" href={linkOf(state, state.search)}>Open it as an id</a>}{look}</>}>
        A row has the id that it came with, that of a span above it, or that of its trace.
      </Empty>
    );
  return (
    <Empty title={state.attribute ? `Nothing has the attribute ${state.attribute} in this range` : 'No correlation ids in this range of time'}
      actions={<>{state.attribute ? <button class="button main" onClick={() => set({ attribute: '' })}>The correlation id</button> : <button class="button main" onClick={() => set({ derived: true })}>Show traces without one, too</button>}{look}<a class="button" href={propagationLink()}>Who drops the context?</a></>}>
      {state.attribute ? 'Attributes are written as in conditions: order.id, resource.host.name.' : <>An id is taken from the attribute <code>correlation_id</code>, from headers such as <code>x-correlation-id</code> and <code>x-request-id</code>, from baggage, and from JSON log bodies. Any other attribute can be the id, too: name it above.</>}
    </Empty>
  );
}

function List({ state, set }: { state: CorrelationsState; set: Set_ }) {
  const { first: asked, pages, cursor, load, busy, failure } = usePages<Correlations>('/api/v1/correlations', {
    start: state.start, end: state.end, environment: state.environment, service: state.service, search: state.search, attribute: state.attribute, errors: state.errors || undefined, derived: state.derived || undefined, limit: pageSize,
  });
  const list = pages.flatMap((p) => p.correlations), found = asked.data?.correlation_count ?? 0;
  useKeys({ e: () => set({ errors: !state.errors }) });
  return (
    <>
      <Progress on={asked.busy} text="Gathering ids" stop={asked.stop} />
      <div class="head">
        <h1>Correlations {asked.data && <span class="muted">· {grouped(found)}{asked.data.partial ? ' and more' : ''}</span>}</h1>
        <a class="button" href={propagationLink({ environment: state.environment })}>Health</a>
        <TimePicker range={state} onChange={set} refresh={asked.again} />
      </div>
      <Filters state={state} set={set} />
      {asked.failure && <FailureNote failure={asked.failure} again={asked.again} />}
      <PartialNote of={asked.data} />
      {!asked.data && !asked.failure && <p class="muted">Gathering ids …</p>}
      {asked.data && list.length === 0 && !asked.busy && <NoneFound state={state} set={set} />}
      {list.length > 0 && <Found list={list} state={state} key={correlations.write(state)} />}
      {failure && <FailureNote failure={failure} again={load} />}
      {list.length > 0 && <div class="more">{cursor ? <button class="button" disabled={busy} onClick={load}>{busy ? 'Loading …' : `Load ${pageSize} more`}</button> : <span class="muted">That is all of them.</span>}</div>}
    </>
  );
}

export default function CorrelationsScreen() {
  const [state, set] = useScreen(correlations);
  return state.id ? <OneCorrelation state={state} set={set} key={`${state.attribute} ${state.id} ${state.encoded}`} /> : <List state={state} set={set} />;
}
