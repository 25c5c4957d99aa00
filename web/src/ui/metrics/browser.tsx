// What there is: metrics with type and help, then the labels of one with their values, each with how many series have it.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useQuestion } from '../../lib/api';
import type { Cardinality, LabelCount, PairCount } from '../../lib/cardinality';
import { count, grouped, plural } from '../../lib/format';
import { sayOrigins } from '../../lib/origins';
import { suggestions } from '../../lib/prom';
import { groupedBy, selectors, withMatcher, writeSelector, type Matcher } from '../../lib/promql';
import { cardinalityLink, type MetricsState } from '../../lib/screens';
import { Acts } from '../chips';
import { rowHeight, Rows } from '../rows';
import { scrollInto } from '../../hot/rows';
import { FailureNote } from '../states';
import { bestFit } from './complete';
import type { Names } from './names';

type Set = (some: Partial<MetricsState>) => void;
const tail = 12; // letters at the end of a name that are always seen
const listed = 500; // pairs of one metric

/** A list of one column, moved in by keys: Up, Down, Enter; the field above it keeps the focus. */
function MetricList({ names, shown, at, pick }: { names: Names; shown: string[]; at: number; pick: (name: string) => void }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const b = box.current!;
    if (at >= 0) b.scrollTop = scrollInto(b.scrollTop, b.clientHeight, rowHeight, at);
  }, [at]);
  return (
    <Rows count={shown.length} box={box} role="grid" aria-label="Metrics" aria-rowcount={shown.length} aria-activedescendant={at >= 0 ? `metric-${at}` : undefined}
      row={(k) => {
        const about = names.about(shown[k]);
        return (
          <div key={k} id={`metric-${k}`} role="row" aria-rowindex={k + 1} aria-selected={k === at} class={k === at ? 'grid-row metric at' : 'grid-row metric'} style={{ top: `${k * rowHeight}px` }} title={about ? `${shown[k]}\n${about.type}${about.unit ? `, ${about.unit}` : ''}\n${about.help}` : shown[k]} onClick={() => pick(shown[k])}>
            <div role="gridcell" class="ended mono"><span class="cut">{shown[k].slice(0, -tail)}</span><span>{shown[k].slice(-tail)}</span></div>
            <div role="gridcell" class="muted">{about?.type === 'unknown' ? '' : about?.type}</div>
          </div>
        );
      }} />
  );
}

function Metrics({ state, set, names, pick }: { state: MetricsState; set: Set; names: Names; pick: (name: string) => void }) {
  const [find, setFind] = useState('');
  const [at, setAt] = useState(-1);
  const shown = useMemo(() => (find.trim() ? bestFit(names.names, find.trim(), names.names.length) : names.names), [names.names, find]);
  const origins = useMemo(() => sayOrigins(names.names, names.shared), [names.names, names.shared]);
  const onKey = (e: KeyboardEvent): void => {
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') setAt(Math.max(0, Math.min(shown.length - 1, at + (e.key === 'ArrowDown' ? 1 : -1))));
    else if (e.key === 'Enter' && shown.length) pick(shown[Math.max(0, at)]);
    else if (e.key === 'Escape') (e.target as HTMLElement).blur();
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  return (
    <div class="list" onKeyDown={onKey}>
      <input class="field" id="find-metric" aria-label="Find a metric" placeholder="Find a metric" value={find} spellcheck={false} autocomplete="off" aria-controls="metrics-found" onInput={(e) => { setFind(e.currentTarget.value); setAt(e.currentTarget.value ? 0 : -1); }} />
      {state.match && <p class="held"><code class="cut" title={state.match}>{state.match}</code><button class="button quiet icon" aria-label="All metrics" title="Not only those" onClick={() => set({ match: '' })}>×</button></p>}
      <p class="muted" id="metrics-found" role="status">{names.busy ? 'Looking …' : names.failure ? '' : find ? `${grouped(shown.length)} of ${plural(names.names.length, 'metric')}` : `${plural(names.names.length, 'metric')}${names.cut ? ' and more' : ''}${origins && `: ${origins}`}`}</p>
      {names.failure && <FailureNote failure={names.failure} again={names.again} />}
      {shown.length > 0 && <MetricList names={names} shown={shown} at={at} pick={pick} />}
      {!names.busy && !names.failure && names.names.length > 0 && shown.length === 0 && <p class="muted">No metric has “{find}” in its name.</p>}
      {!names.busy && !names.failure && names.names.length === 0 && <p class="muted">No samples in this range of time{state.match && ' that fulfil this'}.</p>}
    </div>
  );
}

function Value({ pair, most, add, group }: { pair: PairCount; most: number; add: (m: Matcher) => void; group: () => void }) {
  const m = (op: '=' | '!='): Matcher => ({ label: pair.name, op, value: pair.value });
  return (
    <li>
      <button class="link cut" title={`${pair.value}\nOnly these`} onClick={() => add(m('='))}>{pair.value}</button>
      <Acts name={`${pair.name} ${pair.value}`} text={pair.value} filter={() => add(m('='))} exclude={() => add(m('!='))} group={group} />
      <span class="num muted" title={plural(pair.series, 'series', 'series')}>{count(pair.series)}</span>
      <span class="bars" aria-hidden="true"><i style={{ width: `${Math.max(1, (pair.series / most) * 100)}%` }} /></span>
    </li>
  );
}

function Label({ label, pairs, open, toggle, add, group }: { label: LabelCount; pairs: PairCount[]; open: boolean; toggle: () => void; add: (m: Matcher) => void; group: () => void }) {
  const own = open ? pairs.filter((p) => p.name === label.name) : [], most = Math.max(1, ...own.map((p) => p.series));
  return (
    <li class="label">
      <button class="head" aria-expanded={open} onClick={toggle}><span class="cut mono">{label.name}</span><span class="muted">{plural(label.values, 'value')}</span></button>
      {open && (
        <ul class="of" aria-label={`Values of ${label.name}`}>
          {own.map((p) => <Value key={p.value} pair={p} most={most} add={add} group={group} />)}
          {own.length < label.values && <li class="muted">and {grouped(label.values - own.length)} more: write {label.name}=" in the query, and its values are offered.</li>}
        </ul>
      )}
    </li>
  );
}

function OneMetric({ state, set, names, query, ask, range }: { state: MetricsState; set: Set; names: Names; query: string; ask: (query: string) => void; range: { start: string; end: string } }) {
  const name = state.metric, about = names.about(name);
  const held = state.match ? selectors(state.match)[0]?.matchers ?? [] : [];
  const asked = useQuestion<Cardinality>('/api/v1/metrics/cardinality', { 'match[]': [writeSelector(name, held)], start: range.start, end: range.end, limit: listed });
  const labels = asked.data?.labels.filter((l) => l.name !== '__name__') ?? [];
  const isIn = selectors(query).some((s) => s.metric === name);
  const base = isIn ? query : writeSelector(name, held);
  const offers = suggestions(name, about?.type ?? '', labels.filter((l) => l.values > 1).map((l) => l.name), (m) => writeSelector(m, held));
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), [name]);
  return (
    <div class="one" onKeyDown={(e) => { if (e.key === 'Escape') set({ metric: '', label: '' }); }}>
      <div class="head"><button class="button quiet icon" aria-label="All metrics" title="All metrics (Esc)" onClick={() => set({ metric: '', label: '' })}>‹</button><h2 ref={heading} tabIndex={-1} class="mono">{name}</h2></div>
      <p class="muted">{about?.type && about.type !== 'unknown' && <span class="tag">{about.type}</span>} {about?.unit && <span class="tag">{about.unit}</span>} {about?.help ?? 'Nobody has said what this is.'}</p>
      <div class="offers">{offers.map((o) => <button key={o.query} class="button" title={o.query} aria-pressed={o.query === query} onClick={() => ask(o.query)}>{o.text}</button>)}</div>
      {asked.failure && <FailureNote failure={asked.failure} again={asked.again} />}
      {!asked.data && !asked.failure && <p class="muted">Counting series …</p>}
      {asked.data && <p class="muted"><a href={cardinalityLink({ match: writeSelector(name, held), by: 'label' })}>{plural(asked.data.series, 'series', 'series')}</a> in this range of time{labels.length > 0 && `, ${plural(labels.length, 'label')}`}</p>}
      <ul class="labels">
        {labels.map((l) => <Label key={l.name} label={l} pairs={asked.data!.pairs} open={state.label === l.name} toggle={() => set({ label: state.label === l.name ? '' : l.name })} add={(m) => ask(withMatcher(base, m, name))} group={() => ask(groupedBy(base, l.name))} />)}
      </ul>
    </div>
  );
}

export function Browser({ state, set, names, query, ask }: { state: MetricsState; set: Set; names: Names; query: string; ask: (query: string, more?: Partial<MetricsState>) => void }) {
  const pick = (name: string): void => {
    const held = state.match ? selectors(state.match)[0]?.matchers ?? [] : [];
    if (query.trim() !== '') set({ metric: name, label: '' });
    else ask(suggestions(name, names.about(name)?.type ?? '', [], (m) => writeSelector(m, held))[0].query, { metric: name, label: '' });
  };
  return (
    <aside class="browser" aria-label="Metrics and labels">
      {state.metric ? <OneMetric key={state.metric} state={state} set={set} names={names} query={query} ask={ask} range={state} /> : <Metrics state={state} set={set} names={names} pick={pick} />}
    </aside>
  );
}
