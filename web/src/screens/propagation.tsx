// Correlation health: who drops the context of a request, where, how sure that is, and what mends it.
import { useMemo } from 'preact/hooks';
import { useQuestion, type Partial_ } from '../lib/api';
import { grouped, percent, plural } from '../lib/format';
import { focusBy, useKeys } from '../lib/keys';
import { useScreen } from '../lib/nav';
import { correlationsLink, logsLink, propagation, serviceLink, traceLink, type PropagationState } from '../lib/screens';
import { Who } from '../ui/chips';
import { ChoiceField, environmentChoices, TextField, useNames } from '../ui/filters';
import { Snippet } from '../ui/settings/parts';
import { Empty, FailureNote, PartialNote, Progress } from '../ui/states';
import { TimePicker } from '../ui/time';

type Kind = 'lost_trace' | 'missing_parent' | 'lost_id' | 'log_without_trace' | 'log_without_id';
type Certainty = 'certain' | 'likely' | 'possible';
interface Finding {
  kind: Kind;
  certainty: Certainty;
  caller: string | null;
  service: string;
  count: number;
  of_count: number;
  ratio: number;
  samples: { trace_id: string | null; span_id: string | null; other_trace_id: string | null }[];
  advice: { service: string; language: string; title: string; snippet: string }[];
}
interface Service {
  service: string;
  language: string | null;
  span_count: number;
  root_count: number;
  outside_parent_count: number;
  missing_parent_count: number;
  span_with_id_count: number;
  log_count: number;
  log_without_trace_count: number;
  log_with_id_count: number;
}
interface Answer extends Partial_ {
  span_count: number;
  log_count: number;
  services: Service[];
  findings: Finding[];
  finding_count: number;
}
type Set_ = (s: Partial<PropagationState>, replace?: boolean) => void;

/** Of so many what, and what happens to them; and what it means for whoever looks. */
const kinds: Record<Kind, { of: string; what: string; means: string }> = {
  lost_trace: { of: 'call', what: 'begin a new trace', means: 'The called service does not read the context, or the caller does not send it: one request shows as two traces.' },
  missing_parent: { of: 'span', what: 'name a parent that is not here', means: 'What stands between does not export its spans, or drops them: its part of the trace hangs in the air.' },
  lost_id: { of: 'call', what: 'lose the correlation id', means: 'The trace goes on, but the spans of the called service come without the id of the request.' },
  log_without_trace: { of: 'log record', what: 'name no trace', means: 'They cannot be found from the trace, nor the trace from them.' },
  log_without_id: { of: 'log record', what: 'come without the correlation id', means: 'The spans of the same service have it; a log search by the id does not find these.' },
};
const sure: Record<Certainty, [string, string, string]> = {
  certain: ['tag error', '▲ certain', 'Measured, or both sides have one correlation id'], likely: ['tag warn', '◆ likely', 'Half and more of what went unanswered fits'], possible: ['tag', '○ possible', 'Late or sampled spans look alike'],
};
const keyOf = (f: Finding): string => [f.kind, f.caller ?? '', f.service].join('\0');

function Samples({ f, state }: { f: Finding; state: PropagationState }) {
  const own = f.samples.filter((s) => s.trace_id);
  if (own.length === 0) return f.kind.startsWith('log') ? <p><a href={logsLink({ start: state.start, end: state.end, environment: state.environment, service: f.service, column: ['severity', f.kind === 'log_without_trace' ? 'trace_id' : 'correlation_id', 'body'] })}>Log records of {f.service}</a></p> : null;
  return (
    <ul class="samples" aria-label="Samples">
      {own.map((s, k) => (
        <li key={k} class="mono">
          <a href={traceLink(s.trace_id!, { span: s.span_id ?? '' })}>{s.trace_id}</a>
          {s.other_trace_id && <> <span class="muted">goes on as</span> <a href={traceLink(s.other_trace_id)}>{s.other_trace_id}</a></>}
        </li>
      ))}
    </ul>
  );
}

function Card({ f, state }: { f: Finding; state: PropagationState }) {
  const { of, what, means } = kinds[f.kind], [cls, word, why] = sure[f.certainty];
  const service = (name: string) => <Who service={name} href={serviceLink({ start: state.start, end: state.end, environment: state.environment, service: name })} />;
  return (
    <details class="finding" data-finding="">
      <summary>
        <span class={cls} title={why}>{word}</span>
        <span class="what"><b>{f.caller !== null && <><Who service={f.caller} /> → </>}<Who service={f.service} /></b> <span>{grouped(f.count)} of {plural(f.of_count, of)} {what}</span></span>
        <span class="bars" aria-hidden="true"><i style={{ width: `${f.ratio * 100}%` }} /></span><b class="num">{percent(f.ratio)}</b>
      </summary>
      <div class="stack">
        <p>{means} <span class="muted">{why}.</span></p>
        <p>{f.caller !== null && <>Caller: {service(f.caller)} · </>}{f.caller !== null ? 'called: ' : 'Service: '}{service(f.service)}{f.kind.endsWith('id') && <> · <a href={correlationsLink({ start: state.start, end: state.end, environment: state.environment, service: f.service })}>its correlations</a></>}</p>
        <Samples f={f} state={state} />
        {f.advice.map((a) => (
          <div key={a.service + a.title}>
            <h3>{a.title} <span class="muted">in {a.service}{a.language !== 'other' && `, ${a.language}`}</span></h3>
            <Snippet text={a.snippet.replace(/\n$/, '')} label={`${a.title} in ${a.service}`} />
          </div>
        ))}
      </div>
    </details>
  );
}

const share = (part: number, whole: number): string => (whole > 0 ? percent(part / whole) : '–');

function Services({ all, worst, state, set }: { all: Service[]; worst: Map<string, Certainty>; state: PropagationState; set: Set_ }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Services">
      <table class="table">
        <thead><tr><th scope="col">Service</th><th scope="col" class="hide-small">Language</th><th scope="col" class="num">Spans</th><th scope="col" class="num">Parent missing</th><th scope="col" class="num">With an id</th><th scope="col" class="num">Log records</th><th scope="col" class="num">Without a trace</th></tr></thead>
        <tbody>
          {all.map((s) => (
            <tr key={s.service}>
              <th scope="row"><button class="link" aria-pressed={state.service === s.service} onClick={() => set({ service: state.service === s.service ? '' : s.service })}><Who service={s.service} /></button> {worst.has(s.service) && <span class={sure[worst.get(s.service)!][0]}>{sure[worst.get(s.service)!][1]}</span>}</th>
              <td class="muted hide-small">{s.language ?? ''}</td>
              <td class="num">{grouped(s.span_count)}</td>
              <td class="num">{s.missing_parent_count > 0 ? <span class="bad">{share(s.missing_parent_count, s.span_count)}</span> : <span class="muted">{share(0, s.span_count)}</span>}</td>
              <td class="num">{share(s.span_with_id_count, s.span_count)}</td>
              <td class="num">{grouped(s.log_count)}</td>
              <td class="num">{s.log_without_trace_count > 0 ? <span class={s.span_count > 0 ? 'bad' : ''}>{share(s.log_without_trace_count, s.log_count)}</span> : <span class="muted">{share(0, s.log_count)}</span>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const findings = '[data-finding] > summary'; // Enter opens one, since it is a summary

export default function Propagation() {
  const [state, set] = useScreen(propagation), names = useNames();
  const asked = useQuestion<Answer>('/api/v1/propagation', { start: state.start, end: state.end, environment: state.environment, service: state.service, limit: 200 }), a = asked.data;
  const worst = useMemo(() => {
    const of = new Map<string, Certainty>(), order: Certainty[] = ['possible', 'likely', 'certain'];
    for (const f of a?.findings ?? []) for (const s of [f.service]) if (!of.has(s) || order.indexOf(of.get(s)!) < order.indexOf(f.certainty)) of.set(s, f.certainty);
    return of;
  }, [a]);
  useKeys({ j: () => focusBy(findings, 1), k: () => focusBy(findings, -1), arrowdown: () => focusBy(findings, 1), arrowup: () => focusBy(findings, -1) });
  return (
    <>
      <Progress on={asked.busy} text="Looking for lost context" stop={asked.stop} />
      <div class="head">
        <h1>Correlation health {a && a.finding_count > 0 && <span class="muted">· {plural(a.finding_count, 'finding')}</span>}</h1>
        <a class="button" href={correlationsLink({ environment: state.environment })}>Correlations</a>
        <TimePicker range={state} onChange={set} refresh={asked.again} />
      </div>
      <div class="filters">
        <TextField search name="Service" value={state.service} options={names.services} placeholder="Any" onChange={(service) => set({ service })} />
        <ChoiceField name="Environment" value={state.environment} of={environmentChoices(names.environments, state.environment)} onChange={(environment) => set({ environment })} />
      </div>
      {asked.failure && <FailureNote failure={asked.failure} again={asked.again} />}
      <PartialNote of={a} />
      {!a && !asked.failure && <p class="muted">Looking for lost context …</p>}
      {a && a.span_count + a.log_count === 0 && <Empty title="No spans or log records in this range of time" actions={<button class="button main" onClick={() => set({ start: 'now-7d', end: '' })}>Look at the last 7 days</button>}>Health is judged by what came in.</Empty>}
      {a && a.span_count + a.log_count > 0 && (
        <>
          <p class="muted">Judged by the newest {plural(a.span_count, 'span')} and {plural(a.log_count, 'log record')} of this range.</p>
          {a.findings.length === 0 ? <Empty title={state.service ? `${state.service} drops nothing` : 'Nobody drops the context'}>Every call that was looked at goes on in its trace, with its id where it had one, and log records name their traces.</Empty>
            : <section class="stack" aria-label="Findings">{a.findings.map((f) => <Card key={keyOf(f)} f={f} state={state} />)}</section>}
          {a.finding_count > a.findings.length && <p class="muted">And {plural(a.finding_count - a.findings.length, 'finding')} more: choose a service.</p>}
          {a.services.length > 0 && <Services all={a.services} worst={worst} state={state} set={set} />}
        </>
      )}
    </>
  );
}
