// Fields of a search. What is typed is taken on Enter, or when the field is left.
import { useEffect, useState } from 'preact/hooks';
import { useQuestion, type AttributeNames, type Services } from '../lib/api';
import type { Range } from '../lib/screens';
import { attributeKey } from '../lib/where';

export function TextField({ name, value, onChange, options, placeholder, check, search }: {
  name: string; value: string; onChange: (v: string) => void; options?: string[]; placeholder?: string; check?: (v: string) => string | null; search?: boolean;
}) {
  const [typed, setTyped] = useState(value);
  const [wrong, setWrong] = useState(false);
  useEffect(() => { setTyped(value); setWrong(false); }, [value]);
  const take = (text: string): void => {
    const v = check ? check(text) : text.trim();
    setWrong(v === null);
    if (v !== null && v !== value) onChange(v);
  };
  const id = `list-${name.replace(/\W/g, '')}`;
  return (
    <label>
      <span class="name">{name}</span>
      <input class="field" value={typed} list={options ? id : undefined} placeholder={placeholder} aria-invalid={wrong} autocomplete="off" spellcheck={false}
        data-search={search ? '' : undefined} title={wrong ? `${name}: write 250ms, 1h30m` : undefined}
        onInput={(e) => { const v = e.currentTarget.value; setTyped(v); if (options?.includes(v)) take(v); }}
        onBlur={() => take(typed)} onKeyDown={(e) => { if (e.key === 'Enter') take(typed); if (e.key === 'Escape') e.currentTarget.blur(); }} />
      {options && <datalist id={id}>{options.map((o) => <option key={o} value={o} />)}</datalist>}
    </label>
  );
}

export function ChoiceField<T extends string>({ name, value, of, onChange }: { name: string; value: T; of: [T, string][]; onChange: (v: T) => void }) {
  return (
    <label>
      <span class="name">{name}</span>
      <select class="field" value={value} onChange={(e) => onChange(e.currentTarget.value as T)}>
        {of.map(([v, text]) => <option key={v} value={v}>{text}</option>)}
      </select>
    </label>
  );
}

/** Names of services and environments that the last month knows. */
export function useNames(): { services: string[]; environments: string[]; known: number } {
  const { data } = useQuestion<Services>('/api/v1/services', { start: 'now-30d' });
  const found = data?.services ?? [];
  const unique = (v: string[]): string[] => [...new Set(v)].sort();
  return { services: unique(found.map((s) => s.name)), environments: unique(found.map((s) => s.environment)), known: data ? found.length : -1 };
}

export interface KeyScope extends Range {
  signal: 'spans' | 'logs';
}
/** Names of attributes of a range of time, as groups and columns take them; asked for once `on`. */
export function useAttributeKeys({ signal, start, end }: KeyScope, on: boolean): string[] {
  const { data } = useQuestion<AttributeNames>(on ? '/api/v1/attributes' : null, { signal, start, end, limit: 200 });
  return (data?.attributes ?? []).map((a) => attributeKey(a.place === 'span' || a.place === 'log' ? '' : `${a.place}.`, a.key));
}

export const environmentChoices = (known: string[], now: string): [string, string][] => [
  ['', 'All'], ...[...new Set([...known, ...(now ? [now] : [])])].map((e): [string, string] => [e, e]),
];
