// What goes on at this moment: how much, with how many errors and how fast, who is not well, what failed last. Asked anew by itself.
import type { ComponentChildren } from 'preact';
import { useMemo, useRef, useState } from 'preact/hooks';
import { healthOf } from '../hot/map';
import { useQuestion, type Asked, type Services, type ServiceStats, type Stats, type Traces } from '../lib/api';
import type { Correlations } from '../lib/correlation';
import { duration, grouped, percent, plural, rate } from '../lib/format';
import { useKeys } from '../lib/keys';
import { useKept, useLive } from '../lib/live';
import { go, useScreen } from '../lib/nav';
import { correlationsLink, errorsLink, home, logsLink, mapLink, serviceLink, serviceMetricsLink, tracesLink, type HomeState } from '../lib/screens';
import { isLive, rangeMs } from '../lib/time';
import { Change } from '../ui/change';
import { Spark } from '../ui/chart';
import { Dot, Who } from '../ui/chips';
import { marks } from '../ui/mapnode';
import { NewestCorrelations, NewestTraces } from '../ui/newest';
import { SpanCharts, spanSeries } from '../ui/spancharts';
import { Empty, FailureNote, PartialNote, Progress, useRefused } from '../ui/states';
import { TimePicker } from '../ui/time';

const newest = 8;
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

function Health({ s }: { s: ServiceStats }) {
  const health = healthOf(s), [mark, word] = marks[health];
  return <span class={`health ${health}`} title={`${word}: ${percent(s.error_ratio)} of its spans failed`}><span aria-hidden="true">{mark}</span> <span class={health === 'healthy' ? 'sr' : ''}>{word}</span></span>;
}

function Row({ s, before, state, seconds, at }: { s: ServiceStats; before: ServiceStats | null | undefined; state: HomeState; seconds: number; at: boolean }) {
  const some = { start: state.start, end: state.end, environment: state.environment, service: s.service, compare: state.compare };
  return (
    <tr class={at ? 'at' : ''}>
      <td>{s.service === '_other' ? <span class="muted" title="More services than are told apart, together"><Dot service={s.service} />all others</span> : <Who strong service={s.service} href={serviceLink(some)} />} <Health s={s} /></td>
      <td class="num">{rate(s.span_count / seconds)} <Change now={s.span_count} before={before && before.span_count} show={(v) => rate(v / seconds)} /></td>
      <td class="num">{s.error_count ? <a class="bad" href={tracesLink({ ...some, status: 'error' })}>{percent(s.error_ratio)}</a> : <span class="muted">0%</span>} <Change now={s.error_ratio} before={before && before.error_ratio} show={percent} worse="more" share /></td>
      <td class="num hide-small">{s.duration ? duration(s.duration.p50_ns) : '–'} {s.duration && <Change now={s.duration.p50_ns} before={before?.duration?.p50_ns} show={duration} worse="more" />}</td>
      <td class="num">{s.duration ? <a href={tracesLink({ ...some, order: 'longest' })}>{duration(s.duration.p95_ns)}</a> : '–'} {s.duration && <Change now={s.duration.p95_ns} before={before?.duration?.p95_ns} show={duration} worse="more" />}</td>
      <td class="hide-small"><Spark counts={s.bucket_span_counts} errors={s.bucket_error_counts} label={`${s.service}: ${plural(s.span_count, 'span')}, ${plural(s.error_count, 'error')}`} /></td>
      <td class="hide-small num"><a href={tracesLink(some)}>Traces</a> <a href={logsLink(some)}>Logs</a> <a href={serviceMetricsLink(s.service, null, { start: state.start, end: state.end })}>Metrics</a></td>
    </tr>
  );
}

const none: ServiceStats = { service: '', span_count: 0, error_count: 0, error_ratio: 0, error_status: 'unknown', duration: null, bucket_span_counts: [], bucket_error_counts: [] };

/** Rows stay where they are while the screen asks by itself, whatever their figures do; who is new comes below. */
function useSteady(rows: ServiceStats[], of: string, busy: boolean): ServiceStats[] {
  const kept = useRef<{ of: string; place: Map<string, number> }>({ of: '', place: new Map() });
  if (kept.current.of !== of && !busy) kept.current = { of, place: new Map() };
  const { place } = kept.current;
  for (const r of rows) if (!place.has(r.service)) place.set(r.service, place.size);
  return [...rows].sort((a, b) => place.get(a.service)! - place.get(b.service)!);
}

function Table({ stats, state, turn, busy }: { stats: Stats; state: HomeState; turn: number; busy: boolean }) {
  const [by, setBy] = useState<Sort>('rate');
  const [at, setAt] = useState(-1);
  const rows = useSteady(sorted(stats.services ?? [], by), JSON.stringify([by, turn, state.start, state.end, state.environment]), busy);
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

/** Who is not well, in words. */
function healthWords(all: readonly ServiceStats[]): { text: string; bad: boolean } {
  const of = all.map(healthOf), failing = of.filter((h) => h === 'failing').length, degraded = of.filter((h) => h === 'degraded').length;
  return { text: [failing && `${failing} failing`, degraded && `${degraded} degraded`].filter(Boolean).join(', ') || 'all healthy', bad: failing > 0 };
}

function Tile({ name, title, value, href, bad, children }: { name: string; title?: string; value: string; href: string; bad?: boolean; children?: ComponentChildren }) {
  return <li><a href={href} title={title}><span class="muted">{name}</span><b class={bad ? 'bad' : ''}>{value}</b></a>{children && <span class="more-of-it">{children}</span>}</li>;
}

/** What there is at a glance; each figure leads to the screen that explains it. */
function Tiles({ stats, state, minute }: { stats: Stats; state: HomeState; minute: Stats | null }) {
  const some = { start: state.start, end: state.end, environment: state.environment }, b = stats.before, d = stats.duration, services = stats.services ?? [], health = healthWords(services);
  const took = (name: string, key: 'p50_ns' | 'p95_ns' | 'p99_ns') => (
    <Tile name={`${name} of spans`} value={d ? duration(d[key]) : '–'} href={tracesLink({ ...some, order: 'longest', min_duration: d ? `${Math.floor(d[key])}ns` : '' })}>
      {d && <Change now={d[key]} before={b?.duration?.[key]} show={duration} worse="more" />}
    </Tile>
  );
  return (
    <ul class="tiles" aria-label="Figures">
      {isLive(state) && <Tile name="Traces/s now" title="Of the last minute" value={minute?.trace_count != null ? rate(minute.trace_count / 60) : '–'} href={tracesLink({ start: 'now-5m', environment: state.environment })} />}
      <Tile name="Spans/s" value={rate(stats.spans_per_second)} href={tracesLink({ ...some, by: 'service' })}><Change now={stats.spans_per_second} before={b?.spans_per_second} show={rate} /></Tile>
      <Tile name="Services" title="By their spans: degraded from 1 % that fail, failing from 5 %; the map goes by the calls to them" value={grouped(services.length)} href={mapLink(some)}><span class={health.bad ? 'bad' : 'muted'}>{health.text}</span></Tile>
      <Tile name="Errors" value={percent(stats.error_ratio)} bad={stats.error_count > 0} href={errorsLink(some)}><Change now={stats.error_ratio} before={b?.error_ratio} show={percent} worse="more" share /></Tile>
      {took('p50', 'p50_ns')}{took('p95', 'p95_ns')}{took('p99', 'p99_ns')}
    </ul>
  );
}

function FailedTraces({ asked, of, state }: { asked: Asked<Traces>; of: Traces | null; state: HomeState }) {
  return (
    <section aria-label="Newest failed traces" data-hold="">
      <div class="head"><h2>Newest failed traces</h2><a href={tracesLink({ start: state.start, end: state.end, environment: state.environment, status: 'error' })}>All of them</a></div>
      {asked.failure && <FailureNote failure={asked.failure} again={asked.again} />}
      <PartialNote of={of} />
      {of ? <NewestTraces of={of.traces} none="Nothing failed in this range." /> : !asked.failure && <p class="muted">Looking …</p>}
    </section>
  );
}

function Requests({ asked, of, state }: { asked: Asked<Correlations>; of: Correlations | null; state: HomeState }) {
  return (
    <section aria-label="Newest correlations" data-hold="">
      <div class="head"><h2>Newest correlations</h2><a href={correlationsLink({ start: state.start, end: state.end, environment: state.environment })}>All of them</a></div>
      {asked.failure && <FailureNote failure={asked.failure} again={asked.again} />}
      {of ? <NewestCorrelations of={of.correlations} none="No correlation id came in this range." /> : !asked.failure && <p class="muted">Looking …</p>}
    </section>
  );
}

export default function Home() {
  const [state, set] = useScreen(home);
  const some = { start: state.start, end: state.end, environment: state.environment }, live = isLive(state), key = JSON.stringify(some);
  const stats = useQuestion<Stats>('/api/v1/traces/stats', { ...some, top: 0, services: 200, rollups: true, compare: state.compare ? 'before' : '' });
  const services = useQuestion<Services>('/api/v1/services', { start: 'now-30d' });
  const failed = useQuestion<Traces>('/api/v1/traces', { ...some, status: 'error', limit: newest });
  const answered = useRef(false); // then the last minute is counted: no more than four questions at a time
  answered.current ||= stats.data !== null;
  const requests = useQuestion<Correlations>('/api/v1/correlations', { ...some, limit: newest });
  const minute = useQuestion<Stats>(live && answered.current ? '/api/v1/traces/stats' : null, { start: 'now-1m', environment: state.environment, top: 0 });
  const [turn, setTurn] = useState(0); // of those asked for by hand
  const askAgain = (): void => { stats.again(); failed.again(); requests.again(); if (live) minute.again(); };
  const refresh = (): void => { setTurn((t) => t + 1); services.again(); askAgain(); };
  const busy = stats.busy || failed.busy || requests.busy || minute.busy, quiet = useLive(live && !state.paused, busy, askAgain);
  const shown = useKept(stats, key), failures = useKept(failed, key), newestIds = useKept(requests, key), lately = useKept(minute, state.environment);
  const environments = [...new Set((services.data?.services ?? []).map((s) => s.environment))].sort();
  const logsOnly = [...new Set((services.data?.services ?? []).filter((s) => s.signals.length === 1 && s.signals[0] === 'logs').map((s) => s.name))];
  const pause = (): void => set({ paused: !state.paused }, true);
  const series = useMemo(() => (shown ? spanSeries(shown) : null), [shown]);
  useKeys({ ' ': () => live && pause() });
  return (
    <>
      <Progress on={busy && !quiet} text="Counting spans" stop={() => { stats.stop(); failed.stop(); requests.stop(); minute.stop(); }} />
      <div class="head">
        <h1>Overview {shown && shown.span_count > 0 && <span class="muted">· {plural(shown.services?.length ?? 0, 'service')}{shown.trace_count !== null && `, ${plural(shown.trace_count, 'trace')}`}</span>}</h1>
        {environments.length > 0 && (
          <select class="field" style={{ width: 'auto' }} aria-label="Environment" value={state.environment} onChange={(e) => set({ environment: e.currentTarget.value })}>
            <option value="">All environments</option>
            {[...new Set([...environments, ...(state.environment ? [state.environment] : [])])].map((e) => <option key={e} value={e}>{e}</option>)}
          </select>
        )}
        {live && <button class="button" aria-pressed={!state.paused} title={`${state.paused ? 'Paused' : 'Asked anew every 10 s'} (Space)`} onClick={pause}>{!state.paused && <i class="pulse" aria-hidden="true" />}Live</button>}
        <TimePicker range={state} onChange={set} refresh={refresh} compare={{ on: state.compare, set: (compare) => set({ compare }) }} />
      </div>
      {stats.failure && <FailureNote failure={stats.failure} again={refresh} />}
      <PartialNote of={shown} />
      {!shown && !stats.failure && <p class="muted">Counting spans …</p>}
      {shown && shown.span_count === 0 && <NothingHere state={state} known={services.data ? services.data.services.length : -1} set={set} />}
      {shown && state.compare && shown.before === null && <p class="muted">There is no period before this range.</p>}
      {shown && shown.span_count > 0 && (
        <>
          <Tiles stats={shown} state={state} minute={lately} />
          <div data-hold=""><SpanCharts bare stats={shown} data={series!} range={state} set={set} /></div>
          <Table stats={shown} state={state} turn={turn} busy={stats.busy} />
          <div class="twoparts"><FailedTraces asked={failed} of={failures} state={state} /><Requests asked={requests} of={newestIds} state={state} /></div>
        </>
      )}
      {logsOnly.length > 0 && <p class="muted">Logs alone: {logsOnly.map((name, i) => <span key={name}>{i > 0 && ' '}<Who service={name} href={logsLink({ start: state.start, end: state.end, service: name })} /></span>)}</p>}
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
