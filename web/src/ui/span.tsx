// All that a span says, with its logs, and ways on from it. What the columns of its trace know is there at once, the rest is asked for.
import { lineOf } from '../hot/logs';
import { idOf, nameOf, serviceOf, storedStart } from '../hot/waterfall';
import { useQuestion, type Logs, type SpanDetails } from '../lib/api';
import { duration, percent, plural } from '../lib/format';
import { go } from '../lib/nav';
import { usePrefs } from '../lib/prefs';
import { correlationLink, correlationsLink, logsLink, serviceLink, serviceMetricsLink, traceLink, tracesLink, type Range } from '../lib/screens';
import { absolute, parseInstant, parseMs, showTime, sinceNs } from '../lib/time';
import type { Trace } from '../lib/trace';
import { Acts, CopyButton, Dot, Values } from './chips';
import { Answer, PartialNote } from './states';

type Span = SpanDetails['spans'][0];
const kinds = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];

/** Where each attribute leads: groups by it, logs with it. */
type More = Pick<Parameters<typeof Values>[0], 'onGroup' | 'pivot' | 'all'>;

function Facts({ t, i, s, range }: { t: Trace; i: number; s: Span | null; range: Range }) {
  const { zone } = usePrefs();
  const { w } = t, service = serviceOf(w, i);
  return (
    <section aria-label="Facts">
      <dl class="pairs">
        <dt>Service</dt><dd><Dot service={service} />{service} <Acts name="service" text={service} filter={() => go(tracesLink({ ...range, service }))} group={() => go(tracesLink({ ...range, by: 'service' }))} pivot={{ href: logsLink({ ...range, service }), text: 'Logs of this service' }} /></dd>
        <dt>Duration</dt><dd>{duration(w.duration[i])} <span class="muted">{w.total > 0 && `${percent(w.duration[i] / w.total)} of the trace`}</span></dd>
        <dt>Own time</dt><dd>{duration(w.self[i])}</dd>
        <dt>Start</dt><dd>+{duration(w.start[i])} <span class="muted">{showTime(parseMs(t.start) + (w.base + w.start[i]) / 1e6, zone, true)}</span></dd>
        {w.skew && w.skew[i] !== 0 && <><dt>Clock</dt><dd>{duration(Math.abs(w.skew[i]))} {w.skew[i] > 0 ? 'ahead' : 'behind'} <span class="muted">stored {showTime(parseMs(t.start) + storedStart(w, i) / 1e6, zone, true)}</span></dd></>}
        <dt>Kind</dt><dd>{kinds[w.kind[i]] ?? w.kind[i]}</dd>
        <dt>Status</dt><dd>{w.error[i] ? <span class="tag error">error</span> : (s?.status.code ?? 'no error')} {s?.status.message}</dd>
        <dt>Id</dt><dd class="mono">{idOf(w, i)} <CopyButton what="the span's id" text={idOf(w, i)} /></dd>
        {s?.correlation_id && <><dt>Correlation</dt><dd class="mono"><a href={correlationLink(s.correlation_id, s.correlation_id_encoded)}>{s.correlation_id}</a> <CopyButton what="the correlation id" text={s.correlation_id} /></dd></>}
        {w.missing[i] === 1 && <><dt>Parent</dt><dd><span class="tag warn">never came</span> <span class="mono">{s?.parent_span_id}</span></dd></>}
      </dl>
    </section>
  );
}

const Dropped = ({ n, what }: { n: number | undefined; what: string }) => (n ? <p class="muted">{plural(n, what)} dropped by the sender.</p> : null);

function Events({ s, filter }: { s: Span; filter: (w: string) => void }) {
  if (s.events.length === 0 && !s.dropped_events) return null;
  const start = parseInstant(s.start);
  return (
    <section>
      <h3>Events <span class="muted">{s.events.length}</span></h3>
      <ul class="events">
        {s.events.map((e, k) => (
          <li key={k}>
            <div><span class="muted">+{duration(sinceNs(start, parseInstant(e.time)))}</span> <b class={e.name === 'exception' ? 'bad' : ''}>{e.name}</b></div>
            {typeof e.attributes['exception.stacktrace'] === 'string' && <pre class="body">{e.attributes['exception.stacktrace']}</pre>}
            <Values of={Object.fromEntries(Object.entries(e.attributes).filter(([n]) => n !== 'exception.stacktrace'))} prefix="event." label={`Attributes of ${e.name}`} onFilter={filter} />
          </li>
        ))}
      </ul>
      <Dropped n={s.dropped_events} what="event" />
    </section>
  );
}

function Links({ s }: { s: Span }) {
  if (s.links.length === 0 && !s.dropped_links) return null;
  return (
    <section>
      <h3>Links <span class="muted">{s.links.length}</span></h3>
      <ul>{s.links.map((l, k) => <li key={k}>{l.trace_id ? <a class="mono" href={traceLink(l.trace_id, { span: l.span_id ?? '' })}>{l.trace_id} {l.span_id}</a> : <span class="muted">to no trace</span>}<Values of={l.attributes} prefix="" label="Attributes of the link" /></li>)}</ul>
      <Dropped n={s.dropped_links} what="link" />
    </section>
  );
}

const logsShown = 100;

/** Of the trace's first records, where those are all; else asked for. */
function SpanLogs({ t, i, ofTrace, range }: { t: Trace; i: number; ofTrace: Logs | null; range: Range }) {
  const id = idOf(t.w, i), ask = { ...range, trace_id: t.trace_id, span_id: id };
  const { data, failure } = useQuestion<Logs>(ofTrace?.next_cursor ? '/api/v1/logs/query' : null, { ...ask, order: 'oldest', limit: logsShown + 1 });
  const logs = ofTrace?.next_cursor ? data : ofTrace;
  const mine = (logs?.logs ?? []).filter((l) => l.span_id === id);
  const start = parseInstant(t.start);
  return (
    <section>
      <h3>Logs <span class="muted">{logs ? `${Math.min(mine.length, logsShown)}${mine.length > logsShown ? '+' : ''}` : failure ? 'not known' : 'loading …'}</span><a href={logsLink(ask)}>Open</a></h3>
      <ul class="events">
        {mine.slice(0, logsShown).map((l, k) => (
          <li key={k} class={`s-${l.severity}`}><div class="mono"><span class="muted">+{duration(sinceNs(start, parseInstant(l.time)) - storedStart(t.w, i))}</span> <span class="sev">{l.severity}</span> {lineOf(l.body)}</div></li>
        ))}
      </ul>
    </section>
  );
}

function Whole({ s, filter, more }: { s: Span; filter: (w: string) => void; more: More }) {
  return (
    <>
      <section><h3>Attributes <span class="muted">{Object.keys(s.attributes).length}</span></h3><Values of={s.attributes} prefix="" label="Attributes" onFilter={filter} {...more} /><Dropped n={s.dropped_attributes} what="attribute" /></section>
      <Events s={s} filter={filter} />
      <Links s={s} />
      <section><h3>Resource <span class="muted">{plural(Object.keys(s.resource.attributes).length, 'attribute')}</span></h3><Values of={s.resource.attributes} prefix="resource." label="Resource" onFilter={filter} {...more} /></section>
      {s.scope.name && <section><h3>Scope</h3><p class="mono">{s.scope.name} {s.scope.version}</p></section>}
    </>
  );
}

const namespaceOf = (s: Span): string => String(s.resource.attributes['service.namespace'] ?? '');
/** Half an hour before and after. */
const around = (ms: number): Range => absolute(ms - 1_800_000, ms + 1_800_000);

export function SpanDetail({ t, i, logs, range, close }: { t: Trace; i: number; logs: Logs | null; range: Range; close: () => void }) {
  const { w } = t, service = serviceOf(w, i), operation = nameOf(w, i);
  const asked = useQuestion<SpanDetails>(`/api/v1/traces/${t.trace_id}/spans/${idOf(w, i)}`);
  const start = parseInstant(t.start);
  const s = asked.data?.spans.find((x) => sinceNs(start, parseInstant(x.start)) === storedStart(w, i)) ?? asked.data?.spans[0] ?? null;
  const filter = (where: string): void => go(tracesLink({ ...range, where: [where] }));
  const more: More = { onGroup: (by) => go(tracesLink({ ...range, service, by })), pivot: { text: 'Logs with this', link: (where) => logsLink({ ...range, where: [where] }) }, all: (attribute, id) => correlationsLink({ ...range, attribute, id }) };
  return (
    <aside class="detail" aria-label="Span" tabIndex={0}>
      <header>
        <h2 class="grow">{operation}</h2>
        <button class="button quiet icon" aria-label="Close" title="Close (Esc)" onClick={close}>×</button>
      </header>
      <Facts t={t} i={i} s={s} range={range} />
      <section aria-label="Ways on" style={{ display: 'flex', flexWrap: 'wrap', gap: '8px' }}>
        <a class="button" href={tracesLink({ ...range, service, operation })}>Traces with this operation</a>
        <a class="button" href={correlationLink(s?.correlation_id ?? t.correlation_ids[0] ?? t.trace_id, s?.correlation_id ? s.correlation_id_encoded : t.correlation_ids_encoded?.[0] ?? '')}>Its correlation</a>
        {w.error[i] === 1 && <a class="button" href={tracesLink({ ...range, service, operation, status: 'error' })}>Only failed ones</a>}
        <a class="button" href={serviceLink({ ...range, service })}>Service {service}</a>
        <a class="button" href={serviceMetricsLink(service, s ? namespaceOf(s) : null, around(parseMs(t.start)))}>Metrics of {service}</a>
      </section>
      <PartialNote of={asked.data} />
      <Answer asked={asked} wait="Loading what it says">{() => s && <Whole s={s} filter={filter} more={more} />}</Answer>
      <SpanLogs t={t} i={i} ofTrace={logs} range={range} />
    </aside>
  );
}
