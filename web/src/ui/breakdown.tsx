// A search grouped by one value: the largest groups, all others, and what has no such value. Each row is a filter.
import { useState } from 'preact/hooks';
import type { Grouped, LogGroup, SpanGroup } from '../lib/api';
import { duration, grouped, percent, plural } from '../lib/format';
import { attributeKey, condition, readKey } from '../lib/where';
import { Spark } from './chart';
import { Acts } from './chips';
import { useAttributeKeys, type KeyScope } from './filters';

type Group = SpanGroup | LogGroup;
/** What a group becomes as a filter: fields of the screen, or a condition. null: it cannot be asked for. */
export type Narrowing = { field: string; value: string } | { where: string } | null;

const rowsOf = (g: Group): number => ('count' in g ? g.count : g.span_count);

/** A row's value as a filter; value null: rows without one. */
export function narrowing(by: string, value: string | null, not = false): Narrowing {
  const key = readKey(by);
  if (key === null) return null;
  if ('field' in key) {
    if (value === null || ['kind', 'event_name'].includes(key.field)) return null;
    if (!not) return key.field === 'body' ? { field: 'text', value: `"${value.replace(/"/g, ' ')}"` } : { field: key.field, value };
    return key.field === 'service' ? { where: condition('resource.', 'service.name', '!=', value)! } : null;
  }
  if (value === null) return { where: `${attributeKey(key.prefix, key.key)} ${not ? 'exists' : 'absent'}` };
  const where = condition(key.prefix, key.key, not ? '!=' : '=', value);
  return where === null ? null : { where };
}

function Row({ by, g, name, most, narrow }: { by: string; g: Group; name: string | null; most: number; narrow: (n: Narrowing) => void }) {
  const spans = 'span_count' in g, rows = rowsOf(g), is = name === null ? null : narrowing(by, g.value ?? null), not = name === null ? null : narrowing(by, g.value ?? null, true);
  const text = name ?? 'all other values';
  return (
    <tr>
      <td class="mono value">
        {is ? <button class="link" title="Only these" onClick={() => narrow(is)}>{text}</button> : <span class={g.value === undefined ? 'muted' : ''}>{text}</span>}
        {name !== null && <Acts name={text} text={text} filter={is ? () => narrow(is) : null} exclude={not ? () => narrow(not) : null} />}
      </td>
      <td class="num">{grouped(rows)}</td>
      <td class="hide-small"><span class="bars" aria-hidden="true"><i style={{ display: 'block', height: '100%', width: `${Math.max(1, (rows / most) * 100)}%`, background: 'var(--accent)' }} /></span></td>
      <td class="num">{g.error_count ? <span class="bad">{percent(g.error_ratio)}</span> : <span class="muted">0%</span>}</td>
      {spans && <td class="num hide-small">{g.duration ? duration(g.duration.p50_ns) : '–'}</td>}
      {spans && <td class="num">{g.duration ? duration(g.duration.p95_ns) : '–'}</td>}
      <td class="hide-small trend">{g.bucket_counts && <Spark counts={g.bucket_counts} errors={g.bucket_error_counts ?? []} label={`${text}: ${plural(rows, spans ? 'span' : 'record')}, ${plural(g.error_count, 'error')}`} />}</td>
    </tr>
  );
}

function KeyField({ by, fields, onBy, scope }: { scope: KeyScope; by: string; fields: string[]; onBy: (by: string) => void }) {
  const [wrong, setWrong] = useState('');
  const [near, setNear] = useState(false);
  const keys = useAttributeKeys(scope, near);
  const take = (text: string): void => {
    const typed = text.trim();
    if (typed === by) return;
    if (typed !== '' && readKey(typed) === null) setWrong('Write the name of a field or an attribute');
    else onBy(typed);
  };
  return (
    <>
      <input class="field mono" style={{ width: 'auto' }} key={by} defaultValue={by} list="group-keys" aria-label="Group by" aria-invalid={wrong !== ''} placeholder="service, user.id …" spellcheck={false} autocomplete="off"
        onFocus={() => setNear(true)} onInput={() => setWrong('')} onBlur={(e) => take(e.currentTarget.value)} onKeyDown={(e) => { if (e.key === 'Enter') take(e.currentTarget.value); if (e.key === 'Escape') e.currentTarget.blur(); }} />
      <datalist id="group-keys">{[...fields, ...keys].map((k) => <option key={k} value={k} />)}</datalist>
      <span class="wrong" role="status">{wrong}</span>
    </>
  );
}

export function Breakdown({ by, of, fields, onBy, narrow, scope }: { scope: KeyScope; by: string; of: Grouped<Group> | null; fields: string[]; onBy: (by: string) => void; narrow: (n: Narrowing) => void }) {
  const groups = of?.groups ?? [], rest = [of?.other, of?.without].filter((g): g is Group => !!g), most = Math.max(1, ...[...groups, ...rest].map(rowsOf));
  const spans = [...groups, ...rest].some((g) => 'span_count' in g);
  return (
    <section class="breakdown" aria-label={`By ${by}`}>
      <div class="head">
        <h2>By</h2>
        <KeyField by={by} fields={fields} onBy={onBy} scope={scope} />
        {of?.groups && <span class="muted">{of.value_count_is_least && 'at least '}{plural(of.value_count ?? 0, 'value')}</span>}
        <span class="grow" />
        <button class="button quiet icon" aria-label="Ungroup" title="No grouping" onClick={() => onBy('')}>×</button>
      </div>
      {of?.groups && (
        <div class="scroll">
          <table class="table">
            <thead><tr><th scope="col">{by}</th><th scope="col" class="num">{spans ? 'Spans' : 'Records'}</th><th scope="col" class="hide-small"><span class="sr">Compared</span></th><th scope="col" class="num">Errors</th>{spans && <th scope="col" class="num hide-small">p50</th>}{spans && <th scope="col" class="num">p95</th>}<th scope="col" class="hide-small">Over time</th></tr></thead>
            <tbody>
              {groups.map((g) => <Row key={g.value} by={by} g={g} name={g.value === '' ? '(empty)' : g.value ?? ''} most={most} narrow={narrow} />)}
              {of.other && <Row by={by} g={of.other} name={null} most={most} narrow={narrow} />}
              {of.without && <Row by={by} g={of.without} name={`without ${by}`} most={most} narrow={narrow} />}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
