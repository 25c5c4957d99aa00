// All that a span says, with its logs, and ways on from it.
import type { Waterfall } from '../hot/waterfall';
import { lineOf } from '../hot/logs';
import type { Logs, Span, Trace } from '../lib/api';
import { duration, percent, plural } from '../lib/format';
import { go } from '../lib/nav';
import { usePrefs } from '../lib/prefs';
import { logsLink, traceLink, tracesLink, type Range } from '../lib/screens';
import { parseInstant, parseMs, showTime, sinceNs } from '../lib/time';
import { Acts, CopyButton, Dot, Values } from './chips';

function Facts({ s, w, i, total, range }: { s: Span; w: Waterfall; i: number; total: number; range: Range }) {
  const { zone } = usePrefs();
  return (
    <section aria-label="Facts">
      <dl class="pairs">
        <dt>Service</dt><dd><Dot service={s.service} />{s.service} <Acts name="service" text={s.service} filter={() => go(tracesLink({ ...range, service: s.service }))} group={() => go(tracesLink({ ...range, by: 'service' }))} pivot={{ href: logsLink({ ...range, service: s.service }), text: 'Logs of this service' }} /></dd>
        <dt>Duration</dt><dd>{duration(s.duration_ns)} <span class="muted">{total > 0 && `${percent(s.duration_ns / total)} of the trace`}</span></dd>
        <dt>Own time</dt><dd>{duration(s.self_time_ns)}</dd>
        <dt>Start</dt><dd>+{duration(w.start[i])} <span class="muted">{showTime(parseMs(s.start), zone, true)}</span></dd>
        <dt>Kind</dt><dd>{s.kind}</dd>
        <dt>Status</dt><dd>{s.status.code === 'error' ? <span class="tag error">error</span> : s.status.code} {s.status.message}</dd>
        <dt>Id</dt><dd class="mono">{s.span_id} <CopyButton what="the span's id" text={s.span_id} /></dd>
        {s.parent_missing && <><dt>Parent</dt><dd><span class="tag warn">never came</span> <span class="mono">{s.parent_span_id}</span></dd></>}
      </dl>
    </section>
  );
}

function Events({ s, filter }: { s: Span; filter: (w: string) => void }) {
  if (s.events.length === 0) return null;
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
    </section>
  );
}

function Links({ s }: { s: Span }) {
  if (s.links.length === 0) return null;
  return (
    <section>
      <h3>Links <span class="muted">{s.links.length}</span></h3>
      <ul>{s.links.map((l, k) => <li key={k}><a class="mono" href={traceLink(l.trace_id, { span: l.span_id })}>{l.trace_id} {l.span_id}</a><Values of={l.attributes} prefix="" label="Attributes of the link" /></li>)}</ul>
    </section>
  );
}

function SpanLogs({ s, trace, logs, range }: { s: Span; trace: Trace; logs: Logs | null; range: Range }) {
  const mine = (logs?.logs ?? []).filter((l) => l.span_id === s.span_id);
  const start = parseInstant(s.start);
  return (
    <section>
      <h3>Logs <span class="muted">{logs ? mine.length : 'loading …'}</span><a href={logsLink({ ...range, trace_id: trace.trace_id, span_id: s.span_id })}>Open</a></h3>
      {logs?.next_cursor && <p class="muted">Of the first 1 000 records of this trace.</p>}
      <ul class="events">
        {mine.slice(0, 100).map((l, k) => (
          <li key={k} class={`s-${l.severity}`}><div class="mono"><span class="muted">+{duration(sinceNs(start, parseInstant(l.time)))}</span> <span class="sev">{l.severity}</span> {lineOf(l.body)}</div></li>
        ))}
      </ul>
    </section>
  );
}

export function SpanDetail({ trace, w, i, logs, range, close }: { trace: Trace; w: Waterfall; i: number; logs: Logs | null; range: Range; close: () => void }) {
  const s = trace.spans[i], resource = trace.resources[s.resource], scope = trace.scopes[s.scope];
  const filter = (where: string): void => go(tracesLink({ ...range, where: [where] }));
  const more = { onGroup: (by: string) => go(tracesLink({ ...range, service: s.service, by })), pivot: { text: 'Logs with this', link: (where: string) => logsLink({ ...range, where: [where] }) } };
  return (
    <aside class="detail" aria-label="Span" tabIndex={0}>
      <header>
        <h2 class="grow">{s.name}</h2>
        <button class="button quiet icon" aria-label="Close" title="Close (Esc)" onClick={close}>×</button>
      </header>
      <Facts s={s} w={w} i={i} total={trace.duration_ns} range={range} />
      <section aria-label="Ways on" style={{ display: 'flex', flexWrap: 'wrap', gap: '8px' }}>
        <a class="button" href={tracesLink({ ...range, service: s.service, operation: s.name })}>Traces with this operation</a>
        {s.status.code === 'error' && <a class="button" href={tracesLink({ ...range, service: s.service, operation: s.name, status: 'error' })}>Only failed ones</a>}
      </section>
      <section><h3>Attributes <span class="muted">{Object.keys(s.attributes).length}</span></h3><Values of={s.attributes} prefix="" label="Attributes" onFilter={filter} {...more} /></section>
      <Events s={s} filter={filter} />
      <SpanLogs s={s} trace={trace} logs={logs} range={range} />
      <Links s={s} />
      {resource && <section><h3>Resource <span class="muted">{plural(Object.keys(resource.attributes).length, 'attribute')}</span></h3><Values of={resource.attributes} prefix="resource." label="Resource" onFilter={filter} {...more} /></section>}
      {scope?.name && <section><h3>Scope</h3><p class="mono">{scope.name} {scope.version}</p></section>}
    </aside>
  );
}
