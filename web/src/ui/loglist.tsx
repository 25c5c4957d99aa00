// The list of records: columns that the address names below their heads, of which only the rows in sight are in the document.
import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { widthsOf, type LogColumns } from '../hot/logs';
import { scrollInto } from '../hot/rows';
import { useQuestion, type Asked, type Logs } from '../lib/api';
import { useKeys } from '../lib/keys';
import { logColumns } from '../lib/screens';
import { readKey } from '../lib/where';
import { LogRow, type Shown } from './logrow';
import { rowHeight, Rows } from './rows';

export const whole = (page: Logs): Shown[] => page.logs.map((l) => ({ ...l, resourceOf: page.resources[l.resource], scopeOf: page.scopes[l.scope] }));

export interface OpenRecord {
  record: Shown | null;
  asked: Asked<Logs>;
}
/** The record of the address: of the list if it holds it, else asked for by its id. */
export function useRecord(id: string, listed: Shown | null, wait = false): OpenRecord {
  const asked = useQuestion<Logs>(id && !listed && !wait ? '/api/v1/logs/query' : null, { id });
  return { record: listed ?? (asked.data && !asked.busy ? (whole(asked.data)[0] ?? null) : null), asked };
}

/** Fields are words, attributes are keys. */
const heading = (k: string): string => {
  const key = readKey(k);
  return key && 'field' in key ? k.charAt(0).toUpperCase() + k.slice(1).replace('_', ' ') : k;
};

/** Names of the columns, in a frame that scrolls sideways where they have no room. */
export function LogFrame({ keys, columns, children }: { keys: string[]; columns: LogColumns<Shown>; children: (head: ComponentChildren) => ComponentChildren }) {
  const standard = keys.join() === logColumns.join();
  const widths = useMemo(() => widthsOf(keys, readKey, columns.record), [keys.join('\0'), columns.n > 0]);
  const head = (
    <div role="rowgroup" class="headrow">
      <div class="heads" role="row">
        <span role="columnheader">Time</span>
        {keys.map((k) => <span key={k} class={k === 'service' ? 'cut svc' : 'cut'} role="columnheader" title={k}>{heading(k)}</span>)}
      </div>
    </div>
  );
  return <div class={standard ? 'loglist standard' : 'loglist'} style={{ '--columns': widths.template, '--least': `${widths.least}px`, maxHeight: `${(columns.n + 1) * rowHeight + 14}px` }}>{children(head)}</div>;
}

export function LogList({ columns, keys, at, select, load, label, mark }: {
  columns: LogColumns<Shown>; keys: string[]; at: number; select: (i: number) => void; load?: () => void; label: string; mark?: number;
}) {
  const box = useRef<HTMLDivElement>(null);
  const now = Date.now(), read = useMemo(() => keys.map(readKey), [keys.join('\0')]);
  const show = at >= 0 ? at : (mark ?? -1);
  useEffect(() => {
    const b = box.current!;
    if (show < 0) return;
    const height = b.clientHeight - rowHeight;
    b.scrollTop = show === mark && at < 0 ? Math.max(0, (show + 0.5) * rowHeight - height / 2) : scrollInto(b.scrollTop, height, rowHeight, show);
  }, [show, columns]);
  const move = (step: number): void => select(Math.max(0, Math.min(columns.n - 1, show + step)));
  useKeys({ j: () => move(1), k: () => move(-1), arrowdown: () => move(1), arrowup: () => move(-1), enter: () => select(Math.max(0, show)), escape: () => select(-1) });
  return (
    <LogFrame keys={keys} columns={columns}>
      {(head) => (
        <Rows count={columns.n} box={box as RefObject<HTMLDivElement>} head={head} role="grid" aria-label={label} aria-rowcount={columns.n} aria-readonly="true" aria-activedescendant={at >= 0 ? `log-${at}` : undefined} onEnd={load}
          row={(i) => <LogRow key={i} columns={columns} keys={read} i={i} at={i === at} marked={i === mark} now={now} onSelect={() => select(i === at ? -1 : i)} />} />
      )}
    </LogFrame>
  );
}
