// One log record as a row of a long list.
import { severities, type LogColumns } from '../hot/logs';
import type { LogRecord, Resource, Scope } from '../lib/api';
import { usePrefs } from '../lib/prefs';
import { showClock } from '../lib/time';
import { Dot } from './chips';
import { rowHeight } from './rows';

/** A record with what it refers to: by index in a page, as it is in a tail. */
export type Shown = LogRecord & { resourceOf?: Resource; scopeOf?: Scope };

/** Phones have no room for milliseconds. */
function Clock({ text }: { text: string }) {
  return <>{text.slice(0, -4)}<span class="hide-small">{text.slice(-4)}</span></>;
}

export function LogRow({ columns, i, at, now, onSelect }: { columns: LogColumns<Shown>; i: number; at: boolean; now: number; onSelect: () => void }) {
  const { zone } = usePrefs();
  const severity = severities[columns.severity[i]], r = columns.record[i];
  return (
    <div class={`row s-${severity}${at ? ' at' : ''}`} role="row" id={`log-${i}`} aria-rowindex={i + 1} aria-selected={at} style={{ top: `${i * rowHeight}px` }} onClick={onSelect}>
      <span class="muted cut" role="gridcell"><Clock text={showClock(columns.time[i], zone, now)} /></span>
      <span class="sev" role="gridcell">{severity}</span>
      <span class="svc cut muted" role="gridcell"><Dot service={r.service} />{r.service}</span>
      <span class="cut" role="gridcell">{columns.line[i] || <span class="muted">(no body)</span>}</span>
    </div>
  );
}
