// Who sends, how much, with how many errors and how fast: one question for all of it.
import { useMemo, useState } from 'preact/hooks';
import { useQuestion, type Services, type ServiceStats, type Stats } from '../lib/api';
import { count, duration, percent, plural, rate } from '../lib/format';
import { useKeys } from '../lib/keys';
import { go, useScreen } from '../lib/nav';
import { home, logsLink, tracesLink, type HomeState } from '../lib/screens';
import { absolute, parseMs, rangeMs } from '../lib/time';
import { Chart, Spark } from '../ui/chart';
import { Dot } from '../ui/chips';
import { Empty, FailureNote, PartialNote, Progress } from '../ui/states';
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

/** Spans a second, errors a second, and durations by bucket. */
function seriesOf(s: Stats): { rate: Float64Array[]; latency: Float64Array[]; errors: Float64Array[] } {
  const n = s.buckets.length, seconds = s.step_ns / 1e9;
  const make = (lines: number): Float64Array[] => Array.from({ length: lines + 1 }, () => new Float64Array(n));
  const out = { rate: make(1), errors: make(1), latency: make(2) };
  s.buckets.forEach((b, i) => {
    out.rate[0][i] = out.errors[0][i] = out.latency[0][i] = parseMs(b.start) / 1000;
    out.rate[1][i] = b.span_count / seconds;
    out.errors[1][i] = b.error_count / seconds;
    out.latency[1][i] = b.duration ? b.duration.p95_ns : NaN;
    out.latency[2][i] = b.duration ? b.duration.p50_ns : NaN;
  });
  return out;
}

function Charts({ stats, onPick }: { stats: Stats; onPick: (from: number, to: number) => void }) {
  const data = useMemo(() => seriesOf(stats), [stats]);
  const latency = data.latency.map((v) => Array.from(v, (x) => (Number.isNaN(x) ? null : x))) as unknown as ArrayLike<number>[];
  const kept = useMemo(() => latency, [stats]);
  const d = stats.duration;
  return (
    <div class="charts">
      <figure class="chart">
        <figcaption><b>Spans a second</b><span class="now">{rate(stats.spans_per_second)}</span></figcaption>
        <Chart low data={data.rate} format={count} onPick={onPick} label={`Spans a second, on average ${rate(stats.spans_per_second)}`} series={[{ label: 'spans/s', token: 'accent', kind: 'area' }]} />
      </figure>
      <figure class="chart">
        <figcaption><b>Errors a second</b><span class={stats.error_count ? 'now bad' : 'now'}>{percent(stats.error_ratio)} <small class="muted">of spans</small></span></figcaption>
        <Chart low data={data.errors} format={(v) => (v === 0 ? '0' : rate(v))} onPick={onPick} label={`Errors a second; ${percent(stats.error_ratio)} of spans`} series={[{ label: 'errors/s', token: 'error', kind: 'bars' }]} />
      </figure>
      <figure class="chart">
        <figcaption><b>Duration of spans</b><span class="now">{d ? duration(d.p95_ns) : '–'} <small class="muted">p95, p50 {d ? duration(d.p50_ns) : '–'}</small></span></figcaption>
        <Chart low data={kept} format={duration} onPick={onPick} label={d ? `Duration of spans: p95 ${duration(d.p95_ns)}, p50 ${duration(d.p50_ns)}` : 'Duration of spans: none'}
          series={[{ label: 'p95', token: 'accent', kind: 'line' }, { label: 'p50', token: 'line-strong', kind: 'line' }]} />
      </figure>
    </div>
  );
}

function Row({ s, state, seconds, at }: { s: ServiceStats; state: HomeState; seconds: number; at: boolean }) {
  const some = { start: state.start, end: state.end, environment: state.environment, service: s.service };
  return (
    <tr class={at ? 'at' : ''}>
      <td><Dot service={s.service} /><a class="strong" href={tracesLink(some)}>{s.service}</a></td>
      <td class="num">{rate(s.span_count / seconds)}</td>
      <td class="num">{s.error_count ? <a class="bad" href={tracesLink({ ...some, status: 'error' })}>{percent(s.error_ratio)}</a> : <span class="muted">0%</span>}</td>
      <td class="num hide-small">{s.duration ? duration(s.duration.p50_ns) : '–'}</td>
      <td class="num">{s.duration ? <a href={tracesLink({ ...some, order: 'longest' })}>{duration(s.duration.p95_ns)}</a> : '–'}</td>
      <td class="hide-small"><Spark counts={s.bucket_span_counts} errors={s.bucket_error_counts} label={`${s.service}: ${plural(s.span_count, 'span')}, ${plural(s.error_count, 'error')}`} /></td>
      <td class="hide-small num"><a href={logsLink(some)}>Logs</a></td>
    </tr>
  );
}

function Table({ stats, state }: { stats: Stats; state: HomeState }) {
  const [by, setBy] = useState<Sort>('rate');
  const [at, setAt] = useState(-1);
  const rows = sorted(stats.services ?? [], by);
  const [from, to] = rangeMs({ start: stats.range.start, end: stats.range.end }, 0);
  const move = (step: number): void => setAt(Math.max(0, Math.min(rows.length - 1, at + step)));
  useKeys({
    j: () => move(1), k: () => move(-1), arrowdown: () => move(1), arrowup: () => move(-1),
    enter: () => rows[at] && go(tracesLink({ start: state.start, end: state.end, environment: state.environment, service: rows[at].service })),
  });
  const head = (key: Sort, name: string, cls = 'num') => (
    <th scope="col" class={cls} aria-sort={by === key ? (key === 'service' ? 'ascending' : 'descending') : undefined}><button onClick={() => setBy(key)}>{name}{by === key ? (key === 'service' ? ' ↑' : ' ↓') : ''}</button></th>
  );
  return (
    <div class="scroll">
      <table class="table">
        <thead>
          <tr>{head('service', 'Service', '')}{head('rate', 'Spans/s')}{head('errors', 'Errors')}{head('p50', 'p50', 'num hide-small')}{head('p95', 'p95')}<th scope="col" class="wide hide-small">Over time</th><th scope="col" class="hide-small"><span class="sr">Logs</span></th></tr>
        </thead>
        <tbody>{rows.map((s, i) => <Row key={s.service} s={s} state={state} seconds={Math.max(1, (to - from) / 1000)} at={i === at} />)}</tbody>
      </table>
    </div>
  );
}

export default function Home() {
  const [state, set] = useScreen(home);
  const stats = useQuestion<Stats>('/api/v1/traces/stats', { start: state.start, end: state.end, environment: state.environment, top: 0, services: 200 });
  const services = useQuestion<Services>('/api/v1/services', { start: 'now-30d' });
  const environments = [...new Set((services.data?.services ?? []).map((s) => s.environment))].sort();
  const logsOnly = [...new Set((services.data?.services ?? []).filter((s) => s.signals.length === 1 && s.signals[0] === 'logs').map((s) => s.name))];
  const refresh = (): void => { stats.again(); services.again(); };
  return (
    <>
      <Progress on={stats.busy} text="Counting spans" />
      <div class="head">
        <h1>Services {stats.data && stats.data.span_count > 0 && <span class="muted">· {plural(stats.data.services?.length ?? 0, 'service')}, {plural(stats.data.trace_count, 'trace')}</span>}</h1>
        {environments.length > 0 && (
          <select class="field" style={{ width: 'auto' }} aria-label="Environment" value={state.environment} onChange={(e) => set({ environment: e.currentTarget.value })}>
            <option value="">All environments</option>
            {[...new Set([...environments, ...(state.environment ? [state.environment] : [])])].map((e) => <option key={e} value={e}>{e}</option>)}
          </select>
        )}
        <TimePicker range={state} onChange={set} refresh={refresh} />
      </div>
      {stats.failure && <FailureNote failure={stats.failure} again={refresh} />}
      <PartialNote of={stats.data} />
      {!stats.data && !stats.failure && <p class="muted">Counting spans …</p>}
      {stats.data && stats.data.span_count === 0 && <NothingHere state={state} known={services.data?.services.length ?? 0} set={set} />}
      {stats.data && stats.data.span_count > 0 && (
        <>
          <Charts stats={stats.data} onPick={(from, to) => set(absolute(from, to))} />
          <Table stats={stats.data} state={state} />
        </>
      )}
      {logsOnly.length > 0 && <p class="muted">Logs alone: {logsOnly.map((name, i) => <span key={name}>{i > 0 && ', '}<a href={logsLink({ start: state.start, end: state.end, service: name })}>{name}</a></span>)}</p>}
    </>
  );
}

function NothingHere({ state, known, set }: { state: HomeState; known: number; set: (s: Partial<HomeState>) => void }) {
  if (known === 0)
    return (
      <Empty title="Nothing has come in so far" actions={<a class="button main" href="/start">Send the first trace</a>}>
        clew runs and waits. It takes traces and logs by OpenTelemetry's protocol; one command is enough to see something here.
      </Empty>
    );
  return (
    <Empty title="No spans in this range of time"
      actions={<><button class="button main" onClick={() => set({ start: 'now-7d', end: '' })}>Look at the last 7 days</button>{state.environment && <button class="button" onClick={() => set({ environment: '' })}>All environments</button>}</>}>
      {plural(known, 'service')} {known === 1 ? 'has' : 'have'} sent something before or after{state.environment ? `, or in another environment than ${state.environment}` : ''}.
    </Empty>
  );
}
