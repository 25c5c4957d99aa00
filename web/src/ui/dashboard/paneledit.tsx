// The editor of one panel: what it asks, how it looks, and beside it what it shows.
import { useEffect, useRef, useState } from 'preact/hooks';
import { fill, kindNames, panelKinds, queriesMost, type Chosens, type Doc, type Moment, type Panel, type Query, type Tone } from '../../lib/dashboard';
import { letterOf, readStep } from '../../lib/prom';
import type { Range } from '../../lib/screens';
import { rangeMs } from '../../lib/time';
import { unitNames } from '../../lib/units';
import { Editor } from '../metrics/editor';
import { useNames, type Names } from '../metrics/names';
import { PanelFrame } from './panel';

type Change = (some: Partial<Panel>) => void;

/** A field whose text counts when it is left or Enter is pressed. */
function Field({ name, value, set, wide, hint, mono }: { name: string; value: string; set: (v: string) => void; wide?: boolean; hint?: string; mono?: boolean }) {
  return <label class={wide ? 'wide' : ''}><span class="name">{name}</span><input key={value} class={mono ? 'field mono' : 'field'} defaultValue={value} placeholder={hint} onBlur={(e) => e.currentTarget.value !== value && set(e.currentTarget.value)} onKeyDown={(e) => { if (e.key === 'Enter' && e.currentTarget.value !== value) set(e.currentTarget.value); }} /></label>;
}

function NumberField({ name, value, set, hint, whole }: { name: string; value: number | undefined; set: (v: number | undefined) => void; hint?: string; whole?: boolean }) {
  const [wrong, setWrong] = useState(false), is = value === undefined ? '' : String(value);
  const take = (t: string): void => {
    const typed = t.trim(), v = Number(typed), good = typed === '' || (Number.isFinite(v) && (!whole || (Number.isInteger(v) && v >= 0 && v <= 10)));
    setWrong(!good);
    if (good && typed !== is) set(typed === '' ? undefined : v);
  };
  return <label><span class="name">{name}</span><input key={is} class="field" inputMode="decimal" aria-invalid={wrong} defaultValue={is} placeholder={hint} onBlur={(e) => take(e.currentTarget.value)} onKeyDown={(e) => { if (e.key === 'Enter') take(e.currentTarget.value); }} /></label>;
}

function Choice<T extends string>({ name, value, of, set }: { name: string; value: T; of: readonly (readonly [T, string])[]; set: (v: T) => void }) {
  return <label><span class="name">{name}</span><select class="field" value={value} onChange={(e) => set(e.currentTarget.value as T)}>{of.map(([v, text]) => <option key={v} value={v}>{text}</option>)}</select></label>;
}

/** Without members that say nothing, as the document has it. */
export function tidied(p: Panel): Panel {
  const out = { ...p } as Record<string, unknown>;
  for (const [k, v] of Object.entries(out)) if (v === undefined || v === '' || v === false || (Array.isArray(v) && v.length === 0 && k !== 'queries')) delete out[k];
  return out as unknown as Panel;
}

function Thresholds({ p, change }: { p: Panel; change: Change }) {
  const all = p.thresholds ?? [];
  const put = (i: number, at: number, tone: Tone): void => change({ thresholds: all.map((t, k) => (k === i ? { at, tone } : t)).sort((a, b) => a.at - b.at) });
  const more = (): void => change({ thresholds: [...all, { at: all.length ? all[all.length - 1].at * 1.1 || 1 : p.unit === 'ratio' ? 0.8 : 80, tone: (all.length ? 'error' : 'warning') as Tone }] });
  return (
    <fieldset class="thresholds">
      <legend>Thresholds</legend>
      {all.map((t, i) => (
        <div class="threshold" key={`${i} ${t.at}`}>
          <NumberField name="From" value={t.at} set={(v) => v !== undefined && put(i, v, t.tone)} />
          <Choice name="Means" value={t.tone} of={[['ok', 'fine'], ['accent', 'marked'], ['warning', 'warning'], ['error', 'error']]} set={(tone) => put(i, t.at, tone)} />
          <button class="button quiet icon" aria-label={`Remove the threshold at ${t.at}`} title="Remove" onClick={() => change({ thresholds: all.filter((_, k) => k !== i) })}>×</button>
        </div>
      ))}
      <button class="button" disabled={all.length >= 20} onClick={more}>Add threshold</button>
    </fieldset>
  );
}

const severities = [['', 'any'], ['trace', 'trace'], ['debug', 'debug'], ['info', 'info'], ['warn', 'warn'], ['error', 'error'], ['fatal', 'fatal']] as const;

function Search({ q, put }: { q: Query; put: (some: Partial<Query>) => void }) {
  return (
    <div class="filters">
      <Field name="Service" value={q.service ?? ''} set={(service) => put({ service })} hint="any, or $service" />
      <Field name="Environment" value={q.environment ?? ''} set={(environment) => put({ environment })} hint="any" />
      {q.kind === 'logs' ? <Choice name="Severity, at least" value={(q.severity ?? '') as ''} of={severities as unknown as ['', string][]} set={(severity) => put({ severity })} /> : <Field name="Operation" value={q.operation ?? ''} set={(operation) => put({ operation })} hint="any" />}
      {q.kind === 'traces' && <Choice name="Status" value={(q.status ?? '') as ''} of={[['', 'any'], ['error', 'error'], ['ok', 'ok'], ['unset', 'unset']] as unknown as ['', string][]} set={(status) => put({ status })} />}
      <Field name="Words" value={q.text ?? ''} set={(text) => put({ text })} hint="words that must all be found" />
      <Field name="Condition" value={q.where?.[0] ?? ''} set={(w) => put({ where: w.trim() ? [w.trim(), ...(q.where ?? []).slice(1)] : [] })} hint="http.status_code >= 500" mono />
      <Choice name="Order" value={(q.order ?? 'newest') as 'newest'} of={(q.kind === 'logs' ? [['newest', 'newest first'], ['oldest', 'oldest first']] : [['newest', 'newest first'], ['longest', 'longest first']]) as unknown as ['newest', string][]} set={(order) => put({ order })} />
      <NumberField name="At most" value={q.limit} set={(limit) => put({ limit: limit === undefined ? undefined : Math.max(1, Math.min(1000, Math.round(limit))) })} hint={q.kind === 'logs' ? '100' : '20'} />
    </div>
  );
}

const clean = (q: Query): Query => Object.fromEntries(Object.entries(q).filter(([k, v]) => k === 'kind' || !(v === undefined || v === '' || v === false || (Array.isArray(v) && !v.length)))) as unknown as Query;

function Queries({ p, change, names, range, chosens, moment }: { p: Panel; change: Change; names: Names; range: Range; chosens: Chosens | null; moment: Moment }) {
  const kind = p.kind === 'logs' ? 'logs' : p.kind === 'traces' ? 'traces' : 'promql', all = p.queries ?? [];
  const put = (i: number, some: Partial<Query>): void => change({ queries: all.map((q, k) => (k === i ? clean({ ...q, ...some }) : q)) });
  const add = (): void => change({ queries: [...all, { kind, ...(kind === 'promql' ? { expr: 'up' } : {}) } as Query] });
  const filled = (t: string): string => (chosens ? fill(t, chosens, moment) : t);
  return (
    <div class="queries">
      {all.map((q, i) => (
        <div key={i} class={q.hidden ? 'queryrow off' : 'queryrow'}>
          {q.kind === 'promql' ? (
            <Editor id={`panel-query-${i}`} letter={letterOf(i)} first={i === 0} value={q.expr ?? ''} names={names} range={range} failure={null} filled={filled} run={(expr) => expr.trim() && put(i, { expr })} onFocus={() => undefined} onLeave={(expr) => expr.trim() && expr !== q.expr && put(i, { expr })}>
              <span class="queryacts">
                <button class="button quiet icon" aria-label={q.hidden ? `Ask query ${letterOf(i)}` : `Do not ask query ${letterOf(i)}`} aria-pressed={q.hidden === true} title={q.hidden ? 'Ask it again' : 'Leave it out'} onClick={() => put(i, { hidden: !q.hidden })}>{q.hidden ? '○' : '●'}</button>
                <button class="button quiet icon" aria-label={`Remove query ${letterOf(i)}`} title="Remove" onClick={() => change({ queries: all.filter((_, k) => k !== i) })}>×</button>
              </span>
            </Editor>
          ) : <Search q={q} put={(some) => put(i, some)} />}
          {q.kind === 'promql' && <div class="filters querymore"><Field name={`Legend of ${letterOf(i)}`} value={q.legend ?? ''} set={(legend) => put(i, { legend })} hint="{{instance}}; empty: labels that differ" mono /><Field name="Least step" value={q.step ?? ''} set={(step) => (step.trim() === '' || readStep(step) !== null) && put(i, { step: step.trim() })} hint="as samples come: 15s" mono /></div>}
        </div>
      ))}
      {(kind === 'promql' || all.length === 0) && <div><button class="button" disabled={all.length >= queriesMost} onClick={add}>Add query</button></div>}
    </div>
  );
}

/** Queries that the kind can show: a panel that becomes one of logs asks for logs. */
function ofKind(p: Panel, kind: Panel['kind']): Partial<Panel> {
  const wanted = kind === 'logs' || kind === 'traces' ? kind : 'promql', now = (p.queries ?? []).filter((q) => q.kind === wanted);
  if (kind === 'text' || kind === 'row') return { kind, queries: undefined, was: undefined, ...(kind === 'text' ? { text: p.text ?? 'Write **Markdown** here.' } : {}) };
  return { kind, was: undefined, text: p.kind === 'unknown' || p.kind === 'text' ? undefined : p.text, queries: now.length ? now : wanted === 'promql' ? [{ kind: 'promql', expr: 'up' }] : [{ kind: wanted }] };
}

function Looks({ p, change }: { p: Panel; change: Change }) {
  const isPlot = p.kind === 'timeseries', reduces = ['stat', 'gauge', 'bars', 'table', 'timeseries'].includes(p.kind);
  return (
    <div class="filters">
      <Choice name="Unit" value={(p.unit ?? 'short') as string} of={Object.entries(unitNames)} set={(unit) => change({ unit: unit === 'short' ? undefined : unit })} />
      <NumberField name="Decimals" value={p.decimals} set={(decimals) => change({ decimals })} hint="as fits" whole />
      {p.kind !== 'heatmap' && p.kind !== 'table' && p.kind !== 'stat' && <><NumberField name="Least" value={p.min} set={(min) => change({ min })} hint="as fits" /><NumberField name="Greatest" value={p.max} set={(max) => change({ max })} hint="as fits" /></>}
      {reduces && <Choice name={isPlot ? 'Value in the legend' : 'Value'} value={p.calc ?? 'last'} of={[['last', 'last'], ['mean', 'mean'], ['max', 'greatest'], ['min', 'least'], ['sum', 'sum']]} set={(calc) => change({ calc: calc === 'last' ? undefined : calc })} />}
      {isPlot && <Choice name="Drawn as" value={p.draw ?? 'line'} of={[['line', 'lines'], ['area', 'areas'], ['bars', 'bars'], ['points', 'points']]} set={(draw) => change({ draw: draw === 'line' ? undefined : draw })} />}
      {isPlot && <label class="check"><input type="checkbox" checked={p.stack === true} onChange={(e) => change({ stack: e.currentTarget.checked })} /> Stacked</label>}
    </div>
  );
}

export function PanelEditor({ p, doc, chosens, range, turn, change, close }: { p: Panel; doc: Doc; chosens: Chosens | null; range: Range; turn: number; change: Change; close: () => void }) {
  const head = useRef<HTMLHeadingElement>(null);
  const names = useNames(p.kind !== 'text', true, range, '');
  useEffect(() => head.current?.focus(), [p.id]);
  const [fromMs, toMs] = rangeMs(range, Date.now()), moment: Moment = { fromMs, toMs, step: 60, title: doc.title };
  const asks = !['text', 'row', 'unknown'].includes(p.kind), kinds = [...panelKinds.filter((k) => k !== 'row' || p.kind === 'row'), ...(p.kind === 'unknown' ? (['unknown'] as const) : [])];
  return (
    <section class="paneledit" aria-label="Panel" onKeyDown={(e) => { if (e.key === 'Escape' && !(e.target as Element).closest('.code, select')) { e.stopPropagation(); close(); } }}>
      <div class="head"><h2 ref={head} tabIndex={-1}>Panel {p.title && <span class="muted">{p.title}</span>}</h2><span class="grow" /><button class="button main" onClick={close}>Done</button></div>
      <div class="halves">
        <div class="preview">{p.kind === 'row' ? <p class="muted">A row is a heading: what is below it, up to the next one, can be folded away.</p> : <PanelFrame p={p} chosens={chosens} range={range} title={doc.title} turn={turn} zoom={{ pick: () => undefined, out: () => undefined }} always />}</div>
        <div class="form">
          <div class="filters">
            <Field name="Title" value={p.title ?? ''} set={(title) => change({ title })} wide />
            <Choice name="Kind" value={p.kind} of={kinds.map((k) => [k, kindNames[k]] as const)} set={(kind) => change(ofKind(p, kind))} />
            {p.kind !== 'row' && <Field name="Description" value={p.description ?? ''} set={(description) => change({ description })} wide />}
            {p.kind === 'row' && <label class="check"><input type="checkbox" checked={p.collapsed === true} onChange={(e) => change({ collapsed: e.currentTarget.checked })} /> Folded at first</label>}
          </div>
          {asks && <Queries p={p} change={change} names={names} range={range} chosens={chosens} moment={moment} />}
          {asks && p.kind !== 'logs' && p.kind !== 'traces' && <><Looks p={p} change={change} />{p.kind !== 'heatmap' && <Thresholds p={p} change={change} />}</>}
          {p.kind === 'text' && <label><span class="name">Text, in Markdown</span><textarea key={p.text} class="field area" defaultValue={p.text ?? ''} maxLength={65536} onBlur={(e) => e.currentTarget.value !== p.text && change({ text: e.currentTarget.value })} /></label>}
        </div>
      </div>
    </section>
  );
}
