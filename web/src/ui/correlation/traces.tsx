// The traces of an id: what each is, its waterfall in small, and the way to it.
import { useMemo, useState } from 'preact/hooks';
import type { Bars } from '../../hot/waterfall';
import { useQuestion } from '../../lib/api';
import { fromWords, paramsOf, pathOf, type CorrelatedSpan, type CorrelatedTrace, type CorrelatedTraces, type IdFrom } from '../../lib/correlation';
import { duration, plural } from '../../lib/format';
import { useKeys } from '../../lib/keys';
import { go } from '../../lib/nav';
import { usePrefs } from '../../lib/prefs';
import { compareLink, logsLink, traceLink, type CorrelationsState } from '../../lib/screens';
import { absolute, earlier, parseInstant, parseMs, showTime, sinceNs } from '../../lib/time';
import { CopyButton, Dot } from '../chips';
import { SmallFall } from '../smallfall';
import { Answer, PartialNote } from '../states';

const shownFirst = 20;

/** When a span began: by its own clock, or by the right one. */
const startOf = (s: CorrelatedSpan, stored: boolean) => (stored ? parseInstant(s.start) : earlier(parseInstant(s.start), s.skew_ns ?? 0));

/** Spans of one trace as bars by time. */
function barsOf(spans: CorrelatedSpan[], trace: CorrelatedTrace, stored: boolean): Bars {
  const n = spans.length, apart = spans.some((s) => s.skew_ns);
  const starts = spans.map((s) => startOf(s, stored)), from = stored && apart ? starts.reduce((a, b) => (sinceNs(a, b) < 0 ? b : a)) : parseInstant(trace.start);
  const b: Bars = { n, start: new Float64Array(n), duration: new Float64Array(n), error: new Uint8Array(n), total: stored && apart ? 1 : Math.max(1, trace.duration_ns) };
  spans.forEach((s, i) => {
    b.start[i] = Math.max(0, sinceNs(from, starts[i]));
    b.duration[i] = Math.max(0, s.duration_ns);
    b.error[i] = s.status.code === 'error' ? 1 : 0;
    b.total = Math.max(b.total, b.start[i] + b.duration[i]);
  });
  return b;
}

/** What a trace begins with: its first span without a parent here. */
function rootOf(spans: CorrelatedSpan[]): CorrelatedSpan | undefined {
  const ids = new Set(spans.map((s) => s.span_id));
  return spans.find((s) => !s.parent_span_id) ?? spans.find((s) => !ids.has(s.parent_span_id)) ?? spans[0];
}

/** `alike`: the trace before it that begins with the same operation; "": none. */
function One({ t, spans, k, at, alike, stored }: { t: CorrelatedTrace; spans: CorrelatedSpan[]; k: number; at: boolean; alike: string; stored: boolean }) {
  const { zone } = usePrefs(), bars = useMemo(() => barsOf(spans, t, stored), [spans, t, stored]), start = parseMs(t.start);
  const root = rootOf(spans);
  const froms = new Map<IdFrom, number>();
  for (const s of spans) froms.set(s.correlation_from, (froms.get(s.correlation_from) ?? 0) + 1);
  return (
    <li class={at ? 'ofid at' : 'ofid'} id={at ? 'row-at' : undefined}>
      <div class="head">
        <span class="which">{k + 1}</span>
        <h2 class="grow">{root ? <a href={traceLink(t.trace_id)}><Dot service={root.service} />{root.service} {root.operation}</a> : <a class="mono" href={traceLink(t.trace_id)}>{t.trace_id}</a>}</h2>
        <b>{duration(t.duration_ns)}</b>
        {t.error_count > 0 && <span class="tag error">{plural(t.error_count, 'error')}</span>}
      </div>
      <a class="smallfall" href={traceLink(t.trace_id)} tabIndex={-1} aria-hidden="true"><SmallFall bars={bars} label="" /></a>
      <div class="facts">
        <span>{showTime(start, zone, true)}</span><span>{plural(t.span_count, 'span')}</span>
        {t.log_count > 0 && <a href={logsLink({ ...absolute(start - 1_800_000, start + t.duration_ns / 1e6 + 1_800_000), trace_id: t.trace_id })}>{plural(t.log_count, 'log record')}</a>}
        <span>{(['own', 'ancestor', 'trace', 'derived'] as const).filter((f) => froms.has(f)).map((f, i) => `${i ? ', ' : ''}${plural(froms.get(f)!, 'span')} ${fromWords[f].many}`).join('')}</span>
        <span class="mono">{t.trace_id} <CopyButton what="the trace's id" text={t.trace_id} /></span>
        <a href={compareLink(alike ? { a: alike, b: t.trace_id } : { a: t.trace_id })}>{alike ? 'Compare with the one before' : 'Compare with …'}</a>
      </div>
    </li>
  );
}

function List({ data, stored }: { data: CorrelatedTraces; stored: boolean }) {
  const [shown, setShown] = useState(shownFirst), [at, setAt] = useState(-1);
  const { of, alike } = useMemo(() => {
    const by = new Map<string, CorrelatedSpan[]>(data.traces.map((t) => [t.trace_id, []])), last = new Map<string, string>(), before: string[] = [];
    for (const s of data.spans) if (s.trace_id) by.get(s.trace_id)?.push(s);
    for (const t of data.traces) {
      const root = rootOf(by.get(t.trace_id)!), key = root ? `${root.service}\0${root.operation}` : '';
      before.push(last.get(key) ?? '');
      if (key) last.set(key, t.trace_id);
    }
    return { of: by, alike: before };
  }, [data]);
  const move = (by: number): void => {
    setAt(Math.max(0, Math.min(Math.min(shown, data.traces.length) - 1, at + by)));
    requestAnimationFrame(() => document.getElementById('row-at')?.scrollIntoView({ block: 'nearest' }));
  };
  useKeys({ j: () => move(1), k: () => move(-1), arrowdown: () => move(1), arrowup: () => move(-1), enter: () => data.traces[at] && go(traceLink(data.traces[at].trace_id)) });
  return (
    <>
      <ol class="ofids" aria-label="Traces">{data.traces.slice(0, shown).map((t, k) => <One key={t.trace_id} t={t} spans={of.get(t.trace_id) ?? none} k={k} at={k === at} alike={alike[k]} stored={stored} />)}</ol>
      {data.traces.length > shown && <div class="more"><button class="button" onClick={() => setShown(shown + 100)}>{plural(data.traces.length - shown, 'more trace')}</button></div>}
      {data.spans_left_out > 0 && <p class="muted">{plural(data.spans_left_out, 'span')} more than are drawn.</p>}
    </>
  );
}
const none: CorrelatedSpan[] = [];

export function TracesTab({ state }: { state: CorrelationsState }) {
  const asked = useQuestion<CorrelatedTraces>(pathOf(state, '/traces'), { ...paramsOf(state), limit: 10_000 });
  return (
    <Answer asked={asked} wait="Loading its traces">
      {(data) => <><PartialNote of={data} />{data.traces.length === 0 ? <p class="muted">No trace has this id; log records may have it.</p> : <List data={data} stored={state.stored} />}</>}
    </Answer>
  );
}
