// All that a record says, and ways on from it.
import type { Resource } from '../lib/api';
import { usePrefs } from '../lib/prefs';
import { correlationLink, correlationsLink, traceLink, tracesLink, type LogsState } from '../lib/screens';
import { absolute, parseMs, showTime } from '../lib/time';
import { condition } from '../lib/where';
import { Acts, CopyButton, Dot, Values } from './chips';
import type { OpenRecord } from './loglist';
import type { Shown } from './logrow';
import { Empty, FailureNote } from './states';

type Set = (s: Partial<LogsState>, replace?: boolean) => void;

/** Where a record came from, as finely as its resource says: what "around" may be narrowed to. */
export function hostOf(resource: Resource | undefined): { key: string; value: string } | null {
  for (const key of ['k8s.pod.name', 'service.instance.id', 'host.name', 'host.id', 'container.id'])
    if (typeof resource?.attributes[key] === 'string') return { key, value: resource.attributes[key] as string };
  return null;
}

function Facts({ r, state, set }: { r: Shown; state: LogsState; set: Set }) {
  const filter = (where: string): void => set({ where: [...state.where.filter((w) => w !== where), where] });
  const range = absolute(parseMs(r.time) - 1800_000, parseMs(r.time) + 1800_000), environment = r.resourceOf?.environment;
  const not = condition('resource.', 'service.name', '!=', r.service)!;
  return (
    <table class="values" aria-label="Facts">
      <tbody>
        <tr><th scope="row">Severity</th><td><span class={`s-${r.severity}`}><span class="sev">{r.severity}</span></span>
          <Acts name="severity" text={r.severity} filter={r.severity === 'unset' ? null : () => set({ severity: r.severity as LogsState['severity'] })} group={() => set({ by: 'severity' })} /></td></tr>
        <tr><th scope="row">Service</th><td><Dot service={r.service} />{r.service}
          <Acts name="service" text={r.service} filter={() => set({ service: r.service })} exclude={() => filter(not)} group={() => set({ by: 'service' })} pivot={{ href: tracesLink({ ...range, service: r.service }), text: 'Traces of this service' }} /></td></tr>
        {environment && <tr><th scope="row">Environment</th><td>{environment}
          <Acts name="environment" text={environment} filter={() => set({ environment })} group={() => set({ by: 'environment' })} /></td></tr>}
        {r.trace_id && <tr><th scope="row">Trace</th><td>{r.trace_id}
          <Acts name="trace" text={r.trace_id} filter={() => set({ trace_id: r.trace_id!, span_id: '' })} pivot={{ href: traceLink(r.trace_id), text: 'Open the trace' }} /></td></tr>}
        {r.correlation_id && <tr><th scope="row">Correlation</th><td><a href={correlationLink(r.correlation_id, r.correlation_id_encoded)}>{r.correlation_id}</a>
          <Acts name="correlation" text={r.correlation_id} filter={() => filter(condition('', 'correlation_id', '=', r.correlation_id)!)} pivot={{ href: correlationLink(r.correlation_id, r.correlation_id_encoded), text: 'All of this id' }} /></td></tr>}
        {r.trace_id && r.span_id && <tr><th scope="row">Span</th><td>{r.span_id}
          <Acts name="span" text={r.span_id} filter={() => set({ trace_id: r.trace_id!, span_id: r.span_id! })} pivot={{ href: traceLink(r.trace_id, { span: r.span_id }), text: 'Open the span' }} /></td></tr>}
      </tbody>
    </table>
  );
}

function Whole({ r, state, set, columns }: { r: Shown; state: LogsState; set: Set; columns: (c: string[]) => void }) {
  const filter = (where: string): void => set({ where: [...state.where.filter((w) => w !== where), where] });
  const at = parseMs(r.time), text = typeof r.body === 'string' ? r.body : JSON.stringify(r.body, null, 2), range = absolute(at - 1800_000, at + 1800_000);
  const more = {
    onFilter: filter, onGroup: (by: string) => set({ by, live: false }), pivot: { text: 'Traces with this', link: (where: string) => tracesLink({ ...range, where: [where] }) },
    all: (attribute: string, id: string) => correlationsLink({ ...range, attribute, id }),
    onColumn: (key: string) => columns([...state.column.filter((c) => c !== key && c !== 'body'), key, ...(state.column.includes('body') ? ['body'] : [])].slice(-16)),
  };
  return (
    <>
      <section aria-label="Body"><pre class="body">{text}</pre></section>
      <section aria-label="Ways on" style={{ display: 'flex', flexWrap: 'wrap', gap: '8px' }}>
        {r.trace_id && <a class="button" href={traceLink(r.trace_id, { span: r.span_id ?? '' })}>Open its trace</a>}
        {(r.correlation_id ?? r.trace_id) && <a class="button" href={correlationLink((r.correlation_id ?? r.trace_id)!, r.correlation_id_encoded)}>Its correlation</a>}
        {r.trace_id && <button class="button" onClick={() => set({ trace_id: r.trace_id!, span_id: '' })}>Records of the trace</button>}
        {state.around !== r.id && <button class="button" title="What came before and after it, whatever the conditions" onClick={() => set({ around: r.id, record: matchMedia('(max-width: 1100px)').matches ? '' : r.id })}>In context</button>}
      </section>
      <section><Facts r={r} state={state} set={set} /></section>
      <section><h3>Attributes <span class="muted">{Object.keys(r.attributes).length}</span></h3><Values of={r.attributes} prefix="" label="Attributes" {...more} /></section>
      {r.resourceOf && <section><h3>Resource</h3><Values of={r.resourceOf.attributes} prefix="resource." label="Resource" {...more} /></section>}
      {r.scopeOf?.name && <section><h3>Scope</h3><p class="mono">{r.scopeOf.name} {r.scopeOf.version}</p></section>}
    </>
  );
}

export function LogDetail({ open, state, set, columns }: { open: OpenRecord; state: LogsState; set: Set; columns: (c: string[]) => void }) {
  const { zone } = usePrefs();
  const r = open.record, { failure, data, busy } = open.asked;
  return (
    <aside class="detail" aria-label="Record" tabIndex={0}>
      <header>
        <h2 class="grow">{r ? <><span class={`s-${r.severity}`}><span class="sev">{r.severity_text || r.severity}</span></span> <span class="muted">{showTime(parseMs(r.time), zone, true)}</span></> : 'Record'}</h2>
        {r && <CopyButton big what="the body" text={typeof r.body === 'string' ? r.body : JSON.stringify(r.body)} />}
        <button class="button quiet icon" aria-label="Close" title="Close (Esc)" onClick={() => set({ record: '' }, true)}>×</button>
      </header>
      {r && <Whole r={r} state={state} set={set} columns={columns} />}
      {!r && failure && <FailureNote failure={failure} again={open.asked.again} />}
      {!r && !failure && (busy || !data ? <p class="muted" style={{ padding: '12px' }}>Looking for it …</p>
        : <Empty title="This record is not there">It was deleted, or is older than what is kept.</Empty>)}
    </aside>
  );
}
