// One service: how much, how well and how fast; its operations, whom it depends on and who on it, its instances, the newest that failed, was slow or was logged.
import { useMemo } from 'preact/hooks';
import { keyOf, type MapGraph, type MapNode } from '../hot/map';
import { useQuestion, type Logs, type Partial_, type SpanStats, type Stats, type Traces } from '../lib/api';
import { duration, percent, plural, rate } from '../lib/format';
import { useKeys } from '../lib/keys';
import { useScreen, useTitle } from '../lib/nav';
import { usePrefs } from '../lib/prefs';
import { errorsLink, homeLink, logsLink, mapLink, service, serviceLink, serviceMetricsLink, tracesLink, type ServiceState, type TracesState } from '../lib/screens';
import { parseMs, rangeMs, showClock } from '../lib/time';
import { Dot, Who } from '../ui/chips';
import { Calls, HealthOf } from '../ui/mapnode';
import { NewestTraces } from '../ui/newest';
import { SpanCharts, spanSeries } from '../ui/spancharts';
import { Empty, FailureNote, PartialNote, Progress } from '../ui/states';
import { TimePicker } from '../ui/time';

type Set_ = (some: Partial<ServiceState>) => void;
const versionKey = 'resource.service.version', instanceKey = 'resource.service.instance.id', newest = 12;

/** Spans by version and instance, as /api/v1/traces/groups answers. */
interface Running extends Partial_ {
  groups: ({ values: (string | null)[] } & SpanStats)[];
  other: SpanStats | null;
}

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

/** `mine`: its nodes, one an environment and namespace. */
function Dependencies({ g, mine, state }: { g: MapGraph; mine: number[]; state: ServiceState }) {
  const name = (i: number) => {
    const n = g.nodes[i];
    return n.kind === 'service' ? <Who service={n.name} href={serviceLink({ start: state.start, end: state.end, environment: n.environment, service: n.name })} /> : <><span class="who" title={n.name}>{n.name}</span> <span class="muted">{n.kind}</span></>;
  };
  const is = (i: number): boolean => mine.includes(i), by = g.edges.filter((e) => is(e.server) && !is(e.client)), to = g.edges.filter((e) => is(e.client) && !is(e.server));
  return (
    <section>
      <h2>Dependencies</h2>
      {by.length + to.length === 0 && <p class="muted">No call from or to it in this range.</p>}
      <Calls title="Called by" g={g} edges={by} end="client" name={name} />
      <Calls title="Calls" g={g} edges={to} end="server" name={name} />
      <p><a href={mapLink({ start: state.start, end: state.end, environment: state.environment, focus: state.service, node: keyOf(g.nodes[mine[0]]) })}>On the map</a></p>
    </section>
  );
}

/** What runs of it, and how each does: a version that is worse than the one before is seen here. */
function Instances({ of, state, seconds }: { of: Running; state: ServiceState; seconds: number }) {
  const groups = of.groups.filter((g) => g.values.some((v) => v !== null)), hasVersions = groups.some((g) => g.values[0] !== null);
  const link = (g: Running['groups'][0], more: Partial<TracesState> = {}): string => tracesLink({ start: state.start, end: state.end, environment: state.environment, service: state.service, where: [versionKey, instanceKey].flatMap((key, i) => (g.values[i] === null ? [] : [`${key}=${JSON.stringify(g.values[i])}`])), ...more });
  return (
    <section>
      <h2>Instances</h2>
      <PartialNote of={of} />
      {groups.length === 0 ? <p class="muted">Its resources do not say <code>service.instance.id</code>.</p> : (
        <div class="scroll">
          <table class="table">
            <thead><tr><th scope="col">Instance</th>{hasVersions && <th scope="col">Version</th>}<th scope="col" class="num">Spans/s</th><th scope="col" class="num">Errors</th><th scope="col" class="num">p95</th></tr></thead>
            <tbody>
              {groups.map((g) => (
                <tr key={g.values.join('\0')}>
                  <td class="mono"><a href={link(g)}>{g.values[1] ?? 'not told'}</a></td>
                  {hasVersions && <td>{g.values[0] ?? <span class="muted">–</span>}</td>}
                  <td class="num">{rate(g.span_count / seconds)}</td>
                  <td class="num">{g.error_count > 0 ? <a class="bad" href={link(g, { status: 'error' })}>{percent(g.error_ratio)}</a> : <span class="muted">0%</span>}</td>
                  <td class="num">{g.duration ? <a href={link(g, { order: 'longest' })}>{duration(g.duration.p95_ns)}</a> : '–'}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {of.other && of.other.span_count > 0 && <p class="muted">And others, with {plural(of.other.span_count, 'span')}.</p>}
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
    <section class="whole">
      <div class="head"><h2>Newest</h2><div class="group" role="group" aria-label="Newest">{tab('errors', 'Errors')}{tab('slow', 'Slowest')}{tab('logs', 'Logs')}</div><a href={all}>All of them</a></div>
      {asked.failure && <FailureNote failure={asked.failure} again={asked.again} />}
      {state.show === 'logs' ? logs.data && <NewestLogs of={logs.data} state={state} /> : traces.data && <NewestTraces of={traces.data.traces} none={state.show === 'errors' ? 'None of its spans failed in this range.' : 'No traces in this range.'} />}
      {asked.busy && !asked.data && <p class="muted">Looking …</p>}
    </section>
  );
}

/* ---- the screen ---- */

/** `choose`: where there are several, to see this one alone. */
function FactsLine({ n, choose }: { n: MapNode; choose: (() => void) | null }) {
  const versions = n.versions.join(', ') + (n.versions_truncated ? ', …' : '');
  return (
    <p class="servicefacts">
      <HealthOf n={n} />
      <span class="muted">in {choose ? <button class="link" title="This environment alone" onClick={choose}>{n.environment}</button> : <b>{n.environment}</b>}{n.namespace && <>, namespace <b>{n.namespace}</b></>}</span>
      {n.language && <span class="muted">written in <b>{n.language}</b></span>}
      {versions && <span class="muted">version <b>{versions}</b></span>}
      {n.instance_count > 0 && <span class="muted"><b>{plural(n.instance_count, 'instance')}</b></span>}
    </p>
  );
}

function Whole({ state, set }: { state: ServiceState; set: Set_ }) {
  const some = { start: state.start, end: state.end, environment: state.environment, service: state.service };
  const stats = useQuestion<Stats>('/api/v1/traces/stats', { ...some, top: 50, rollups: true, compare: state.compare ? 'before' : '' });
  const instances = useQuestion<Running>('/api/v1/traces/groups', { ...some, by: [versionKey, instanceKey], limit: 50 });
  const graph = useQuestion<MapGraph>('/api/v1/topology/graph', { start: state.start, end: state.end, environment: state.environment, focus: state.service, steps: 1 });
  const series = useMemo(() => (stats.data ? spanSeries(stats.data) : null), [stats.data]);
  const g = graph.data, mine = g ? g.nodes.flatMap((n, i) => (n.name === state.service && n.kind === 'service' ? [i] : [])) : [];
  const seconds = stats.data ? Math.max(1, rangeMs({ start: stats.data.range.start, end: stats.data.range.end }, 0).reduce((a, b) => b - a) / 1000) : 1;
  const again = (): void => { stats.again(); instances.again(); graph.again(); };
  return (
    <>
      <Progress on={stats.busy || graph.busy || instances.busy} text="Counting spans" stop={() => { stats.stop(); instances.stop(); graph.stop(); }} />
      <div class="head">
        <h1><Dot service={state.service} />{state.service}</h1>
        <a class="button" href={tracesLink({ ...some, compare: state.compare })}>Traces</a><a class="button" href={errorsLink(some)}>Errors</a><a class="button" href={logsLink({ ...some, compare: state.compare })}>Logs</a><a class="button" href={serviceMetricsLink(state.service, mine.length === 1 ? g!.nodes[mine[0]].namespace : null, { start: state.start, end: state.end })}>Metrics</a>
        {state.environment && <button class="button" title="All environments" onClick={() => set({ environment: '' })}>{state.environment} ×</button>}
        <TimePicker range={state} onChange={set} refresh={again} compare={{ on: state.compare, set: (compare) => set({ compare }) }} />
      </div>
      {mine.map((i) => <FactsLine key={i} n={g!.nodes[i]} choose={mine.length > 1 ? () => set({ environment: g!.nodes[i].environment }) : null} />)}
      {stats.failure && <FailureNote failure={stats.failure} again={again} />}
      <PartialNote of={stats.data} />
      {!stats.data && !stats.failure && <p class="muted">Counting spans …</p>}
      {stats.data && stats.data.span_count === 0 && <Empty title={`No spans of ${state.service} in this range`} actions={<><button class="button main" onClick={() => set({ start: 'now-7d', end: '' })}>Look at the last 7 days</button><a class="button" href={logsLink(some)}>Its logs</a><a class="button" href={homeLink()}>All services</a></>}>It may send only logs or metrics, or was quiet.</Empty>}
      {stats.data && stats.data.span_count > 0 && (
        <>
          <SpanCharts stats={stats.data} data={series!} range={state} set={set} />
          <div class="twoparts">
            <Operations stats={stats.data} state={state} seconds={seconds} />
            {mine.length > 0 && <Dependencies g={g!} mine={mine} state={state} />}
            {instances.data && <Instances of={instances.data} state={state} seconds={seconds} />}
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
  useTitle(state.service);
  useKeys({ e: () => set({ show: 'errors' }), l: () => set({ show: 'logs' }) });
  if (!state.service) return <Empty whole title="Which service?" actions={<a class="button main" href={homeLink()}>All services</a>}>The address names none.</Empty>;
  return <Whole state={state} set={set} key={state.service} />;
}
