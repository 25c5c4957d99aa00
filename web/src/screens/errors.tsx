// What fails: failed spans as the few mistakes that they are, most failures first; each with its trend, its message, and the newest traces in which it happened.
import { useQuestion } from '../lib/api';
import { grouped, plural } from '../lib/format';
import { focusBy, useKeys } from '../lib/keys';
import { useScreen } from '../lib/nav';
import { usePrefs } from '../lib/prefs';
import { errors, serviceLink, traceLink, tracesLink, type ErrorsState } from '../lib/screens';
import { parseMs, showClock, showTime } from '../lib/time';
import { Spark } from '../ui/chart';
import { CopyButton, Dot, Who } from '../ui/chips';
import { ChoiceField, environmentChoices, TextField, useNames } from '../ui/filters';
import { Empty, FailureNote, PartialNote, Progress } from '../ui/states';
import { TimePicker } from '../ui/time';

type Trend = 'steady' | 'new' | 'increasing' | 'decreasing';
interface Group {
  fingerprint: string;
  service: string;
  namespace: string;
  environment: string;
  environment_count: number;
  operation: string;
  kind: string;
  error_type: string;
  pattern: string;
  message: string;
  variant_count: number;
  exception_type: string;
  exception_message: string;
  count: number;
  passed_through_count: number;
  caller_count: number;
  callers: { service: string; operation: string; count: number }[];
  first_seen: string;
  last_seen: string;
  trend: Trend;
  bucket_counts: number[];
  samples: { trace_id: string; span_id: string; time: string }[];
}
interface Answer {
  range: { start: string; end: string };
  error_count: number;
  passed_through_count: number;
  group_count: number;
  other_count: number;
  groups: Group[];
  partial: boolean;
  partial_reason?: string;
}
type Set_ = (some: Partial<ErrorsState>, replace?: boolean) => void;
const mistakes = '.errorname > button';

const trends: Record<Trend, [string, string]> = { new: ['tag error', '✦ new'], increasing: ['tag error', '↗ increasing'], steady: ['tag', '→ steady'], decreasing: ['tag good', '↘ decreasing'] };
const nameOf = (g: Group): string => g.pattern || g.exception_message || g.exception_type || g.error_type || 'failed without a message';

function Details({ g, state }: { g: Group; state: ErrorsState }) {
  const { zone } = usePrefs();
  const facts: [string, string][] = [
    ['Error', g.error_type === g.exception_type ? '' : g.error_type], ['Exception', [g.exception_type, g.exception_message].filter(Boolean).join(': ')], ['Message', g.message === g.pattern ? '' : g.message], ['Operation', `${g.operation} (${g.kind})`], ['Environment', g.environment + (g.environment_count > 1 ? ` and ${g.environment_count - 1} more` : '')],
    ['First seen', showTime(parseMs(g.first_seen), zone)], ['Last seen', showTime(parseMs(g.last_seen), zone)], ['Variants', g.variant_count > 1 ? grouped(g.variant_count) : ''],
  ];
  return (
    <>
      <dl class="pairs">
        {facts.filter(([, v]) => v).flatMap(([k, v]) => [<dt key={k}>{k}</dt>, <dd key={`${k}:`}>{v}</dd>])}
        {g.caller_count > 0 && <><dt>Passed through</dt><dd><ul>{g.callers.map((c) => <li key={`${c.service} ${c.operation}`}><Dot service={c.service} />{c.service} <span class="muted">{c.operation}</span> {grouped(c.count)}</li>)}{g.caller_count > g.callers.length && <li class="muted">and {g.caller_count - g.callers.length} more</li>}</ul></dd></>}
        <dt>Fingerprint</dt><dd class="mono">{g.fingerprint} <CopyButton what="the fingerprint" text={g.fingerprint} /></dd>
      </dl>
      <p>
        Newest: {g.samples.map((s, i) => <span key={s.trace_id}>{i > 0 && ' · '}<a href={traceLink(s.trace_id, { span: s.span_id })}>{showClock(parseMs(s.time), zone, Date.now())}</a></span>)}
        {' '}· <a href={tracesLink({ start: state.start, end: state.end, environment: state.environment, service: g.service, operation: g.operation, status: 'error' })}>all failed traces of the operation</a>
      </p>
    </>
  );
}

function Rows({ g, state, set }: { g: Group; state: ErrorsState; set: Set_ }) {
  const { zone } = usePrefs();
  const open = state.error === g.fingerprint, [cls, trend] = trends[g.trend];
  return (
    <>
      <tr>
        <th scope="row"><span class="errorname"><button class="link mono" aria-expanded={open} onClick={() => set({ error: open ? '' : g.fingerprint })}>{nameOf(g)}</button><span class="muted"><Who service={g.service} href={serviceLink({ start: state.start, end: state.end, environment: state.environment, service: g.service })} /> {g.operation}{g.pattern && g.error_type && ` · ${g.error_type}`}</span></span></th>
        <td class="num">{grouped(g.count)}</td>
        <td class="hide-small"><Spark counts={g.bucket_counts} errors={g.bucket_counts} label={`${nameOf(g)}: ${plural(g.count, 'failure')}`} /></td>
        <td><span class={cls}>{trend}</span></td>
        <td class="num hide-small">{showClock(parseMs(g.last_seen), zone, Date.now()).slice(0, -4)}</td>
      </tr>
      {open && <tr class="errorrow"><td colSpan={5}><Details g={g} state={state} /></td></tr>}
    </>
  );
}

function Filters({ state, set }: { state: ErrorsState; set: Set_ }) {
  const names = useNames();
  return (
    <div class="filters">
      <TextField search name="Service" value={state.service} options={names.services} placeholder="Any" onChange={(service) => set({ service })} />
      <ChoiceField name="Environment" value={state.environment} of={environmentChoices(names.environments, state.environment)} onChange={(environment) => set({ environment })} />
      <ChoiceField name="Trend" value={state.trend} of={[['', 'Any'], ['new', 'New'], ['increasing', 'Increasing'], ['steady', 'Steady'], ['decreasing', 'Decreasing']]} onChange={(trend) => set({ trend })} />
      <TextField name="Words" value={state.text} placeholder="declined" onChange={(text) => set({ text })} />
    </div>
  );
}

export default function Errors() {
  const [state, set] = useScreen(errors);
  const asked = useQuestion<Answer>('/api/v1/errors', { start: state.start, end: state.end, service: state.service, environment: state.environment, text: state.text, limit: 200 });
  const a = asked.data, shown = a ? a.groups.filter((g) => !state.trend || g.trend === state.trend) : [];
  const filtered = !!(state.service || state.environment || state.text);
  useKeys({ escape: () => state.error && set({ error: '' }), j: () => focusBy(mistakes, 1), k: () => focusBy(mistakes, -1), arrowdown: () => focusBy(mistakes, 1), arrowup: () => focusBy(mistakes, -1) });
  return (
    <>
      <Progress on={asked.busy} text="Counting failures" stop={asked.stop} />
      <div class="head">
        <h1>Errors {a && a.group_count > 0 && <span class="muted">· {plural(a.error_count, 'failed span')}, {plural(a.group_count, 'mistake')}{a.passed_through_count > 0 && `, ${grouped(a.passed_through_count)} of the spans only passed one on`}</span>}</h1>
        <TimePicker range={state} onChange={set} refresh={asked.again} />
      </div>
      <Filters state={state} set={set} />
      {asked.failure && <FailureNote failure={asked.failure} again={asked.again} />}
      <PartialNote of={a} />
      {!a && !asked.failure && <p class="muted">Counting failures …</p>}
      {a && a.group_count === 0 && <Empty title={filtered ? 'Nothing that fulfils these conditions failed' : 'Nothing failed in this range'} actions={<>{filtered && <button class="button main" onClick={() => set({ service: '', environment: '', text: '' })}>Remove all conditions</button>}<button class="button" onClick={() => set({ start: 'now-7d', end: '' })}>Look at the last 7 days</button></>}>Spans with an error status would stand here, those that say the same as one.</Empty>}
      {a && a.group_count > 0 && shown.length === 0 && <Empty title={`None of them is ${state.trend}`} actions={<button class="button main" onClick={() => set({ trend: '' })}>Show all</button>}>There are {plural(a.group_count, 'mistake')} in this range.</Empty>}
      {shown.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Mistakes">
          <table class="table">
            <thead><tr><th scope="col">Mistake</th><th scope="col" class="num">Failures</th><th scope="col" class="wide hide-small">Over time</th><th scope="col">Trend</th><th scope="col" class="num hide-small">Last</th></tr></thead>
            <tbody>{shown.map((g) => <Rows key={g.fingerprint} g={g} state={state} set={set} />)}</tbody>
          </table>
        </div>
      )}
      {a && a.group_count > a.groups.length && <p class="muted">And {grouped(a.group_count - a.groups.length)} more with fewer failures.</p>}
      {a && a.other_count > 0 && <p class="muted">{plural(a.other_count, 'failed span')} more say too many different things to be told apart.</p>}
    </>
  );
}
