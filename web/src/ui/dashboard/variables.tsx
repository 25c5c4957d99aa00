// The variables of a dashboard: what each may be, what is chosen, and the bar in which it is chosen.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Failure } from '../../lib/api';
import { chosenOf, fill, givenIn, optionQuery, optionsMost, withChosen, type Chosen, type Chosens, type Doc, type Variable } from '../../lib/dashboard';
import { askProm } from '../../lib/prom';
import type { Range } from '../../lib/screens';
import { rangeMs } from '../../lib/time';
import { PopBox, usePop } from '../pop';

async function optionsOf(v: Variable, known: Chosens, range: Range, signal: AbortSignal): Promise<string[]> {
  if (v.kind !== 'query') return v.values ?? [];
  const [fromMs, toMs] = rangeMs(range, Date.now());
  const ask = optionQuery(fill(v.query ?? '', known, { fromMs, toMs, step: 60, title: '' }));
  if (!ask) throw new Failure(400, 'invalid', 'its query is not one that clew has', '');
  const a = await askProm<string[]>(ask.path, { start: fromMs / 1000, end: toMs / 1000, limit: optionsMost, ...(ask.match ? { 'match[]': ask.match } : {}) }, signal);
  return a.data ?? [];
}

/** All of them, one after another, since one may ask by those before it. null: not known yet. */
export function useVariables(doc: Doc | null, vars: readonly string[], range: Range, turn: number): Chosens | null {
  const [found, setFound] = useState<{ of: string; chosens: Chosens } | null>(null);
  const list = doc?.variables ?? [], asks = list.some((v) => v.kind === 'query');
  const id = doc ? JSON.stringify([list, vars, ...(asks ? [range.start, range.end, turn] : [])]) : '';
  const at = useMemo(() => givenIn(vars), [vars.join('\0')]);
  useEffect(() => {
    if (!id) return undefined;
    const stop = new AbortController();
    void (async () => {
      const chosens = new Map<string, Chosen>();
      for (const v of list) {
        let options: string[] = [], failure = '';
        try {
          options = await optionsOf(v, chosens, range, stop.signal);
        } catch (e) {
          if (stop.signal.aborted) return;
          failure = (e as Error).message;
        }
        chosens.set(v.name, { variable: v, options, failure, values: chosenOf(v, at.get(v.name), options) });
      }
      if (!stop.signal.aborted) setFound((old) => (old && sameChosens(old.chosens, chosens) ? { of: id, chosens: old.chosens } : { of: id, chosens }));
    })();
    return () => stop.abort();
  }, [id]);
  return doc && found ? found.chosens : null;
}

const sameChosens = (a: Chosens, b: Chosens): boolean => JSON.stringify([...a]) === JSON.stringify([...b]);

const nameOf = (value: string): string => (value === '*' ? 'All' : value === 'auto' ? 'auto' : value === '' ? '–' : value);

/** Several at once: a sheet of boxes. */
function Several({ c, set }: { c: Chosen; set: (values: string[]) => void }) {
  const pop = usePop();
  const [find, setFind] = useState('');
  const name = c.variable.label || c.variable.name, all = c.values[0] === '*';
  const shown = c.options.filter((o) => o.toLowerCase().includes(find.toLowerCase())).slice(0, 200);
  const turn = (o: string): void => {
    const now = all ? [] : c.values, next = now.includes(o) ? now.filter((x) => x !== o) : [...now, o];
    set(next.length ? next : c.variable.all ? ['*'] : now);
  };
  const label = all ? 'All' : c.values.length > 1 ? `${c.values[0]} + ${c.values.length - 1}` : nameOf(c.values[0] ?? '');
  const button = <button class="button choice" ref={pop.opener} aria-expanded={pop.open} aria-haspopup="dialog" aria-label={`${name}: ${c.values.map(nameOf).join(', ')}`} onClick={() => pop.setOpen(!pop.open)}><span class="cut">{label}</span><span aria-hidden="true">▾</span></button>;
  return (
    <PopBox pop={pop} name={name} button={button}>
      {c.options.length > 8 && <input class="field" aria-label={`Find in ${name}`} placeholder="Find" value={find} onInput={(e) => setFind(e.currentTarget.value)} />}
      <ul class="boxes">
        {c.variable.all && <li><label><input type="checkbox" checked={all} onChange={() => set(all && c.options.length ? [c.options[0]] : ['*'])} /> All</label></li>}
        {shown.map((o) => <li key={o}><label title={o}><input type="checkbox" checked={!all && c.values.includes(o)} onChange={() => turn(o)} /> <span class="cut">{nameOf(o)}</span></label></li>)}
      </ul>
      {c.options.length === 0 && <p class="muted">{c.failure || 'There is no value in this range of time.'}</p>}
    </PopBox>
  );
}

function One({ c, set }: { c: Chosen; set: (values: string[]) => void }) {
  const name = c.variable.label || c.variable.name, value = c.values[0] ?? '';
  if (c.variable.kind === 'text') return <input class="field" aria-label={name} value={value} onChange={(e) => set([e.currentTarget.value])} />;
  const options = [...(c.variable.all ? ['*'] : []), ...c.options];
  return (
    <select class="field" aria-label={name} value={value} title={c.failure || undefined} onChange={(e) => set([e.currentTarget.value])}>
      {!options.includes(value) && <option value={value}>{nameOf(value)}</option>}
      {options.map((o) => <option key={o} value={o}>{nameOf(o)}</option>)}
    </select>
  );
}

export function VariableBar({ chosens, vars, set }: { chosens: Chosens | null; vars: string[]; set: (vars: string[]) => void }) {
  const given = givenIn(vars); // at once: what depends on it may take its time
  const shown = [...(chosens ?? [])].map(([n, c]): [string, Chosen] => [n, { ...c, values: chosenOf(c.variable, given.get(n), c.options) }]).filter(([, c]) => !c.variable.hidden && c.variable.kind !== 'constant');
  if (!shown.length) return null;
  return (
    <div class="variables" role="group" aria-label="Variables">
      {shown.map(([n, c]) => (
        <div class="variable" key={n}>
          <span class="muted">{c.variable.label || n}{c.failure && <span class="bad" title={c.failure}> !<span class="sr">{c.failure}</span></span>}</span>
          {c.variable.multi ? <Several c={c} set={(values) => set(withChosen(vars, n, values))} /> : <One c={c} set={(values) => set(withChosen(vars, n, values))} />}
        </div>
      ))}
    </div>
  );
}
