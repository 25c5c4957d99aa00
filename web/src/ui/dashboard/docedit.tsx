// What a dashboard is as a whole, edited: title, description, range of time, refresh, variables.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { optionQuery, type Doc, type Variable, type VariableKind } from '../../lib/dashboard';

const kinds: [VariableKind, string][] = [['query', 'values of a label'], ['custom', 'a list'], ['interval', 'intervals'], ['text', 'a text'], ['constant', 'a constant']];
const listOf = (t: string): string[] => t.split(',').map((x) => x.trim()).filter(Boolean);

/** Why it cannot be kept; "": it can. */
function problemOf(v: Variable, others: Variable[]): string {
  if (!/^[A-Za-z_]\w*$/.test(v.name) || v.name.startsWith('__')) return 'A name is letters, digits and _, and begins with neither a digit nor __';
  if (others.some((o) => o.name === v.name)) return 'Another variable has this name';
  if (v.kind === 'query' && !optionQuery(v.query ?? '')) return 'Write label_values(LABEL), label_values(SELECTOR, LABEL), label_names() or metrics(REGEX)';
  return (v.kind === 'custom' || v.kind === 'interval') && !v.values?.length ? 'Write values with commas between them' : '';
}

function VariableRow({ v, others, put, remove }: { v: Variable; others: Variable[]; put: (v: Variable) => void; remove: () => void }) {
  const set = (some: Partial<Variable>): void => put(Object.fromEntries(Object.entries({ ...v, ...some }).filter(([, x]) => x !== undefined && x !== '' && x !== false)) as unknown as Variable);
  const wrong = problemOf(v, others), isList = v.kind === 'custom' || v.kind === 'interval', one = v.kind === 'text' || v.kind === 'constant';
  const turn = (kind: VariableKind): void => set({ kind, query: kind === 'query' ? (v.query ?? 'label_values(up, instance)') : undefined, values: kind === 'interval' ? ['auto', '1m', '10m'] : kind === 'custom' ? (v.values ?? ['a', 'b']) : undefined, value: undefined, multi: kind === 'query' || kind === 'custom' ? v.multi : undefined, all: kind === 'query' || kind === 'custom' ? v.all : undefined });
  return (
    <li class="variableedit">
      <div class="filters">
        <label><span class="name">Name</span><input class="field mono" value={v.name} maxLength={64} onChange={(e) => set({ name: e.currentTarget.value.trim() || v.name })} /></label>
        <label><span class="name">Label</span><input class="field" value={v.label ?? ''} placeholder={v.name} onChange={(e) => set({ label: e.currentTarget.value.trim() })} /></label>
        <label><span class="name">Kind</span><select class="field" value={v.kind} onChange={(e) => turn(e.currentTarget.value as VariableKind)}>{kinds.map(([k, n]) => <option key={k} value={k}>{n}</option>)}</select></label>
        {v.kind === 'query' && <label class="wide"><span class="name">Asks</span><input class="field mono" value={v.query ?? ''} onChange={(e) => set({ query: e.currentTarget.value.trim() })} /></label>}
        {isList && <label class="wide"><span class="name">Values</span><input class="field mono" value={(v.values ?? []).join(', ')} onChange={(e) => set({ values: listOf(e.currentTarget.value) })} /></label>}
        <label><span class="name">{one ? 'Value' : 'Chosen at first'}</span><input class="field mono" value={(v.value ?? []).join(', ')} placeholder={one ? '' : v.all ? '* is all' : 'the first'} onChange={(e) => set({ value: one ? [e.currentTarget.value] : listOf(e.currentTarget.value).length ? listOf(e.currentTarget.value) : undefined })} /></label>
      </div>
      <div class="head">
        {(v.kind === 'query' || v.kind === 'custom') && <><label><input type="checkbox" checked={v.multi === true} onChange={(e) => set({ multi: e.currentTarget.checked })} /> several at once</label><label><input type="checkbox" checked={v.all === true} onChange={(e) => set({ all: e.currentTarget.checked })} /> all</label></>}
        <label><input type="checkbox" checked={v.hidden === true} onChange={(e) => set({ hidden: e.currentTarget.checked })} /> hidden</label>
        <span class="wrong grow" role="status">{wrong}</span>
        <button class="button" aria-label={`Remove variable ${v.name}`} onClick={remove}>Remove</button>
      </div>
    </li>
  );
}

export function DocDialog({ doc, change, close }: { doc: Doc; change: (some: Partial<Doc>) => void; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [all, setAll] = useState(doc.variables ?? []);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const put = (next: Variable[]): void => {
    setAll(next);
    if (next.every((v, i) => problemOf(v, next.filter((_, k) => k !== i)) === '')) change({ variables: next });
  };
  const add = (): void => {
    let n = 1;
    while (all.some((v) => v.name === `variable${n}`)) n++;
    put([...all, { name: `variable${n}`, kind: 'query', query: 'label_values(up, instance)' }]);
  };
  return (
    <dialog ref={dialog} class="importing" aria-labelledby="doc-title" onClose={close} onClick={(e) => e.target === dialog.current && close()}>
      <div class="help">
        <h2 id="doc-title">The dashboard</h2>
        <div class="filters">
          <label class="wide"><span class="name">Title</span><input class="field" value={doc.title} maxLength={200} onChange={(e) => e.currentTarget.value.trim() && change({ title: e.currentTarget.value.trim() })} /></label>
          <label><span class="name">Range of time</span><input class="field mono" value={doc.time?.start ?? 'now-1h'} onChange={(e) => change({ time: { start: e.currentTarget.value.trim() || 'now-1h' } })} /></label>
          <label><span class="name">Refresh</span><select class="field" value={doc.refresh ?? ''} onChange={(e) => change({ refresh: e.currentTarget.value })}>{[...new Set(['', '10s', '30s', '1m', '5m', '15m', doc.refresh ?? ''])].map((r) => <option key={r} value={r}>{r || 'never'}</option>)}</select></label>
          <label class="all"><span class="name">Description</span><textarea class="field area low" value={doc.description ?? ''} maxLength={4000} onChange={(e) => change({ description: e.currentTarget.value || undefined })} /></label>
        </div>
        <h3>Variables</h3>
        {all.length === 0 && <p class="muted">None. A variable stands as $name in queries, titles and texts, and is chosen above the panels.</p>}
        <ul class="variableedits">{all.map((v, i) => <VariableRow key={i} v={v} others={all.filter((_, k) => k !== i)} put={(n) => put(all.map((o, k) => (k === i ? n : o)))} remove={() => put(all.filter((_, k) => k !== i))} />)}</ul>
        <div class="head"><button class="button" disabled={all.length >= 100} onClick={add}>Add variable</button><span class="grow" /><button class="button main" onClick={close}>Done</button></div>
      </div>
    </dialog>
  );
}
