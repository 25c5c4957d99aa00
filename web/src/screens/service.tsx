// One service: how much, how well and how fast; its operations, whom it depends on and who on it, its instances, the newest that failed, was slow or was logged.
import { useMemo } from 'preact/hooks';
import type { MapGraph, MapNode } from '../hot/map';
import { useQuestion, type Logs, type Stats, type Traces } from '../lib/api';
import { duration, percent, plural, rate } from '../lib/format';
import { useKeys } from '../lib/keys';
import { useScreen } from '../lib/nav';
import { usePrefs } from '../lib/prefs';
import { homeLink, logsLink, mapLink, service, serviceLink, serviceMetricsLink, tracesLink, type ServiceState } from '../lib/screens';
import { parseMs, rangeMs, showClock } from '../lib/time';
import { Dot } from '../ui/chips';
import { Calls, HealthOf } from '../ui/mapnode';
import { NewestTraces } from '../ui/newest';
import { SpanCharts, spanSeries } from '../ui/spancharts';
import { Empty, FailureNote, PartialNote, Progress } from '../ui/states';
import { TimePicker } from '../ui/time';

type Set_ = (some: Partial<ServiceState>) => void;
const instanceKey = 'resource.service.instance.id', newest = 12;

/* ---- parts ---- */

function Operations({ stats, state, seconds }: { stats: Stats; state: ServiceState; seconds: number }) {
  const some = { start: state.start, end: state.end, environment: state.environment, service: state.service };
  return (
    <section>
      <h2>Operations</h2>
      <div class="scroll">
        <table class="table">
          <thead><tr><th scope="col">Operation</th><th scope="col" class="hide-small">Kind</th><th scope="col" class="num">Spans/s</th><th scope="col" class="num">Errors</th><th scope="col" class="num">p95</th></tr></thead>
          <tbody>
            {stats.operations.map((o) => (
              <tr key={`${o.operation} ${o.kind}`}>
                <td>{o.operation === '_other' ? <span class="muted">all others</span> : <a href={tracesLink({ ...some, operation: o.operation })}>{o.operation}</a>}</td>
                <td class="muted hide-small">{o.kind}</td>
                <td class="num">{rate(o.span_count / seconds)}</td>
                <td class="num">{o.error_count > 0 ? <a class="bad" href={tracesLink({ ...some, operation: o.operation, status: 'error' })}>{percent(o.error_ratio)}</a> : <span class="muted">0%</span>}</td>
                <td class="num">{o.duration ? duration(o.duration.p95_ns) : '–'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Dependencies({ g, at, state }: { g: MapGraph; at: number; state: ServiceState }) {
  const name = (i: number) => {
    const n = g.nodes[i];
    return n.kind === 'service' ? <><Dot service={n.name} /><a href={serviceLink({ start: state.start, end: state.end, environment: n.environment, service: n.name })}>{n.name}</a></> : <>{n.name} <span class="muted">{n.kind}</span></>;
  };
  const by = g.edges.filter((e) => e.server === at && e.client !== at), to = g.edges.filter((e) => e.client === at && e.server !== at);
  return (
    <section>
      <h2>Dependencies</h2>
      {by.length + to.length === 0 && <p class="muted">No call from or to it in this range.</p>}
      <Calls title="Called by" g={g} edges={by} end="client" name={name} />
      <Calls title="Calls" g={g} edges={to} end="server" name={name} />
      <p><a href={mapLink({ start: state.start, end: state.end, environment: state.environment, focus: state.service })}>On the map</a></p>
    </section>
  );
}

function Instances({ stats, state, seconds }: { stats: Stats; state: ServiceState; seconds: number }) {
  const groups = (stats.groups ?? []).filter((g) => g.value !== undefined);
  return (
    <section>
      <h2>Instances</h2>
      {groups.length === 0 ? <p class="muted">Its resources do not say <code>service.instance.id</code>.</p> : (
        <div class="scroll">
          <table class="table">
            <thead><tr><th scope="col">Instance</th><th scope="col" class="num">Spans/s</th><th scope="col" class="num">Errors</th><th scope="col" class="num">p95</th></tr></thead>
            <tbody>
              {groups.map((g) => (
                <tr key={g.value}>
                  <td class="mono"><a href={tracesLink({ start: state.start, end: state.end, environment: state.environment, service: state.service, where: [`${instanceKey}=${JSON.stringify(g.value)}`] })}>{g.value}</a></td>
                  <td class="num">{rate(g.span_count / seconds)}</td>
                  <td class="num">{g.error_count > 0 ? <span class="bad">{percent(g.error_ratio)}</span> : <span class="muted">0%</span>}</td>
                  <td class="num">{g.duration ? duration(g.duration.p95_ns) : '–'}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {stats.other && stats.other.span_count > 0 && <p class="muted">And others, with {plural(stats.other.span_count, 'span')}.</p>}
        </div>
      )}
    </section>
  );
}

/* ---- the newest ---- */

function NewestLogs({ of, state }: { of: Logs; state: ServiceState }) {
  const { zone } = usePrefs();
  if (of.logs.length === 0) return <p class="muted">It logged nothing in this range.</p>;
  return (
    <ul class="newest">
      {of.logs.map((l) => (
        <li key={l.id}>
          <span class="muted">{showClock(parseMs(l.time), zone, Date.now())}</span>
          <a class="cut" href={logsLink({ start: state.start, end: state.end, environment: state.environment, service: state.service, record: l.id })}>{typeof l.body === 'string' ? l.body : JSON.stringify(l.body)}</a>
          <span class={/^(error|fatal)$/.test(l.severity) ? 'bad' : 'muted'}>{l.severity}</span>
        </li>
      ))}
    </ul>
  );
}

function Newest({ state, set }: { state: ServiceState; set: Set_ }) {
  const some = { start: state.start, end: state.end, environment: state.environment, service: state.service };
  const traces = useQuestion<Traces>(state.show === 'logs' ? null : '/api/v1/traces', { ...some, status: state.show === 'errors' ? 'error' : '', order: state.show === 'slow' ? 'longest' : '', limit: newest });
  const logs = useQuestion<Logs>(state.show === 'logs' ? '/api/v1/logs/query' : null, { ...some, limit: newest });
  const asked = state.show === 'logs' ? logs : traces;
  const tab = (show: ServiceState['show'], name: string) => <button class="button" aria-pressed={state.show === show} onClick={() => set({ show })}>{name}</button>;
  const all = state.show === 'logs' ? logsLink(some) : tracesLink({ ...some, status: state.show === 'errors' ? 'error' : '', order: state.show === 'slow' ? 'longest' : 'newest' });
  return (
    <section>
      <div class="head"><h2>Newest</h2><div class="group" role="group" aria-label="Newest">{tab('errors', 'Errors')}{tab('slow', 'Slowest')}{tab('logs', 'Logs')}</div><a href={all}>All of them</a></div>
      {asked.failure && <FailureNote failure={asked.failure} again={asked.again} />}
      {state.show === 'logs' ? logs.data && <NewestLogs of={logs.data} state={state} /> : traces.data && <NewestTraces of={traces.data.traces} none={state.show === 'errors' ? 'None of its spans failed in this range.' : 'No traces in this range.'} />}
      {asked.busy && !asked.data && <p class="muted">Looking …</p>}
    </section>
  );
}

/* ---- the screen ---- */

function FactsLine({ n }: { n: MapNode }) {
  const versions = n.versions.join(', ') + (n.versions_truncated ? ', …' : '');
  return (
    <p class="servicefacts">
      <HealthOf n={n} />
      <span class="muted">in <b>{n.environment}</b>{n.namespace && <>, namespace <b>{n.namespace}</b></>}</span>
      {n.language && <span class="muted">written in <b>{n.language}</b></span>}
      {versions && <span class="muted">version <b>{versions}</b></span>}
      {n.instance_count > 0 && <span class="muted"><b>{plural(n.instance_count, 'instance')}</b></span>}
    </p>
  );
}

function Whole({ state, set }: { state: ServiceState; set: Set_ }) {
  const some = { start: state.start, end: state.end, environment: state.environment, service: state.service };
  const stats = useQuestion<Stats>('/api/v1/traces/stats', { ...some, top: 50, rollups: true, compare: state.compare ? 'before' : '' });
  const instances = useQuestion<Stats>('/api/v1/traces/stats', { ...some, top: 0, by: instanceKey, groups: 50 });
  const graph = useQuestion<MapGraph>('/api/v1/topology/graph', { start: state.start, end: state.end, environment: state.environment, focus: state.service, steps: 1 });
  const series = useMemo(() => (stats.data ? spanSeries(stats.data) : null), [stats.data]);
  const g = graph.data, at = g ? g.nodes.findIndex((n) => n.name === state.service && n.kind === 'service') : -1;
  const seconds = stats.data ? Math.max(1, rangeMs({ start: stats.data.range.start, end: stats.data.range.end }, 0).reduce((a, b) => b - a) / 1000) : 1;
  const again = (): void => { stats.again(); instances.again(); graph.again(); };
  return (
    <>
      <Progress on={stats.busy || graph.busy || instances.busy} text="Counting spans" stop={() => { stats.stop(); instances.stop(); graph.stop(); }} />
      <div class="head">
        <h1><Dot service={state.service} />{state.service}</h1>
        <a class="button" href={tracesLink({ ...some, compare: state.compare })}>Traces</a><a class="button" href={logsLink({ ...some, compare: state.compare })}>Logs</a><a class="button" href={serviceMetricsLink(state.service, at >= 0 ? g!.nodes[at].namespace : null, { start: state.start, end: state.end })}>Metrics</a>
        {state.environment && <button class="button" title="All environments" onClick={() => set({ environment: '' })}>{state.environment} ×</button>}
        <TimePicker range={state} onChange={set} refresh={again} compare={{ on: state.compare, set: (compare) => set({ compare }) }} />
      </div>
      {g && at >= 0 && <FactsLine n={g.nodes[at]} />}
      {stats.failure && <FailureNote failure={stats.failure} again={again} />}
      <PartialNote of={stats.data} />
      {!stats.data && !stats.failure && <p class="muted">Counting spans …</p>}
      {stats.data && stats.data.span_count === 0 && <Empty title={`No spans of ${state.service} in this range`} actions={<><button class="button main" onClick={() => set({ start: 'now-7d', end: '' })}>Look at the last 7 days</button><a class="button" href={logsLink(some)}>Its logs</a><a class="button" href={homeLink()}>All services</a></>}>It may send only logs or metrics, or was quiet.</Empty>}
      {stats.data && stats.data.span_count > 0 && (
        <>
          <SpanCharts stats={stats.data} data={series!} range={state} set={set} />
          <div class="twoparts">
            <Operations stats={stats.data} state={state} seconds={seconds} />
            {g && at >= 0 && <Dependencies g={g} at={at} state={state} />}
            {instances.data && <Instances stats={instances.data} state={state} seconds={seconds} />}
            {instances.failure && <FailureNote failure={instances.failure} again={instances.again} />}
            <Newest state={state} set={set} />
          </div>
        </>
      )}
    </>
  );
}

export default function Service() {
  const [state, set] = useScreen(service);
  useKeys({ e: () => set({ show: 'errors' }), l: () => set({ show: 'logs' }) });
  if (!state.service) return <Empty whole title="Which service?" actions={<a class="button main" href={homeLink()}>All services</a>}>The address names none.</Empty>;
  return <Whole state={state} set={set} key={state.service} />;
}
