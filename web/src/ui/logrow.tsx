// One log record as a row of a long list.
import { cellOf, severities, type LogColumns } from '../hot/logs';
import type { LogRecord, Resource, Scope } from '../lib/api';
import { usePrefs } from '../lib/prefs';
import { showClock } from '../lib/time';
import type { readKey } from '../lib/where';
import { Dot } from './chips';
import { rowHeight } from './rows';

/** A record with what it refers to: by index in a page, as it is in a tail. */
export type Shown = LogRecord & { resourceOf?: Resource; scopeOf?: Scope; note?: string /* that stands behind its body */ };
export type Key = ReturnType<typeof readKey>;

/** Phones have no room for milliseconds. */
function Clock({ text }: { text: string }) {
  return <>{text.slice(0, -4)}<span class="hide-small">{text.slice(-4)}</span></>;
}

function Cell({ columns, i, of }: { columns: LogColumns<Shown>; i: number; of: Key }) {
  const r = columns.record[i], field = of && 'field' in of ? of.field : '';
  if (field === 'severity') return <span class="sev" role="gridcell">{severities[columns.severity[i]]}</span>;
  if (field === 'service') return <span class="svc cut muted" role="gridcell"><Dot service={r.service} />{r.service}</span>;
  if (field === 'body') return <span class="cut" role="gridcell">{columns.line[i] || <span class="muted">(no body)</span>}{r.note && <span class="muted"> · {r.note}</span>}</span>;
  const text = cellOf(r, of);
  return <span class="cut" role="gridcell" title={text}>{text || <span class="muted">–</span>}</span>;
}

export function LogRow({ columns, keys, i, at, marked, now, onSelect }: {
  columns: LogColumns<Shown>; keys: Key[]; i: number; at: boolean; marked?: boolean; now: number; onSelect: () => void;
}) {
  const { zone } = usePrefs();
  return (
    <div class={`row s-${severities[columns.severity[i]]}${at ? ' at' : ''}${marked ? ' marked' : ''}`} role="row" id={`log-${i}`} aria-rowindex={i + 1} aria-selected={at} style={{ top: `${i * rowHeight}px` }} onClick={onSelect}>
      <span class="muted cut" role="gridcell"><Clock text={showClock(columns.time[i], zone, now)} /></span>
      {keys.map((k, n) => <Cell key={n} columns={columns} i={i} of={k} />)}
    </div>
  );
}
