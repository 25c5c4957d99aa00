// What one trace tells, in words and short tables; each span leads to its place in the waterfall.
import type { ComponentChildren } from 'preact';
import { useQuestion, type Partial_ } from '../lib/api';
import { duration, grouped, percent, plural } from '../lib/format';
import { traceLink } from '../lib/screens';
import { Dot } from './chips';
import { FailureNote, PartialNote, Progress } from './states';

interface Place { span_id: string; service: string; operation: string }
interface Analysis extends Partial_ {
  summary: string;
  truncated: boolean;
  critical_path: Place & { duration_ns: number; step_count: number; steps: (Place & { self_time_ns: number; share_ratio: number })[] };
  services: { service: string; span_count: number; error_count: number; self_time_ns: number; total_time_ns: number; share_ratio: number }[];
  root_cause: (Place & { other_count: number; chain: (Place & { status: string; error_type: string; message: string })[]; chain_truncated: boolean }) | null;
  slow: { compared_count: number; span_count: number; spans: (Place & { duration_ns: number; usual_p95_ns: number; usual_count: number; times_p95_ratio: number })[] };
  repeats: { repeat_count: number; calls: { parent: Place; first: Place; count: number; total_ns: number }[] };
  gaps: { gap_count: number; stretches: (Place & { duration_ns: number })[] };
}

const stepsShown = 20;

/** `text`: the column that is no number, beside the first. */
function Part({ title, heads, rows, note, text }: { title: string; heads: string[]; rows: ComponentChildren[][]; note?: string; text?: number }) {
  const kind = (i: number): string | undefined => (i && i !== text ? 'num' : undefined);
  return (
    <section>
      <h2>{title}</h2>
      {note && <p class="muted">{note}</p>}
      {rows.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={title}>
          <table class="table">
            <thead><tr>{heads.map((h, i) => <th key={h} scope="col" class={kind(i)}>{h}</th>)}</tr></thead>
            <tbody>{rows.map((cells, k) => <tr key={k}>{cells.map((c, i) => (i ? <td key={i} class={kind(i)}>{c}</td> : <th key={i} scope="row">{c}</th>))}</tr>)}</tbody>
          </table>
        </div>
      )}
    </section>
  );
}

export function AnalysisView({ id }: { id: string }) {
  const { data: a, failure, busy, again, stop } = useQuestion<Analysis>(`/api/v1/traces/${id}/analysis`);
  const place = (p: Place) => <><Dot service={p.service} /><a href={traceLink(id, { span: p.span_id })}>{p.operation || p.span_id}</a> <span class="muted">{p.service}</span></>;
  if (!a) return <>{failure ? <FailureNote failure={failure} again={again} /> : <p class="muted">Looking at the trace …</p>}<Progress on={busy} text="Looking at the trace" stop={stop} /></>;
  const cause = a.root_cause, steps = [...a.critical_path.steps].sort((x, y) => y.self_time_ns - x.self_time_ns).slice(0, stepsShown);
  return (
    <div class="stack analysis">
      <PartialNote of={a} />
      <p>{a.summary}</p>
      {cause && <Part title="What failed first" text={1} heads={['Span', 'Error']} note={cause.other_count > 0 ? `And ${plural(cause.other_count, 'other failure')} that began elsewhere.` : undefined}
        rows={cause.chain.map((c) => [<>{c.status === 'error' && <span class="bad">! <span class="sr">error </span></span>}{place(c)}</>, [c.error_type, c.message].filter(Boolean).join(': ')])} />}
      <Part title="Critical path" heads={['Span', 'Own time', 'Share']} note={a.critical_path.step_count > stepsShown ? `The ${stepsShown} with most of ${plural(a.critical_path.step_count, 'step')}.` : undefined}
        rows={steps.map((s) => [place(s), duration(s.self_time_ns), percent(s.share_ratio)])} />
      <Part title="Services" heads={['Service', 'Spans', 'Errors', 'Own time', 'While it ran', 'Of the path']}
        rows={a.services.map((s) => [<><Dot service={s.service} />{s.service}</>, grouped(s.span_count), grouped(s.error_count), duration(s.self_time_ns), duration(s.total_time_ns), percent(s.share_ratio)])} />
      <Part title="Slower than usual" heads={['Span', 'Took', 'Usual p95', 'Times']}
        note={a.slow.compared_count === 0 ? 'Nothing to compare with: the day before the trace saw none of its operations 20 times.' : `${plural(a.slow.span_count, 'span')} of ${grouped(a.slow.compared_count)} took longer than the p95 of the same operation in the day before; one in twenty does on any day.`}
        rows={a.slow.spans.map((s) => [place(s), duration(s.duration_ns), duration(s.usual_p95_ns), `${s.times_p95_ratio.toFixed(1)}×`])} />
      {a.repeats.calls.length > 0 && <Part title="Again and again" text={1} heads={['Call', 'By', 'Times', 'In all']} rows={a.repeats.calls.map((r) => [place(r.first), place(r.parent), grouped(r.count), duration(r.total_ns)])} />}
      {a.gaps.stretches.length > 0 && <Part title="No child ran" heads={['Span', 'For']} note="A tenth of the trace or more: its own work, or waiting that nobody traced." rows={a.gaps.stretches.map((g) => [place(g), duration(g.duration_ns)])} />}
    </div>
  );
}
