// One query: a text with colours, completed at the caret by keyboard alone, with what is wrong marked at its place.
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Failure } from '../../lib/api';
import { argumentWords, functionOf } from '../../lib/functions';
import { askProm } from '../../lib/prom';
import { aggregations, complaintAt, keywords, tokens, type Spot } from '../../lib/promql';
import type { Range } from '../../lib/screens';
import { useOptions, type Option } from './complete';
import type { Names } from './names';

const textMost = 65536; // what the server takes
const checkPause = 400; // ms from the last key until the text is looked at

interface Wrong {
  at: number;
  to: number;
  message: string;
}

/** The text with its words coloured; what is wrong is underlined. */
function Coloured({ text, wrong }: { text: string; wrong: Wrong | null }) {
  const out: ComponentChildren[] = [], t = tokens(text);
  let at = 0, braces = 0, grouping = false;
  t.forEach((w, i) => {
    if (w.text === '{') braces++;
    if (w.text === '}') braces--;
    if (grouping && w.text === ')') grouping = false;
    const next = t[i + 1]?.text;
    const kind = w.kind === 'string' ? 'str' : w.kind === 'number' || w.kind === 'duration' ? 'lit' : w.kind !== 'name' ? '' : braces > 0 || grouping ? 'lab' : keywords.has(w.text) ? 'key' : next === '(' || aggregations.has(w.text) ? 'fun' : 'met';
    if (w.kind === 'name' && next === '(' && ['by', 'without', 'on', 'ignoring', 'group_left', 'group_right'].includes(w.text)) grouping = true;
    if (w.from > at) out.push(text.slice(at, w.from));
    const bad = wrong && w.from < wrong.to && w.to > wrong.at;
    out.push(<span key={w.from} class={`${kind}${bad ? ' wrongly' : ''}`}>{w.text}</span>);
    at = w.to;
  });
  out.push(text.slice(at));
  if (wrong && wrong.at >= text.trimEnd().length) out.push(<span class="wrongly">{' '}</span>);
  return <pre aria-hidden="true">{out}{'\n'}</pre>;
}

/** "rate(range[5m])" with the argument in which the caret is. */
function Signature({ call }: { call: Spot['call'] }) {
  const f = call ? functionOf(call.name) : undefined;
  if (!f || !call) return null;
  const args = argumentWords(f), at = Math.min(call.argument, args.length - 1);
  return <p class="signature"><code>{f.name}({args.map((a, i) => <span key={a}>{i > 0 && ', '}{i === at ? <b>{a}</b> : a}</span>)})</code> {f.help}</p>;
}

/** With variables filled in, the place is another one: all of it is marked. */
const anywhere = (w: Wrong | null, text: string): Wrong | null => w && { ...w, at: 0, to: text.length };
const asItIs = (text: string): string => text;

/** What the server's parser says of a text that is not asked yet. */
function useCheck(text: string, on: boolean, filled: (text: string) => string): Wrong | null {
  const [found, setFound] = useState<{ of: string; wrong: Wrong | null }>({ of: '', wrong: null });
  useEffect(() => {
    if (!on || text.trim() === '') return undefined;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      const query = filled(text);
      askProm('/parse_query', { query }, stop.signal).then(
        () => setFound({ of: text, wrong: null }),
        (e: Failure) => !stop.signal.aborted && setFound({ of: text, wrong: query === text ? complaintAt(e.message, text) : anywhere(complaintAt(e.message, query), text) }),
      );
    }, checkPause);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [text, on]);
  return on && found.of === text ? found.wrong : null;
}

export function Editor({ id, letter, first, value, names, range, failure, run, onFocus, onLeave, filled = asItIs, children }: {
  id: string; letter: string; first: boolean; value: string; names: Names; range: Range; failure: Failure | null; run: (text: string) => void; onFocus: () => void; onLeave: (text: string) => void; filled?: (text: string) => string; children?: ComponentChildren;
}) {
  const [typed, setTyped] = useState(value);
  const [caret, setCaret] = useState(value.length);
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const input = useRef<HTMLTextAreaElement>(null);
  const wanted = useRef(-1); // where the caret goes with the text that is written next
  const { spot, list, note } = useOptions(open, typed, caret, names, range);
  const signed = spot.call !== null && functionOf(spot.call.name) !== undefined, listed = open && (list.length > 0 || note !== '' || signed), active = Math.min(at, list.length - 1);
  const parsed = useCheck(typed, typed !== value && !open, filled);
  const told = useMemo(() => (failure && typed === value ? complaintAt(failure.message, value) : null), [failure, typed, value]);
  const wrong = told ?? parsed;
  const box = `options-${id}`;

  useEffect(() => { setTyped(value); setCaret(value.length); setOpen(false); }, [value]);
  useLayoutEffect(() => { // before the next key is pressed
    if (wanted.current < 0) return;
    input.current!.focus();
    input.current!.setSelectionRange(wanted.current, wanted.current);
    wanted.current = -1;
  });
  useEffect(() => { // the caret goes to what is wrong, where this query is the one that was asked
    if (told && document.activeElement === input.current) input.current!.setSelectionRange(told.at, told.at);
  }, [told]);
  useEffect(() => document.getElementById(`${box}-${active}`)?.scrollIntoView({ block: 'nearest' }), [active]);

  const write = (s: string, to: number): void => {
    setTyped(s);
    setCaret(to);
    setAt(0);
    wanted.current = to;
  };
  const accept = (o: Option): void => {
    const s = typed.slice(0, spot.from) + o.text + typed.slice(spot.to);
    setOpen(spot.stage === 'match' || o.back > 0);
    write(s, spot.from + o.text.length - o.back);
  };
  const look = (e: Event & { currentTarget: HTMLTextAreaElement }): void => setCaret(e.currentTarget.selectionStart);
  const onInput = (e: Event & { currentTarget: HTMLTextAreaElement }): void => {
    const s = e.currentTarget.value, to = e.currentTarget.selectionStart, grew = s.length > typed.length;
    setTyped(s);
    setCaret(to);
    setAt(0);
    setOpen(grew ? /[\w:."'`{=~,([@]/.test(s[to - 1] ?? '') : open && s !== '');
  };
  const onKey = (e: KeyboardEvent): void => {
    const moves: Record<string, number> = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + 10, PageUp: active - 10 };
    if (listed && list.length > 0 && e.key in moves) setAt(Math.max(0, Math.min(list.length - 1, moves[e.key])));
    else if (e.key === ' ' && e.ctrlKey) setOpen(true);
    else if (listed && list.length > 0 && (e.key === 'Tab' || (e.key === 'Enter' && !e.shiftKey && !e.ctrlKey && wants(spot, list[active])))) accept(list[active]);
    else if (e.key === 'Enter' && !e.shiftKey) { setOpen(false); run(typed); }
    else if (e.key === 'Escape' && listed) setOpen(false);
    else if (e.key === 'Escape') input.current?.blur();
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  return (
    <div class="query">
      <span class="letter" aria-hidden="true">{letter}</span>
      <div class={wrong ? 'code flawed' : 'code'}>
        <Coloured text={typed} wrong={wrong} />
        <textarea ref={input} id={id} rows={1} aria-label={`Query ${letter} in PromQL`} aria-autocomplete="list" aria-controls={listed ? box : undefined} aria-activedescendant={listed && list.length ? `${box}-${active}` : undefined}
          aria-invalid={wrong !== null} aria-describedby={`${id}-wrong`} data-search={first ? '' : undefined} spellcheck={false} autocomplete="off" autocapitalize="off" maxLength={textMost} value={typed}
          placeholder={first ? 'A metric, or an expression: sum by (job) (rate(http_requests_total[5m]))' : 'Another query on the same chart'}
          onInput={onInput} onKeyDown={onKey} onFocus={onFocus} onBlur={() => { setOpen(false); onLeave(typed); }} onClick={look} onKeyUp={(e) => /^(Arrow|Home|End)/.test(e.key) && look(e)} />
        {listed && (
          <div class="options" onMouseDown={(e) => e.preventDefault()}>
            <ul role="listbox" id={box} aria-label="Completions" hidden={list.length === 0}>
              {list.map((o, i) => (
                <li role="option" id={`${box}-${i}`} key={`${o.show} ${i}`} aria-selected={i === active} onMouseMove={() => i !== active && setAt(i)} onClick={() => accept(o)}>
                  <span class="cut mono">{o.show}</span><span class="muted cut">{o.hint}</span>
                </li>
              ))}
            </ul>
            {note && <p class="muted">{note}</p>}
            <Signature call={spot.call} />
          </div>
        )}
      </div>
      {children}
      <span class="sr" role="status">{listed && list.length ? `${list.length} completions; ${list[active].show}` : ''}</span>
      <p id={`${id}-wrong`} class="wrong" role={told ? 'alert' : 'status'}>{wrong && <>{wrong.message}<span class="muted">, at character {wrong.at + 1}</span></>}</p>
    </div>
  );
}

/** Enter takes the option where it would add something; a word that is whole is asked. */
function wants(spot: Spot, o: Option): boolean {
  if (spot.text === '') return spot.stage === 'value' || spot.stage === 'label';
  return o.text.trim() !== spot.text && o.show !== spot.text;
}
