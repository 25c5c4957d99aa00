// What the metrics of its services did while a request ran: small charts over the same time, each with the query to go on with.
import { useState } from 'preact/hooks';
import { useQuestion } from '../../lib/api';
import { paramsOf, pathOf, type Meanwhile, type MeanwhileChart } from '../../lib/correlation';
import { duration, measured } from '../../lib/format';
import { usePrefs } from '../../lib/prefs';
import { measureOf } from '../../lib/prom';
import { selectors, tokens } from '../../lib/promql';
import { metricsLink, traceLink, type CorrelationsState } from '../../lib/screens';
import { parseMs, showClock, showRange } from '../../lib/time';
import { Dot } from '../chips';
import { Answer, PartialNote } from '../states';

const wide = 160, high = 34, tones = ['accent', 'service-1', 'service-3', 'service-5', 'service-6'], few = 3;

/** How a chart's values are written: as its query says. */
function showOf(c: MeanwhileChart): (v: number) => string {
  const measure = c.metric === 'p95' ? 'seconds' : measureOf(tokens(c.query), selectors(c.query).map((s) => s.metric)), isRate = c.query.startsWith('sum(rate(') && measure === '';
  return (v) => measured(v, measure) + (isRate ? '/s' : '');
}
/** Of an exemplar: a duration where its series is one. */
const showSample = (metric: string, v: number): string => measured(v, /_seconds(_bucket)?$|^traces_spanmetrics_latency/.test(metric) ? 'seconds' : /_bytes(_bucket)?$/.test(metric) ? 'bytes' : '');
const names: Record<string, string> = { calls: 'Calls', errors: 'Errors', p95: 'p95' };
const labelsOf = (l: Record<string, string>): string => Object.entries(l).filter(([k]) => k !== '__name__').map(([k, v]) => `${k}=${v}`).join(', ');

/** Lines from left to right over the whole range; gaps where there is no value. `from`, `to`: shares of the range in which the request ran. */
function Lines({ chart, from, to, label }: { chart: MeanwhileChart; from: number; to: number; label: string }) {
  const values = chart.series.map((s) => s.values.map((v) => (v === null || !Number.isFinite(v) ? null : v))), all = values.flat().filter((v): v is number => v !== null);
  const most = Math.max(...all), least = Math.min(0, ...all), n = Math.max(2, ...values.map((v) => v.length));
  const x = (i: number): string => ((i / (n - 1)) * wide).toFixed(1), y = (v: number): string => (high - 2 - ((v - least) / (most - least || 1)) * (high - 5)).toFixed(1);
  const path = (v: (number | null)[]): string => v.map((one, i) => (one === null ? '' : `${i === 0 || v[i - 1] === null ? 'M' : 'L'}${x(i)} ${y(one)}${(i === 0 || v[i - 1] === null) && (i === v.length - 1 || v[i + 1] === null) ? 'h1' : ''}`)).join('');
  return (
    <svg class="meanlines" viewBox={`0 0 ${wide} ${high}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <rect class="ran" x={(from * wide).toFixed(1)} y="0" width={Math.max(2.5, (to - from) * wide).toFixed(1)} height={high} />
      {values.map((v, k) => <path key={k} d={path(v)} style={{ stroke: `var(--${chart.metric === 'errors' ? 'error-bar' : tones[k % tones.length]})` }} />)}
    </svg>
  );
}

function ChartOf({ c, m, range, from, to }: { c: MeanwhileChart; m: Meanwhile; range: { start: string; end: string }; from: number; to: number }) {
  const show = showOf(c), all = c.series.flatMap((s) => s.values.filter((v): v is number => v !== null && Number.isFinite(v))), most = all.length ? Math.max(...all) : NaN, name = names[c.metric] ?? c.metric;
  const first = parseMs(m.range.start), step = m.step_ns / 1e6, now = c.series.length === 1 ? c.series[0].values[Math.round((((from + to) / 2) * (parseMs(m.range.end) - first)) / step)] : undefined;
  return (
    <li class="meanchart">
      <a href={metricsLink({ ...range, query: [c.query] })} title={`${c.query}\nOpen in metrics`}><span class="cut">{name}</span></a>
      <Lines chart={c} from={from} to={to} label={`${name} of ${c.service}: at most ${Number.isNaN(most) ? 'nothing' : show(most)}${c.series.length > 1 ? `, ${c.series.length} series` : ''}`} />
      <span class="muted" title={c.series.map((s) => labelsOf(s.labels)).filter(Boolean).join('\n') || undefined}>{now !== undefined && now !== null && <b>{show(now)}</b>} <span>{Number.isNaN(most) ? '–' : `max ${show(most)}`}</span></span>
    </li>
  );
}

function Exemplars({ m, range }: { m: Meanwhile; range: { start: string; end: string } }) {
  const { zone } = usePrefs(), [all, setAll] = useState(false);
  if (m.exemplars.length === 0) return null;
  return (
    <>
      <h3>Samples that name its traces <span class="muted">{m.exemplars.length}</span></h3>
      <ul class="newest">
        {m.exemplars.slice(0, all ? undefined : 5).map((e, k) => {
          const { __name__: metric = '', ...labels } = e.series;
          return (
            <li key={k}>
              <span class="muted">{showClock(parseMs(e.time), zone, Date.now())}</span>
              <span class="cut"><Dot service={e.service} />{metric} <span class="muted" title={labelsOf(labels)}>{labelsOf(labels)}</span></span>
              <span><b>{e.value === null ? '–' : showSample(metric, e.value)}</b> <a href={traceLink(e.trace_id, { span: e.labels.span_id ?? '' })}>trace</a> <a href={metricsLink({ ...range, metric })}>metric</a></span>
            </li>
          );
        })}
      </ul>
      {m.exemplars.length > 5 && <button class="link" onClick={() => setAll(!all)}>{all ? 'Fewer' : `All ${m.exemplars.length}`}</button>}
    </>
  );
}

function Service({ name, charts, ...more }: { name: string; charts: MeanwhileChart[]; m: Meanwhile; range: { start: string; end: string }; from: number; to: number }) {
  const [all, setAll] = useState(false), shown = all ? charts : charts.slice(0, few);
  return (
    <li>
      <h3><Dot service={name} />{name} {charts.length > few && <button class="link" aria-expanded={all} onClick={() => setAll(!all)}>{all ? 'Fewer' : `${charts.length - few} more`}</button>}</h3>
      <ul class="meancharts">{shown.map((c) => <ChartOf key={c.query} c={c} {...more} />)}</ul>
    </li>
  );
}

export function MeanwhileStrip({ state, first, last }: { state: CorrelationsState; first: string; last: string }) {
  const { zone } = usePrefs();
  const asked = useQuestion<Meanwhile>(pathOf(state, '/metrics'), paramsOf(state));
  return (
    <section class="meanwhile" aria-label="Meanwhile">
      <Answer asked={asked} wait="Reading what its services' metrics did">
        {(m) => {
          const range = { start: m.range.start, end: m.range.end }, a = parseMs(m.range.start), long = Math.max(1, parseMs(m.range.end) - a);
          const share = (t: string): number => Math.max(0, Math.min(1, (parseMs(t) - a) / long)), services = [...new Set(m.charts.map((c) => c.service))];
          return (
            <>
              <div class="head"><h2>Meanwhile</h2><span class="muted grow">{services.length > 0 ? `its services' metrics, ${showRange(range, zone)}, ${duration(m.step_ns)} apart; shaded: while it ran` : 'its services sent no metrics that could be shown'}</span></div>
              <PartialNote of={m} />
              <ul class="meanservices">{services.map((name) => <Service key={name} name={name} charts={m.charts.filter((c) => c.service === name)} m={m} range={range} from={share(first)} to={share(last)} />)}</ul>
              <Exemplars m={m} range={range} />
            </>
          );
        }}
      </Answer>
    </section>
  );
}
