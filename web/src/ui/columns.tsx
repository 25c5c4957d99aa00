// Which columns a list of records has: any field or attribute, in any order.
import { useState } from 'preact/hooks';
import { useKeys } from '../lib/keys';
import { readKey } from '../lib/where';
import { useAttributeKeys, type KeyScope } from './filters';
import { PopBox, usePop } from './pop';

const fields = ['severity', 'service', 'environment', 'body', 'event_name', 'severity_text', 'trace_id', 'span_id'];

export function ColumnsButton({ columns, set, initial, scope }: { scope: KeyScope; columns: string[]; set: (columns: string[]) => void; initial: string[] }) {
  const pop = usePop();
  const keys = useAttributeKeys(scope, pop.open);
  const [typed, setTyped] = useState('');
  const [wrong, setWrong] = useState('');
  useKeys({ c: () => pop.setOpen(true) });
  const add = (e: Event): void => {
    e.preventDefault();
    const key = typed.trim();
    if (key === '') return;
    if (readKey(key) === null) setWrong('Write the name of a field or an attribute');
    else if (columns.length >= 16) setWrong('16 columns are the most');
    else {
      set([...columns.filter((c) => c !== key && c !== 'body'), key, ...(columns.includes('body') && key !== 'body' ? ['body'] : [])]);
      setTyped('');
    }
  };
  const move = (i: number, by: number): void => {
    const to = i + by, next = [...columns];
    if (to < 0 || to >= columns.length) return;
    [next[i], next[to]] = [next[to], next[i]];
    set(next);
    requestAnimationFrame(() => pop.box.current?.querySelectorAll<HTMLElement>('[data-column]')[to]?.focus());
  };
  const remove = (i: number): void => {
    set(columns.length > 1 ? columns.filter((_, k) => k !== i) : initial);
    requestAnimationFrame(() => pop.box.current?.querySelector<HTMLElement>('input')?.focus());
  };
  const onKey = (i: number) => (e: KeyboardEvent): void => {
    const by = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[e.key];
    if (by) {
      e.preventDefault();
      move(i, by);
    } else if (e.key === 'Delete') remove(i);
  };
  const button = <button class="button" ref={pop.opener} aria-expanded={pop.open} aria-haspopup="dialog" title="Columns (c)" onClick={() => pop.setOpen(!pop.open)}>Columns</button>;
  return (
    <PopBox pop={pop} name="Columns" button={button}>
      <p class="muted">After the time, left to right. Arrow keys move the one that has the focus, Delete takes it away.</p>
      <ol class="columns">
        {columns.map((c, i) => (
          <li key={c}>
            <button class="button grow cut" data-column={c} aria-label={`Column ${c}, ${i + 1} of ${columns.length}`} onKeyDown={onKey(i)}>{c}</button>
            <button class="button icon" aria-label={`Move ${c} left`} disabled={i === 0} onClick={() => move(i, -1)}>↑</button>
            <button class="button icon" aria-label={`Move ${c} right`} disabled={i === columns.length - 1} onClick={() => move(i, 1)}>↓</button>
            <button class="button icon" aria-label={`Remove column ${c}`} onClick={() => remove(i)}>×</button>
          </li>
        ))}
      </ol>
      <form onSubmit={add} class="head">
        <input class="field mono grow" list="column-keys" value={typed} aria-label="Add a column" aria-invalid={wrong !== ''} placeholder="user.id, resource.host.name" autocomplete="off" spellcheck={false}
          onInput={(e) => { setTyped(e.currentTarget.value); setWrong(''); }} />
        <datalist id="column-keys">{[...fields, ...keys].filter((k) => !columns.includes(k)).map((k) => <option key={k} value={k} />)}</datalist>
        <button class="button main" type="submit">Add</button>
      </form>
      <p class="wrong" role="status">{wrong}</p>
      {columns.join() !== initial.join() && <button class="button" onClick={() => set(initial)}>The usual columns</button>}
    </PopBox>
  );
}
