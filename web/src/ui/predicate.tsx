// The predicate bar: conditions in force as chips, and one field in which a condition is typed, completed by the server.
import { useEffect, useRef, useState } from 'preact/hooks';
import { get, type AttributeNames, type AttributeValues, type Failure, type Params } from '../lib/api';
import { fieldOf, takeField, type Change, type SearchField } from '../lib/fields';
import { count } from '../lib/format';
import { complaint, negated, placeAt, readCondition, writeKey, writeValue, type Place } from '../lib/where';
import { say } from './chips';

interface Option {
  text: string; // what is put in place of what was typed
  show: string;
  hint: string;
  ends: boolean; // the condition is whole with it
}
interface Options {
  list: Option[];
  note: string;
}

const operatorHelp: [string, string][] = [['=', 'is'], ['!=', 'is not'], ['>=', 'at least'], ['>', 'more than'], ['<=', 'at most'], ['<', 'less than'], ['~', 'matches (regular expression)'], ['!~', 'does not match'], ['exists', 'is there'], ['absent', 'is not there']];
const pause = 100; // ms from the last key to the question
const shown = 12;
export interface Scope {
  signal: 'spans' | 'logs';
  start: string;
  end: string;
  service: string;
  environment: string;
}

/** What needs no question. */
function known(p: Place, fields: SearchField[], typed: string): Options {
  const field = p.stage === 'key' ? undefined : fieldOf(fields, p, typed);
  const begins = (t: string): boolean => t.toLowerCase().startsWith(p.text.toLowerCase());
  if (p.stage === 'key') return { list: fields.filter((f) => begins(f.name)).map((f) => ({ text: `${f.name} `, show: f.name, hint: f.help, ends: false })), note: '' };
  if (p.stage === 'value') return { list: (field?.values ?? []).filter(begins).map((v) => ({ text: v, show: v, hint: '', ends: true })), note: '' };
  const ops = operatorHelp.filter(([op]) => begins(op) && (!field || field.ops.includes(op)));
  return { list: ops.map(([op, hint]) => ({ text: op.length > 2 ? op : `${op} `, show: op, hint, ends: op.length > 2 })), note: '' };
}

/** The question that completes the place; null: none. */
function questionOf(p: Place, fields: SearchField[], typed: string, scope: Scope): { path: string; params: Params } | null {
  const range = { signal: scope.signal, start: scope.start, end: scope.end, prefix: p.text.slice(0, 200), limit: shown };
  if (p.stage === 'key') return { path: '/api/v1/attributes', params: range };
  if (p.stage === 'op') return null;
  const field = fieldOf(fields, p, typed);
  if (field && !field.key) return null;
  const key = field?.key ?? writeKey(p.prefix, p.key);
  if (p.prefix === 'event.') return null;
  const of = field?.name === 'service' || field?.name === 'environment' ? {} : { service: scope.service, environment: scope.environment };
  return { path: `/api/v1/attributes/${encodeURIComponent(key)}/values`, params: { ...range, ...of } };
}

function optionsOf(answer: Partial<AttributeNames & AttributeValues>): Options {
  if (answer.attributes) {
    const list = answer.attributes.map((a) => {
      const key = writeKey(a.place === 'span' || a.place === 'log' ? '' : `${a.place}.`, a.key);
      return { text: `${key} `, show: key, hint: `${a.types.join(', ')} · ${count(a.count)}${a.place === 'resource' || a.place === 'scope' ? ` ${a.place}s` : ''}`, ends: false };
    });
    return { list, note: answer.found! > list.length ? `${answer.found! - list.length} more: type on` : '' };
  }
  const list = (answer.values ?? []).map((v) => ({ text: writeValue(v.value), show: v.value === '' ? '""' : v.value, hint: count(v.count), ends: true }));
  return { list, note: answer.sampled ? `of the newest ${count(answer.row_count!)} rows` : '' };
}

/** Options for where the caret is: at most one question a keystroke, asked when the keys rest; an answer that comes late is dropped. */
function useOptions(open: boolean, typed: string, caret: number, fields: SearchField[], scope: Scope): Options & { place: Place } {
  const place = placeAt(typed, caret), local = known(place, fields, typed);
  const question = open ? questionOf(place, fields, typed, scope) : null;
  const id = question ? JSON.stringify(question) : '';
  const [asked, setAsked] = useState<Options & { id: string }>({ list: [], note: '', id: '' });
  useEffect(() => {
    if (!question) return undefined;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      get<AttributeNames & AttributeValues>(question.path, question.params, stop.signal).then(
        (a) => setAsked({ ...optionsOf(a), id }),
        (e: Failure) => !stop.signal.aborted && setAsked({ list: [], note: `no completion: ${e.message}`, id }),
      );
    }, pause);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [id]);
  const more = asked.id === id && id ? asked : { list: [], note: id ? 'looking …' : '' };
  const has = new Set(local.list.map((o) => o.text));
  return { list: [...local.list, ...more.list.filter((o) => !has.has(o.text))], note: more.note, place };
}

function Chip({ where, bad, edit, turn, remove }: { where: string; bad: boolean; edit: () => void; turn: () => void; remove: () => void }) {
  const move = (e: KeyboardEvent, to: 'previousElementSibling' | 'nextElementSibling'): void => {
    const next = (e.currentTarget as Element).closest('.chip')?.[to];
    ((next?.querySelector('.edit') ?? next?.querySelector('input')) as HTMLElement | null)?.focus();
  };
  const onKey = (e: KeyboardEvent): void => {
    if (e.key === 'Delete' || e.key === 'Backspace') remove();
    else if (e.key === '!') turn();
    else if (e.key === 'ArrowLeft') move(e, 'previousElementSibling');
    else if (e.key === 'ArrowRight') move(e, 'nextElementSibling');
    else return;
    e.preventDefault();
  };
  return (
    <span class={bad ? 'chip bad' : 'chip'}>
      <button type="button" class="edit" title={`${where}\nEdit (Enter), negate (!), remove (Delete)`} aria-label={`Edit ${where}`} onClick={edit} onKeyDown={onKey}>{where}</button>
      <button type="button" aria-label={`Negate ${where}`} title="Negate" onClick={turn}>≠</button>
      <button type="button" aria-label={`Remove ${where}`} title="Remove" onClick={remove}>×</button>
    </span>
  );
}

/** What was typed, as a change of the search; or what is wrong. Without an operator it is words. */
function read(typed: string, fields: SearchField[]): { where: string } | { change: Change } | { words: string } | { at: number; message: string } {
  const c = readCondition(typed);
  if ('message' in c) return /^[^=!<>~"]*$/.test(typed) || /^\s*("[^"]*"\s*)+$/.test(typed) ? { words: typed.trim() } : c;
  const field = fieldOf(fields, c, typed);
  if (!field) return { where: typed.trim() };
  const change = takeField(field, c);
  return typeof change === 'string' ? { at: typed.length, message: change } : { change };
}

export function PredicateBar({ where, text, fields, scope, failure, onChange }: {
  where: string[]; text: string; fields: SearchField[]; scope: Scope; failure: Failure | null; onChange: (change: { where?: string[]; text?: string } | Change) => void;
}) {
  const [typed, setTyped] = useState('');
  const [caret, setCaret] = useState(0);
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const [wrong, setWrong] = useState<{ at: number; message: string } | null>(null);
  const [editing, setEditing] = useState<string | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const { list, note, place } = useOptions(open, typed, caret, fields, scope);
  const active = at < list.length ? at : -1, listed = open && (list.length > 0 || note !== '');

  const write = (s: string, to: number): void => {
    setTyped(s);
    setCaret(to);
    setAt(-1);
    requestAnimationFrame(() => { input.current?.focus(); input.current?.setSelectionRange(to, to); });
  };
  const edit = (w: string, to = w.length): void => {
    setEditing(w);
    setWrong(null);
    write(w, to);
  };
  const done = (): void => {
    setEditing(null);
    setWrong(null);
    setOpen(false);
    write('', 0);
  };
  const commit = (s: string): void => {
    if (s.trim() === '') return;
    const taken = read(s, fields), rest = where.filter((w) => w !== editing);
    if ('message' in taken) {
      setWrong(taken);
      setOpen(false);
      write(s, taken.at);
      return;
    }
    done();
    const kept = editing === null ? {} : { where: rest };
    if ('words' in taken) onChange({ ...kept, text: [text, taken.words].filter(Boolean).join(' ') });
    else if ('change' in taken) onChange({ ...kept, ...taken.change } as Change);
    else onChange({ where: editing === null ? [...rest.filter((w) => w !== taken.where), taken.where] : where.map((w) => (w === editing ? taken.where : w)).filter((w, i, all) => all.indexOf(w) === i) });
  };
  const accept = (o: Option): void => {
    const s = typed.slice(0, place.from) + o.text + typed.slice(place.to);
    if (o.ends && place.to >= typed.trimEnd().length) commit(s.trim());
    else { setOpen(true); write(s, place.from + o.text.length); }
  };
  const complained = failure ? complaint(failure.message, where) : null;
  useEffect(() => {
    if (!complained) return;
    edit(complained.where, complained.at);
    setWrong(complained);
  }, [failure]);

  const remove = (w: string): void => {
    onChange({ where: where.filter((x) => x !== w) });
    say('Condition removed');
    input.current?.focus();
  };
  const onKey = (e: KeyboardEvent): void => {
    const step = e.key === 'ArrowDown' ? 1 : e.key === 'ArrowUp' ? -1 : 0;
    if (step) {
      setOpen(true);
      setAt(list.length ? (active + step + (active < 0 && step < 0 ? 1 : 0) + list.length) % list.length : -1);
    } else if (e.key === 'Enter') active >= 0 && listed ? accept(list[active]) : commit(typed);
    else if (e.key === 'Tab' && !e.shiftKey && listed && list.length && typed.trim() !== '') accept(list[Math.max(0, active)]);
    else if (e.key === 'Escape' && (listed || editing !== null)) listed ? setOpen(false) : done();
    else if (e.key === 'Backspace' && typed === '' && where.length) (e.currentTarget as Element).closest('.where')?.querySelectorAll<HTMLElement>('.chip .edit')[where.length - 1]?.focus();
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  const onInput = (e: { currentTarget: HTMLInputElement }): void => {
    setTyped(e.currentTarget.value);
    setCaret(e.currentTarget.selectionStart ?? e.currentTarget.value.length);
    setWrong(null);
    setOpen(true);
    setAt(-1);
  };
  useEffect(() => document.getElementById(`option-${active}`)?.scrollIntoView({ block: 'nearest' }), [active]);
  return (
    <form class="where" role="search" aria-label="Conditions" onSubmit={(e) => { e.preventDefault(); commit(typed); }}>
      {where.map((w) => <Chip key={w} where={w} bad={complained?.where === w} edit={() => edit(w)} remove={() => remove(w)} turn={() => onChange({ where: where.map((x) => (x === w ? negated(w) : x)) })} />)}
      <span class="typed">
        <input ref={input} class="field" role="combobox" aria-label="Condition" aria-expanded={listed} aria-controls={listed ? 'options' : undefined} aria-autocomplete="list"
          aria-activedescendant={listed && active >= 0 ? `option-${active}` : undefined} aria-invalid={wrong !== null} aria-describedby="where-wrong" spellcheck={false} autocomplete="off" maxLength={4096}
          placeholder={scope.signal === 'spans' ? 'http.response.status_code >= 500, service = cart, or words' : 'user.id = 7, severity >= error, or words'} value={typed} onInput={onInput} onKeyDown={onKey} onBlur={() => setOpen(false)}
          onClick={(e) => setCaret(e.currentTarget.selectionStart ?? 0)} onKeyUp={(e) => e.key.startsWith('Arrow') && setCaret(e.currentTarget.selectionStart ?? 0)} />
        {listed && (
          <div class="options" onMouseDown={(e) => e.preventDefault()}>
            <ul role="listbox" id="options" aria-label={{ key: 'Attributes', op: 'Operators', value: 'Values' }[place.stage]}>
              {list.map((o, i) => (
                <li role="option" id={`option-${i}`} key={o.text} aria-selected={i === active} onMouseMove={() => i !== active && setAt(i)} onClick={() => accept(o)}>
                  <span class="cut mono">{o.show}</span><span class="muted">{o.hint}</span>
                </li>
              ))}
            </ul>
            {note && <p class="muted" role="status">{note}</p>}
          </div>
        )}
      </span>
      <button class="button" type="submit">{editing === null ? 'Add' : 'Change'}</button>
      <p id="where-wrong" class="wrong" role="status">{wrong && <><code aria-hidden="true">{typed.slice(0, wrong.at)}<b>{typed.slice(wrong.at) || ' '}</b></code>{wrong.message}<span class="sr">, at character {wrong.at + 1}</span></>}</p>
    </form>
  );
}
