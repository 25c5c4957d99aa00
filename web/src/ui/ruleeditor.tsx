// A group of rules as text: judged by the server while it is typed, tested against the past, saved, deleted.
import { useEffect, useRef, useState } from 'preact/hooks';
import { Failure, post, put, remove } from '../lib/api';
import { plural } from '../lib/format';
import { useKeys } from '../lib/keys';
import { go } from '../lib/nav';
import { usePrefs } from '../lib/prefs';
import { firstText, sentenceOf, showLabels, strip, type Backtest, type Checked, type Firing, type Problem, type Tested } from '../lib/rules';
import { rulesLink, type RulesState } from '../lib/screens';
import { parseMs, rangeMs, showRange, showTime } from '../lib/time';
import { say } from './chips';
import { FailureNote, Progress } from './states';
import { TimePicker } from './time';

const restMs = 250, firingsShown = 20;
const asFailure = (e: unknown): Failure => (e instanceof Failure ? e : new Failure(0, 'internal', String(e), 'This is a fault of the page.'));

/* ---- the text ---- */

/** Line numbers beside a field of text; those with a problem are marked, and read out below. */
function Text({ value, onInput, problems, field }: { value: string; onInput: (t: string) => void; problems: readonly Problem[]; field: { current: HTMLTextAreaElement | null } }) {
  const gutter = useRef<HTMLDivElement>(null);
  const lines = value.split('\n').length, wrong = new Set(problems.map((p) => p.line));
  const indent = (e: KeyboardEvent): void => { // Tab stays a key that leaves the field; Enter keeps the indentation
    const t = e.currentTarget as HTMLTextAreaElement;
    if (e.key !== 'Enter' || e.shiftKey || e.ctrlKey || e.metaKey || e.altKey || t.selectionStart !== t.selectionEnd) return;
    const line = value.slice(value.lastIndexOf('\n', t.selectionStart - 1) + 1, t.selectionStart), blanks = /^ */.exec(line)![0];
    if (!blanks) return;
    e.preventDefault();
    t.setRangeText(`\n${blanks}`, t.selectionStart, t.selectionEnd, 'end');
    onInput(t.value);
  };
  return (
    <div class="ruletext">
      <div class="gutter" aria-hidden="true" ref={gutter}>{Array.from({ length: lines }, (_, i) => <span key={i} class={wrong.has(i + 1) ? 'wrong' : undefined}>{i + 1}</span>)}</div>
      <textarea ref={field} class="field mono" aria-label="Rules as YAML" aria-invalid={problems.length > 0} aria-describedby="problems" spellcheck={false} autocomplete="off" wrap="off" rows={Math.max(14, Math.min(32, lines + 1))} value={value}
        onInput={(e) => onInput(e.currentTarget.value)} onKeyDown={indent} onScroll={(e) => { gutter.current!.scrollTop = e.currentTarget.scrollTop; }} />
    </div>
  );
}

function Problems({ of, show }: { of: readonly Problem[]; show: (line: number) => void }) {
  return (
    <div id="problems" role="status">
      {of.length > 0 && (
        <ul class="problems">
          {of.map((p, i) => <li key={i} class="wrong">{p.line !== undefined && <button type="button" class="link" onClick={() => show(p.line!)}>line {p.line}</button>} {p.message}</li>)}
        </ul>
      )}
    </div>
  );
}

/** What the server says of the text, when the keys rest. */
function useChecked(text: string): { checked: Checked | null; failure: Failure | null; of: string } {
  const [state, set] = useState<{ checked: Checked | null; failure: Failure | null; of: string }>({ checked: null, failure: null, of: '' });
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => {
      post<Checked>('/api/v1/rules/check', { text }, { signal: stop.signal }).then(
        (checked) => set({ checked, failure: null, of: text }), (e: unknown) => !stop.signal.aborted && set({ checked: null, failure: asFailure(e), of: text }));
    }, restMs);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [text]);
  return state;
}

/* ---- the test ---- */

function Strip({ of, from, to }: { of: readonly Firing[]; from: number; to: number }) {
  const { zone } = usePrefs();
  return (
    <div class="strip">
      <svg viewBox="0 0 1000 18" preserveAspectRatio="none" aria-hidden="true">{strip(of, from, to).map(([a, b]) => <rect key={a} x={a * 1000} width={(b - a) * 1000} y="0" height="18" />)}</svg>
      <div class="muted ends"><span>{showTime(from, zone)}</span><span>{showTime(to, zone)}</span></div>
    </div>
  );
}

function Firings({ of }: { of: readonly Firing[] }) {
  const { zone } = usePrefs();
  const [whole, setWhole] = useState(false);
  const newest = [...of].reverse(), shown = whole ? newest : newest.slice(0, firingsShown);
  const at = (t: string): string => showTime(parseMs(t), zone);
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label="When it would have fired">
        <table class="table firings">
          <thead><tr><th>From</th><th>To</th><th>Labels</th></tr></thead>
          <tbody>{shown.map((f, i) => <tr key={i}><td>{at(f.start)}</td><td>{f.end === null ? 'still' : at(f.end)}</td><td class="mono">{showLabels(f.labels)}</td></tr>)}</tbody>
        </table>
      </div>
      {shown.length < of.length && <div class="more"><button type="button" class="button" onClick={() => setWhole(true)}>Show {of.length}</button></div>}
    </>
  );
}

function Result({ of, from, to }: { of: Tested; from: number; to: number }) {
  const firings = of.firings ?? [];
  return (
    <section class="tested" aria-label={`${of.name}, tested`}>
      <p><b>{of.name}</b> <span class={of.error ? 'wrong' : undefined}>{sentenceOf(of)}.</span>{(of.count ?? 0) > firings.length && <span class="muted"> The last {firings.length} are listed.</span>}</p>
      {!of.error && <Strip of={firings} from={from} to={to} />}
      {of.reads_recorded && <p class="muted">It reads what other rules of the group record. What was recorded then counts; where nothing was, it does not fire.</p>}
      {firings.length > 0 && <Firings of={firings} />}
    </section>
  );
}

interface Testing {
  answer: Backtest | null;
  failure: Failure | null;
  range: [number, number];
  said: string;
}

function useTest(text: string, state: RulesState): { result: Testing | null; busy: boolean; run: () => void; stop: () => void } {
  const { zone } = usePrefs();
  const [result, setResult] = useState<Testing | null>(null);
  const [running, setRunning] = useState<AbortController | null>(null);
  useEffect(() => () => running?.abort(), [running]);
  const run = (): void => {
    running?.abort();
    const stop = new AbortController(), range = rangeMs(state, Date.now()), said = showRange(state, zone).replace(/^Last/, 'in the last');
    setRunning(stop);
    const done = (some: Pick<Testing, 'answer' | 'failure'>): void => { setResult({ ...some, range, said }); setRunning(null); };
    post<Backtest>(`/api/v1/rules/backtest?start=${new Date(range[0]).toISOString()}&end=${new Date(range[1]).toISOString()}`, { text }, { signal: stop.signal })
      .then((answer) => done({ answer, failure: null }), (e: unknown) => { if (!stop.signal.aborted) done({ answer: null, failure: asFailure(e) }); });
  };
  return { result, busy: running !== null, run, stop: () => { running?.abort(); setRunning(null); } };
}

function Test({ of, busy }: { of: Testing | null; busy: boolean }) {
  if (!of) return <p class="muted">{busy ? 'Looking back …' : 'Not tested yet. The test asks each expression over the chosen time, and says when the alert would have fired.'}</p>;
  if (of.failure) return <FailureNote failure={of.failure} />;
  const rules = of.answer!.rules;
  return (
    <div class="stack" role="region" aria-label="The test" aria-busy={busy}>
      {of.answer!.partial && <div class="note warn" role="status">Some of the past could not be read: it may have fired more often.</div>}
      {rules.length === 0 && <p class="muted">There is no alert in this text; recording rules have nothing to test.</p>}
      {rules.map((r, i) => <Result key={i} of={r} from={of.range[0]} to={of.range[1]} />)}
    </div>
  );
}

/* ---- saving ---- */

/** A change that is refused as another came first is not lost: whoever wrote it chooses. */
function Refused({ failure, over, again }: { failure: Failure; over: () => void; again: () => void }) {
  if (failure.status === 412) {
    return (
      <div class="note error" role="alert">
        <div class="grow"><b>Somebody has changed this group since you opened it.</b><div class="muted">{failure.message}</div></div>
        <button class="button" onClick={over}>Save mine over it</button><button class="button" onClick={again}>Read theirs</button>
      </div>
    );
  }
  return <FailureNote failure={failure.status === 403 ? new Failure(403, failure.kind, 'Keeping rules needs a token of the role operate', 'Ask whoever administers this clew.') : failure} />;
}

function Delete({ name, id, fail }: { name: string; id: string; fail: (f: Failure) => void }) {
  const [sure, setSure] = useState(false);
  const drop = (): void => void remove(`/api/v1/rules/${encodeURIComponent(id)}`).then(() => { say('Deleted'); go(rulesLink()); }, (e: unknown) => { setSure(false); fail(asFailure(e)); });
  if (!sure) return <button class="button" onClick={() => setSure(true)}>Delete</button>;
  return <span class="group"><button class="button danger" autofocus onClick={drop}>Delete {name}</button><button class="button" onClick={() => setSure(false)}>Keep</button></span>;
}

export function RuleEditor({ id, of, state, set, again }: { id: string; of: { text: string; tag: string; name: string } | null; state: RulesState; set: (some: Partial<RulesState>, replace?: boolean) => void; again: () => void }) {
  const [text, setText] = useState(of?.text ?? firstText);
  const [refused, setRefused] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const { checked, failure, of: checkedOf } = useChecked(text);
  const test = useTest(text, state);
  const known = checkedOf === text, groups = checked?.groups ?? [];
  const many: Problem[] = known && id && groups.length > 1 ? [{ message: `this is one group, but the text has ${groups.length}; make the others by themselves` }] : known && checked && !checked.problems.length && groups.length === 0 ? [{ message: 'there is no group in it' }] : [];
  const problems = [...(checked?.problems ?? []), ...many], good = known && checked !== null && problems.length === 0;

  const save = async (tag: string): Promise<void> => {
    if (!good || busy) return;
    setBusy(true);
    setRefused(null);
    try {
      for (const g of groups) await (id ? put(`/api/v1/rules/${encodeURIComponent(id)}`, g.body, { 'If-Match': tag }) : post('/api/v1/rules', g.body));
      say('Saved');
      go(rulesLink());
    } catch (e) {
      setRefused(asFailure(e));
    } finally {
      setBusy(false);
    }
  };
  const own = (): void => void save(of ? `"${of.tag}"` : '');
  const showLine = (line: number): void => {
    const t = field.current!, before = text.split('\n').slice(0, line - 1).join('\n').length + (line > 1 ? 1 : 0), end = text.indexOf('\n', before);
    t.focus();
    t.setSelectionRange(before, end < 0 ? text.length : end);
  };
  useKeys({ 'ctrl+s': own, 'ctrl+enter': () => good && test.run(), escape: () => field.current?.blur() });
  useEffect(() => { // what was typed is not lost by a closed window
    const ask = (e: BeforeUnloadEvent): void => { if (text !== (of?.text ?? firstText)) e.preventDefault(); };
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, [text]);
  return (
    <>
      <Progress on={test.busy} text="Testing against the past" stop={test.stop} />
      <div class="head">
        <h1>{of ? of.name : 'New group of rules'}</h1>
        <a class="button" href={rulesLink()}>All rules</a>
        {id && <a class="button" href={`/api/v1/rules/${id}/file`} download={`${id}.yml`}>Export</a>}
        {of && <Delete name={of.name} id={id} fail={setRefused} />}
        <button class="button main" title="Save (Ctrl S)" disabled={!good || busy} onClick={own}>{busy ? 'Saving …' : groups.length > 1 && !id ? `Save ${plural(groups.length, 'group')}` : 'Save'}</button>
      </div>
      {refused && <Refused failure={refused} over={() => void save('*')} again={again} />}
      {failure && <FailureNote failure={failure} />}
      <div class="ruleedit">
        <div class="stack">
          <p class="muted">A file of rules as Prometheus has it, with one group{id ? '' : '; several are saved each by itself'}. Comments are not kept.</p>
          <Text value={text} onInput={(t) => { setText(t); setRefused(null); }} problems={problems} field={field} />
          <Problems of={problems} show={showLine} />
          {good && <p class="muted" role="status">✓ Nothing wrong with it.</p>}
        </div>
        <div class="stack">
          <div class="head"><h2>Against the past</h2><TimePicker range={state} onChange={set} refresh={() => good && test.run()} /><button class="button" title="Test (Ctrl Enter)" disabled={!good} onClick={test.run}>Test</button></div>
          <Test of={test.result} busy={test.busy} />
        </div>
      </div>
    </>
  );
}
