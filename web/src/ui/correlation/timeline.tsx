// Everything that has an id on one axis of time: spans as bars, log records as marks, of all its traces; only the rows in sight are in the document.
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { scrollInto } from '../../hot/rows';
import { froms, keyOfRow, rowOfKey, rowsOf, squeeze, straight, type Axis, type Timeline } from '../../hot/timeline';
import { nextMarked, ticks, type Bars } from '../../hot/waterfall';
import { useQuestion } from '../../lib/api';
import { fromWords, paramsOf, pathOf, readTimeline, type TimelineAnswer } from '../../lib/correlation';
import { duration, grouped, plural } from '../../lib/format';
import { useKeys } from '../../lib/keys';
import { usePrefs } from '../../lib/prefs';
import { logsLink, serviceLink, traceLink, type CorrelationsState } from '../../lib/screens';
import { absolute, showTime } from '../../lib/time';
import { CopyButton, Dot, say, serviceColour, Who } from '../chips';
import { MiniMap, type View } from '../fall';
import { useNarrow } from '../grid';
import { rowHeight, Rows } from '../rows';
import { Answer, PartialNote } from '../states';

type Set_ = (s: Partial<CorrelationsState>, replace?: boolean) => void;

function viewOf(text: string, total: number): View {
  const m = /^(\d+)-(\d+)$/.exec(text), [from, to] = m ? [Number(m[1]), Math.min(total, Number(m[2]))] : [0, total];
  return to > from ? [from, to] : [0, total];
}

/* ---- the axis ---- */

const marksOfTime = (a: Axis, view: View, wanted: number): { at: number; text: string }[] =>
  ticks(view[0], (view[1] - view[0]) * 0.92, wanted).filter((t) => !a.cuts.some((c) => t > c.at && t < c.to)).map((t) => ({ at: t, text: duration(Math.round(a.real(t))).replace(/\.0+(?= )/, '') }));

function AxisRow({ a, view }: { a: Axis; view: View }) {
  const narrow = useNarrow(), span = view[1] - view[0] || 1, x = (t: number): string => `${((t - view[0]) / span) * 100}%`;
  return (
    <div class="axis" aria-hidden="true">
      <span>Span or record</span>
      <div class="marks">
        {marksOfTime(a, view, narrow ? 2 : 5).map((m) => <span key={m.at} style={{ left: x(m.at) }}>{m.text}</span>)}
        {a.cuts.filter((c) => c.to > view[0] && c.at < view[1]).slice(0, 40).map((c) => <i key={c.at} class="axiscut" style={{ left: x(c.at), width: `${((c.to - c.at) / span) * 100}%` }} title={`${duration(c.ns)} in which nothing happened`}><b>{duration(c.ns)}</b></i>)}
      </div>
    </div>
  );
}

/* ---- rows ---- */

interface RowProps {
  t: Timeline;
  a: Axis;
  i: number;
  top: number;
  view: View;
  at: boolean;
  many: boolean; // traces
  onSelect: () => void;
}

function Bar({ t, a, i, view }: RowProps) {
  const span = view[1] - view[0] || 1, left = ((a.at[i] - view[0]) / span) * 100;
  if (t.log[i]) return left >= -1 && left <= 101 ? <span class={`moment s-${t.level[i]}`} style={{ left: `${left}%` }} /> : null;
  const right = left + (t.duration[i] / span) * 100, from = Math.max(0, left), to = Math.min(100, right);
  if (left > 100 || right < 0) return null;
  return (
    <>
      <span class="bar-of" style={{ left: `${from}%`, width: `${to - from}%`, backgroundColor: `var(--${t.error[i] ? 'error-bar' : serviceColour(t.services[t.service[i]])})` }} />
      <span class="took" style={{ left: `${to}%` }}>{duration(t.duration[i])}</span>
    </>
  );
}

function Row(p: RowProps) {
  const { t, i } = p, service = t.services[t.service[i]], from = fromWords[froms[t.from[i]]];
  return (
    <div class={`row${p.at ? ' at' : ''}${t.log[i] ? ` log s-${t.level[i]}` : ''}`} role="row" id={`item-${i}`} aria-rowindex={i + 1} aria-selected={p.at} style={{ top: `${p.top}px` }} onClick={p.onSelect}>
      <div class="label" role="gridcell">
        {p.many && <span class="which" title={t.trace[i] < 0 ? 'Of no trace' : `Trace ${t.trace[i] + 1}: ${t.traces[t.trace[i]]}`}>{t.trace[i] < 0 ? '–' : t.trace[i] + 1}</span>}
        <Dot service={service} />
        {t.error[i] === 1 && <span class="mark" title="Error">!<span class="sr">error </span></span>}
        {t.log[i] === 1 && <span class="sev">{t.level[i]} </span>}
        <span class="name">{t.name[i]}</span>
        <span class="of">{service}{from.tag && ` · id ${from.tag}`}</span>
      </div>
      <div class="track" role="gridcell"><Bar {...p} /></div>
    </div>
  );
}

/* ---- what is looked at ---- */

function Detail({ t, i, close }: { t: Timeline; i: number; close: () => void }) {
  const { zone } = usePrefs(), ms = t.origin.s * 1000 + (t.origin.ns + t.start[i]) / 1e6, service = t.services[t.service[i]], trace = t.trace[i] < 0 ? '' : t.traces[t.trace[i]];
  const range = absolute(ms - 1_800_000, ms + t.duration[i] / 1e6 + 1_800_000), { tag, why } = fromWords[froms[t.from[i]]];
  return (
    <aside class="detail" aria-label={t.log[i] ? 'Record' : 'Span'} tabIndex={0}>
      <header><h2 class="grow">{t.log[i] ? <span class={`s-${t.level[i]}`}><span class="sev">{t.level[i]}</span></span> : t.name[i]}</h2><button class="button quiet icon" aria-label="Close" title="Close (Esc)" onClick={close}>×</button></header>
      {t.log[i] === 1 && <section aria-label="Body"><pre class="body">{t.name[i]}</pre></section>}
      <section aria-label="Facts">
        <dl class="pairs">
          <dt>Service</dt><dd><Who service={service} href={serviceLink({ ...range, service })} /></dd>
          <dt>Time</dt><dd>+{duration(t.start[i])} <span class="muted">{showTime(ms, zone, true)}</span></dd>
          {!t.log[i] && <><dt>Duration</dt><dd>{duration(t.duration[i])}</dd><dt>Status</dt><dd>{t.error[i] ? <span class="tag error">error</span> : 'no error'}</dd></>}
          <dt>Its id</dt><dd>{tag || 'its own'} <span class="muted">{why}</span></dd>
          <dt>Trace</dt><dd class="mono">{trace ? <><a href={traceLink(trace, { span: t.span[i] })}>{trace}</a> <CopyButton what="the trace's id" text={trace} /></> : 'none'}</dd>
          {t.span[i] && <><dt>Span</dt><dd class="mono">{t.span[i]}</dd></>}
        </dl>
      </section>
      <section aria-label="Ways on" style={{ display: 'flex', flexWrap: 'wrap', gap: '8px' }}>
        {trace && <a class="button main" href={traceLink(trace, { span: t.span[i] })}>Open in its trace</a>}
        {t.log[i] === 1 && <a class="button" href={logsLink({ ...range, service, record: t.id[i] })}>Open the record</a>}
        {trace && <a class="button" href={logsLink({ ...range, trace_id: trace, span_id: t.span[i] })}>Logs of the span</a>}
      </section>
    </aside>
  );
}

/* ---- the whole ---- */

function Choices({ t, a, state, set, count, cut }: { t: Timeline; a: Axis; state: CorrelationsState; set: Set_; count: number; cut: boolean }) {
  const kind = (k: CorrelationsState['kind'], name: string) => <button class="button" aria-pressed={state.kind === k} onClick={() => set({ kind: k }, true)}>{name}</button>;
  return (
    <div class="head">
      <div class="group" role="group" aria-label="Rows">{kind('all', 'All')}{kind('spans', 'Spans')}{kind('logs', 'Logs')}</div>
      <button class="button" aria-pressed={state.failed} onClick={() => set({ failed: !state.failed }, true)}>Errors</button>
      {t.traces.length > 1 && <button class="button" aria-pressed={state.grouped} title="One trace after the other (g by time)" onClick={() => set({ grouped: !state.grouped }, true)}>By trace</button>}
      {cut && <button class="button" aria-pressed={state.scale === 'true'} title={`${plural(a.cuts.length, 'gap')} in which nothing happens ${a.cuts.length === 1 ? 'is' : 'are'} drawn short`} onClick={() => set({ scale: state.scale === 'true' ? 'short' : 'true', view: '' }, true)}>True scale</button>}
      <input class="field find" data-search="" aria-label="Find in the timeline" placeholder="Find (/)" value={state.find} spellcheck={false} onInput={(e) => set({ find: e.currentTarget.value }, true)} />
      <span class="muted" role="status">{count === t.n ? plural(t.n, 'row') : `${grouped(count)} of ${plural(t.n, 'row')}`}</span>
    </div>
  );
}

export function TimelineRows({ t, state, set }: { t: Timeline; state: CorrelationsState; set: Set_ }) {
  const box = useRef<HTMLDivElement>(null);
  const short = useMemo(() => squeeze(t), [t]), a = state.scale === 'true' ? straight(t) : short;
  const bars = useMemo<Bars>(() => ({ n: t.n, start: a.at, duration: t.duration, error: t.error, total: a.total }), [t, a.at, a.total]);
  const [rows, count] = useMemo(() => {
    const out = new Int32Array(t.n);
    return [out, rowsOf(t, { find: state.find, kind: state.kind, errors: state.failed, grouped: state.grouped }, out)] as const;
  }, [t, state.find, state.kind, state.failed, state.grouped]);
  const at = useMemo(() => (state.row ? rowOfKey(t, state.row) : -1), [t, state.row]), position = useMemo(() => rows.subarray(0, count).indexOf(at), [rows, count, at]);
  const view = viewOf(state.view, a.total);
  useEffect(() => {
    const b = box.current;
    if (b && position >= 0) b.scrollTop = scrollInto(b.scrollTop, b.clientHeight, rowHeight, position);
  }, [position]);
  const select = (i: number): void => set({ row: i < 0 ? '' : keyOfRow(t, i) }, true);
  const move = (step: number): void => { if (count) select(rows[position < 0 ? 0 : Math.max(0, Math.min(count - 1, position + step))]); };
  const failed = (step: 1 | -1): void => {
    const marks = Uint8Array.from(rows.subarray(0, count), (i) => t.error[i]), k = nextMarked(marks, position < 0 ? (step === 1 ? -1 : 0) : position, step);
    if (k < 0) say('No errors here');
    else select(rows[k]);
  };
  useKeys({
    j: () => move(1), k: () => move(-1), arrowdown: () => move(1), arrowup: () => move(-1), n: () => failed(1), e: () => failed(1), p: () => failed(-1),
    escape: () => (at >= 0 ? select(-1) : state.view ? set({ view: '' }, true) : set({ find: '' }, true)),
  });
  return (
    <>
      <Choices t={t} a={short} state={state} set={set} count={count} cut={short.cuts.length > 0} />
      <div class={at >= 0 ? 'trace open' : 'trace'}>
        <div class="fall timeline" style={{ maxHeight: `${Math.max(3, count) * rowHeight + 84}px` }}>
          <MiniMap w={bars} view={view} onView={(v) => set({ view: v ? `${Math.floor(v[0])}-${Math.ceil(v[1])}` : '' }, true)} />
          <AxisRow a={a} view={view} />
          <Rows count={count} box={box} role="grid" aria-label="Timeline" aria-rowcount={t.n} aria-readonly="true" aria-activedescendant={position >= 0 ? `item-${at}` : undefined}
            row={(k, slot) => <Row key={slot} t={t} a={a} i={rows[k]} top={k * rowHeight} view={view} at={rows[k] === at} many={t.traces.length > 1} onSelect={() => select(rows[k] === at ? -1 : rows[k])} />} />
        </div>
        {at >= 0 && <Detail t={t} i={at} close={() => select(-1)} />}
      </div>
    </>
  );
}

export function TimelineTab({ state, set }: { state: CorrelationsState; set: Set_ }) {
  const asked = useQuestion<TimelineAnswer>(pathOf(state, '/timeline'), { ...paramsOf(state), limit: 10_000 });
  const t = useMemo(() => (asked.data ? readTimeline(asked.data, state.stored) : null), [asked.data, state.stored]);
  return (
    <Answer asked={asked} wait="Loading what happened">
      {(data) => <><PartialNote of={data} />{t && t.n > 0 ? <TimelineRows t={t} state={state} set={set} /> : <p class="muted">Nothing happened with this id in this range.</p>}</>}
    </Answer>
  );
}
