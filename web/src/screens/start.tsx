// How to send something here, and whether it has come.
import { useEffect, useState } from 'preact/hooks';
import { get, type Traces, type TraceSummary } from '../lib/api';
import { duration, plural } from '../lib/format';
import { writeSelector } from '../lib/promql';
import { homeLink, metricsLink, traceLink } from '../lib/screens';
import { randomHex, snippets } from '../lib/snippets';
import { copy } from '../ui/chips';

interface Came {
  trace: TraceSummary | null;
  metric: string;
  wrong: string;
}
/** The first trace and the first metric that came since this page stands; asked every other second while the page is looked at. */
function useFirst(since: string): Came {
  const [state, setState] = useState<Came>({ trace: null, metric: '', wrong: '' });
  useEffect(() => {
    if (state.trace && state.metric) return undefined;
    const fail = (e: Error): void => setState((s) => ({ ...s, wrong: e.message }));
    const look = (): void => {
      if (document.hidden) return;
      if (!state.trace) get<Traces>('/api/v1/traces', { start: since, limit: 1 }).then((a) => setState((s) => ({ ...s, trace: a.traces[0] ?? null, wrong: '' })), fail);
      if (!state.metric) get<{ data: string[] }>('/prometheus/api/v1/label/__name__/values', { start: since, limit: 50 }).then((a) => setState((s) => ({ ...s, metric: a.data.find((n) => n !== 'target_info') ?? '' })), fail);
    };
    const timer = setInterval(look, 2000);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [state.trace, state.metric]);
  return state;
}

/** Whether senders need a token: asked as somebody who has none. */
function useNeedsToken(): boolean {
  const [needs, setNeeds] = useState(false);
  useEffect(() => {
    fetch('/api/v1/services', { credentials: 'omit' }).then((a) => setNeeds(a.status === 401), () => undefined);
  }, []);
  return needs;
}

export default function Start() {
  const [made] = useState(() => ({ trace: randomHex(16), span: randomHex(8), since: new Date(Date.now() - 2000).toISOString() }));
  const [tab, setTab] = useState(0);
  const needsToken = useNeedsToken();
  const all = snippets(location.origin, needsToken, made.trace, made.span);
  const { trace, metric, wrong } = useFirst(made.since);
  const turn = (e: KeyboardEvent): void => {
    const step = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0;
    if (!step) return;
    e.preventDefault();
    const to = (tab + step + all.length) % all.length;
    setTab(to);
    document.getElementById(`tab-${to}`)?.focus();
  };
  return (
    <div class="narrow">
      <h1>Getting started</h1>
      <p class="muted">clew takes traces, logs and metrics by OpenTelemetry's protocol, from every SDK and collector, and metrics by Prometheus's remote write. This one listens at <code>{location.origin}/otlp</code>, by HTTP (protobuf or JSON) and, at the same port, by gRPC.</p>
      <div class="note" role="status">
        <i class={trace || metric ? 'pulse done' : 'pulse'} aria-hidden="true" />
        {trace || metric ? (
          <>
            {trace && <span class="grow">A trace has come: <b>{trace.root.operation}</b> of {trace.root.service}, {duration(trace.duration_ns)}, {plural(trace.span_count, 'span')}.</span>}
            {trace && <a class="button main" href={traceLink(trace.trace_id)}>Open it</a>}
            {metric && <span class="grow">Metrics have come: <b>{metric}</b>{!trace && ', and more'}.</span>}
            {metric && <a class="button main" href={metricsLink({ start: 'now-15m', metric, query: [writeSelector(metric)] })}>Look at them</a>}
            <a class="button" href={homeLink()}>Overview</a>
          </>
        ) : (
          <span class="grow">{wrong ? `Asking failed: ${wrong}. Still trying.` : 'Waiting for a trace or a metric … run one of these, and it shows here by itself.'}</span>
        )}
      </div>
      {needsToken && <div class="note">Senders need a token of role ingest here: <code>export CLEW_TOKEN=$(clew token new my-service --role ingest)</code></div>}
      <div>
        <div class="tabs" role="tablist" aria-label="Ways to send" onKeyDown={turn}>
          {all.map((s, i) => <button key={s.name} id={`tab-${i}`} role="tab" aria-selected={i === tab} aria-controls="tab-panel" tabIndex={i === tab ? 0 : -1} onClick={() => setTab(i)}>{s.name}</button>)}
        </div>
        <div class="snippet" role="tabpanel" id="tab-panel" aria-labelledby={`tab-${tab}`} style={{ borderTop: 0, borderRadius: '0 0 5px 5px' }}>
          <pre tabIndex={0} id="snippet">{all[tab].lines}</pre>
          <button class="button" onClick={() => copy(all[tab].lines)}>Copy</button>
        </div>
      </div>
      <p class="muted">Nothing comes? Look at what the sender logs: 401 is a missing token, 415 a wrong Content-Type, a refused connection another port. <code>{location.origin}</code> must be reachable from where it runs; inside a container, localhost is the container itself. More: <a href="/docs">the API to read</a>.</p>
    </div>
  );
}
