// Who sends, how much, with how many errors and how fast: one question for all of it.
import { useMemo, useState } from 'preact/hooks';
import { useQuestion, type Services, type ServiceStats, type Stats } from '../lib/api';
import { duration, percent, plural, rate } from '../lib/format';
import { useKeys } from '../lib/keys';
import { go, useScreen } from '../lib/nav';
import { home, logsLink, serviceLink, serviceMetricsLink, tracesLink, type HomeState } from '../lib/screens';
import { rangeMs } from '../lib/time';
import { Change } from '../ui/change';
import { Spark } from '../ui/chart';
import { Dot } from '../ui/chips';
import { SpanCharts, spanSeries } from '../ui/spancharts';
import { Empty, FailureNote, PartialNote, Progress, useRefused } from '../ui/states';
import { TimePicker } from '../ui/time';

type Sort = 'service' | 'rate' | 'errors' | 'p50' | 'p95';
const sorts: Record<Sort, (s: ServiceStats) => number | string> = {
  service: (s) => s.service, rate: (s) => s.span_count, errors: (s) => s.error_ratio, p50: (s) => s.duration?.p50_ns ?? 0, p95: (s) => s.duration?.p95_ns ?? 0,
};

function sorted(v: readonly ServiceStats[], by: Sort): ServiceStats[] {
  const key = sorts[by];
  return [...v].sort((a, b) => {
    const x = key(a), y = key(b);
    return typeof x === 'string' ? x.localeCompare(String(y)) : Number(y) - x;
  });
}

function Row({ s, before, state, seconds, at }: { s: ServiceStats; before: ServiceStats | null | undefined; state: HomeState; seconds: number; at: boolean }) {
  const some = { start: state.start, end: state.end, environment: state.environment, service: s.service, compare: state.compare };
  return (
    <tr class={at ? 'at' : ''}>
      <td><Dot service={s.service} />{s.service === '_other' ? <span class="muted" title="More services than are told apart, together">all others</span> : <a class="strong" href={serviceLink(some)}>{s.service}</a>}</td>
      <td class="num">{rate(s.span_count / seconds)} <Change now={s.span_count} before={before && before.span_count} show={(v) => rate(v / seconds)} /></td>
      <td class="num">{s.error_count ? <a class="bad" href={tracesLink({ ...some, status: 'error' })}>{percent(s.error_ratio)}</a> : <span class="muted">0%</span>} <Change now={s.error_ratio} before={before && before.error_ratio} show={percent} worse="more" share /></td>
      <td class="num hide-small">{s.duration ? duration(s.duration.p50_ns) : '–'} {s.duration && <Change now={s.duration.p50_ns} before={before?.duration?.p50_ns} show={duration} worse="more" />}</td>
      <td class="num">{s.duration ? <a href={tracesLink({ ...some, order: 'longest' })}>{duration(s.duration.p95_ns)}</a> : '–'} {s.duration && <Change now={s.duration.p95_ns} before={before?.duration?.p95_ns} show={duration} worse="more" />}</td>
      <td class="hide-small"><Spark counts={s.bucket_span_counts} errors={s.bucket_error_counts} label={`${s.service}: ${plural(s.span_count, 'span')}, ${plural(s.error_count, 'error')}`} /></td>
      <td class="hide-small num"><a href={tracesLink(some)}>Traces</a> <a href={logsLink(some)}>Logs</a> <a href={serviceMetricsLink(s.service, null, { start: state.start, end: state.end })}>Metrics</a></td>
    </tr>
  );
}

const none: ServiceStats = { service: '', span_count: 0, error_count: 0, error_ratio: 0, duration: null, bucket_span_counts: [], bucket_error_counts: [] };

function Table({ stats, state }: { stats: Stats; state: HomeState }) {
  const [by, setBy] = useState<Sort>('rate');
  const [at, setAt] = useState(-1);
  const rows = sorted(stats.services ?? [], by);
  const before = stats.before ? new Map((stats.before.services ?? []).map((s) => [s.service, s])) : null;
  const gone = [...(before?.keys() ?? [])].filter((name) => !rows.some((s) => s.service === name));
  const [from, to] = rangeMs({ start: stats.range.start, end: stats.range.end }, 0);
  const move = (step: number): void => setAt(Math.max(0, Math.min(rows.length - 1, at + step)));
  useKeys({
    j: () => move(1), k: () => move(-1), arrowdown: () => move(1), arrowup: () => move(-1),
    enter: () => rows[at] && go(serviceLink({ start: state.start, end: state.end, environment: state.environment, service: rows[at].service })),
  });
  const head = (key: Sort, name: string, cls = 'num') => (
    <th scope="col" class={cls} aria-sort={by === key ? (key === 'service' ? 'ascending' : 'descending') : undefined}><button onClick={() => setBy(key)}>{name}{by === key ? (key === 'service' ? ' ↑' : ' ↓') : ''}</button></th>
  );
  return (
    <div class="scroll">
      <table class="table">
        <thead>
          <tr>{head('service', 'Service', '')}{head('rate', 'Spans/s')}{head('errors', 'Errors')}{head('p50', 'p50', 'num hide-small')}{head('p95', 'p95')}<th scope="col" class="wide hide-small">Over time</th><th scope="col" class="hide-small"><span class="sr">Traces, logs and metrics</span></th></tr>
        </thead>
        <tbody>{rows.map((s, i) => <Row key={s.service} s={s} before={before && (before.get(s.service) ?? none)} state={state} seconds={Math.max(1, (to - from) / 1000)} at={i === at} />)}</tbody>
      </table>
      {gone.length > 0 && <p class="muted">In the period before, and not since: {gone.join(', ')}</p>}
    </div>
  );
}

export default function Home() {
  const [state, set] = useScreen(home);
  const stats = useQuestion<Stats>('/api/v1/traces/stats', { start: state.start, end: state.end, environment: state.environment, top: 0, services: 200, rollups: true, compare: state.compare ? 'before' : '' });
  const services = useQuestion<Services>('/api/v1/services', { start: 'now-30d' });
  const environments = [...new Set((services.data?.services ?? []).map((s) => s.environment))].sort();
  const logsOnly = [...new Set((services.data?.services ?? []).filter((s) => s.signals.length === 1 && s.signals[0] === 'logs').map((s) => s.name))];
  const refresh = (): void => { stats.again(); services.again(); };
  const series = useMemo(() => (stats.data ? spanSeries(stats.data) : null), [stats.data]);
  return (
    <>
      <Progress on={stats.busy} text="Counting spans" stop={stats.stop} />
      <div class="head">
        <h1>Services {stats.data && stats.data.span_count > 0 && <span class="muted">· {plural(stats.data.services?.length ?? 0, 'service')}{stats.data.trace_count !== null && `, ${plural(stats.data.trace_count, 'trace')}`}</span>}</h1>
        {environments.length > 0 && (
          <select class="field" style={{ width: 'auto' }} aria-label="Environment" value={state.environment} onChange={(e) => set({ environment: e.currentTarget.value })}>
            <option value="">All environments</option>
            {[...new Set([...environments, ...(state.environment ? [state.environment] : [])])].map((e) => <option key={e} value={e}>{e}</option>)}
          </select>
        )}
        <TimePicker range={state} onChange={set} refresh={refresh} compare={{ on: state.compare, set: (compare) => set({ compare }) }} />
      </div>
      {stats.failure && <FailureNote failure={stats.failure} again={refresh} />}
      <PartialNote of={stats.data} />
      {!stats.data && !stats.failure && <p class="muted">Counting spans …</p>}
      {stats.data && stats.data.span_count === 0 && <NothingHere state={state} known={services.data ? services.data.services.length : -1} set={set} />}
      {stats.data && state.compare && stats.data.before === null && <p class="muted">There is no period before this range.</p>}
      {stats.data && stats.data.span_count > 0 && (
        <>
          <SpanCharts stats={stats.data} data={series!} range={state} set={set} />
          <Table stats={stats.data} state={state} />
        </>
      )}
      {logsOnly.length > 0 && <p class="muted">Logs alone: {logsOnly.map((name, i) => <span key={name}>{i > 0 && ', '}<a href={logsLink({ start: state.start, end: state.end, service: name })}>{name}</a></span>)}</p>}
    </>
  );
}

function NothingHere({ state, known, set }: { state: HomeState; known: number; set: (s: Partial<HomeState>) => void }) {
  const refused = useRefused('traces', true);
  const told = refused && <> Refused since clew started: {refused}.</>;
  if (known === 0)
    return (
      <Empty title="Nothing has come in so far" actions={<a class="button main" href="/start">Send the first trace</a>}>
        clew runs and waits. It takes traces and logs by OpenTelemetry's protocol; one command is enough to see something here.{told}
      </Empty>
    );
  return (
    <Empty title="No spans in this range of time"
      actions={<><button class="button main" onClick={() => set({ start: 'now-7d', end: '' })}>Look at the last 7 days</button>{state.environment && <button class="button" onClick={() => set({ environment: '' })}>All environments</button>}</>}>
      {known < 0 ? 'Other services' : plural(known, 'service')} {known === 1 ? 'has' : 'have'} sent something before or after{state.environment ? `, or in another environment than ${state.environment}` : ''}; or it is older than what is kept.{told}
    </Empty>
  );
}
