// Spans a second, errors and durations over time; the period before as a muted dashed line on the same axis.
import type { SpanStats, Stats } from '../lib/api';
import { duration, percent, rate } from '../lib/format';
import type { Range } from '../lib/screens';
import { parseMs } from '../lib/time';
import { Change } from './change';
import { Chart } from './chart';
import { useZoom } from './time';

type Line = (number | null)[];
export interface SpanSeries { rate: Line[]; errors: Line[]; latency: Line[] }

/** [seconds, now…, before…] for each chart. Buckets of the period before stand one for one. */
export function spanSeries(s: Stats): SpanSeries {
  const x = s.buckets.map((b) => parseMs(b.start) / 1000), seconds = s.step_ns / 1e9;
  const lines = (...of: ((b: SpanStats) => number | null)[]): Line[] => [
    x, ...of.map((f) => s.buckets.map(f)), ...(s.before ? [s.buckets.map((_, i) => (s.before!.buckets[i] ? of[0](s.before!.buckets[i]) : null))] : []),
  ];
  return {
    rate: lines((b) => b.span_count / seconds), errors: lines((b) => b.error_count / seconds),
    latency: lines((b) => b.duration?.p95_ns ?? null, (b) => b.duration?.p50_ns ?? null),
  };
}

/** `bare`: the figures stand elsewhere on the screen. */
export function SpanCharts({ stats, data, range, set, bare }: { stats: Stats; data: SpanSeries; range: Range; set: (r: Range) => void; bare?: boolean }) {
  const zoom = useZoom(range, set), d = stats.duration, b = stats.before;
  const more = { onPick: zoom.pick, onReset: zoom.out, low: true };
  const before = b ? [{ label: 'before', token: 'muted', kind: 'dashed' as const }] : [];
  const p95 = before.map((s) => ({ ...s, label: 'p95 before' }));
  return (
    <div class="charts">
      <figure class="chart">
        <figcaption><b>Spans a second</b>{!bare && <span class="now">{rate(stats.spans_per_second)} <Change now={stats.spans_per_second} before={b?.spans_per_second} show={rate} /></span>}</figcaption>
        <Chart {...more} data={data.rate} format={(v) => (v === 0 ? '0' : rate(v))} label={`Spans a second, on average ${rate(stats.spans_per_second)}`} series={[{ label: 'spans/s', token: 'accent', kind: 'area' }, ...before]} />
      </figure>
      <figure class="chart">
        <figcaption><b>Errors a second</b>{!bare && <span class={stats.error_count ? 'now bad' : 'now'}>{percent(stats.error_ratio)} <small class="muted">of spans</small> <Change now={stats.error_ratio} before={b?.error_ratio} show={percent} worse="more" share /></span>}</figcaption>
        <Chart {...more} data={data.errors} format={(v) => (v === 0 ? '0' : rate(v))} label={`Errors a second; ${percent(stats.error_ratio)} of spans`} series={[{ label: 'errors/s', token: 'error', kind: 'bars' }, ...before.map((s) => ({ ...s, kind: 'steps' as const }))]} />
      </figure>
      <figure class="chart">
        <figcaption><b>Duration of spans</b>{bare ? <span class="muted">p95, p50</span> : <span class="now">{d ? duration(d.p95_ns) : '–'} <small class="muted">p95, p50 {d ? duration(d.p50_ns) : '–'}</small> {d && <Change now={d.p95_ns} before={b?.duration?.p95_ns} show={duration} worse="more" />}</span>}</figcaption>
        <Chart {...more} data={data.latency} format={duration} label={d ? `Duration of spans: p95 ${duration(d.p95_ns)}, p50 ${duration(d.p50_ns)}` : 'Duration of spans: none'}
          series={[{ label: 'p95', token: 'accent', kind: 'line' }, { label: 'p50', token: 'line-strong', kind: 'line' }, ...p95]} />
      </figure>
    </div>
  );
}
