// A long table: its columns can be sorted by, and only the rows in sight are in the document.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { scrollInto } from '../hot/rows';
import { nextOrder, type Order } from '../hot/spans';
import { rowHeight, Rows } from './rows';

export interface Column {
  by: string; // what it is sorted by; "": it cannot be
  title: string;
  width: string; // of a grid's template
  num?: boolean;
  wide?: boolean; // only where there is room
  cell: (k: number) => ComponentChildren;
}

const narrow = matchMedia('(max-width: 700px)');
export function useNarrow(): boolean {
  const [is, set] = useState(narrow.matches);
  useEffect(() => {
    const look = (): void => set(narrow.matches);
    narrow.addEventListener('change', look);
    return () => narrow.removeEventListener('change', look);
  }, []);
  return is;
}

/** `at`: the active row; -1: none. */
export function Grid({ id, label, columns, count, at, order, onOrder, onPick, rowClass }: {
  id: string; label: string; columns: Column[]; count: number; at: number; order: Order | null; onOrder?: (o: Order) => void; onPick: (k: number) => void; rowClass?: (k: number) => string;
}) {
  const box = useRef<HTMLDivElement>(null);
  const isNarrow = useNarrow();
  const shown = columns.filter((c) => !c.wide || !isNarrow);
  const template = { gridTemplateColumns: shown.map((c) => c.width).join(' ') };
  useEffect(() => {
    const b = box.current!;
    if (at >= 0) b.scrollTop = scrollInto(b.scrollTop, b.clientHeight - rowHeight, rowHeight, at);
  }, [at, count]);
  const title = (c: Column): ComponentChildren => (c.by && order && onOrder ? <button onClick={() => onOrder(nextOrder(order, c.by, c.num === true))}>{c.title}{order.by === c.by && <span aria-hidden="true">{order.down ? ' ↓' : ' ↑'}</span>}</button> : c.title);
  const head = (
    <div role="rowgroup" class="grid-head">
      <div role="row" class="grid-row" style={template} aria-rowindex={1}>
        {shown.map((c) => <div role="columnheader" key={c.title} class={c.num ? 'num' : ''} aria-sort={order && c.by && order.by === c.by ? (order.down ? 'descending' : 'ascending') : undefined}>{title(c)}</div>)}
      </div>
    </div>
  );
  return (
    <div class="grid" style={{ maxHeight: `${Math.max(3, count + 1) * rowHeight + 2}px` }}>
      <Rows count={count} box={box} head={head} role="grid" aria-label={label} aria-rowcount={count + 1} aria-colcount={shown.length} aria-readonly="true" aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined}
        row={(k) => (
          <div key={k} id={`${id}-${k}`} role="row" aria-rowindex={k + 2} aria-selected={k === at} class={`grid-row${k === at ? ' at' : ''} ${rowClass?.(k) ?? ''}`} style={{ ...template, top: `${k * rowHeight}px` }} onClick={() => onPick(k)}>
            {shown.map((c) => <div role="gridcell" key={c.title} class={c.num ? 'num' : ''}>{c.cell(k)}</div>)}
          </div>
        )} />
    </div>
  );
}

/** A share of a whole as a bar with its number beside it; of a difference, to the left where it is less. */
export function Share({ of, text, signed }: { of: number; text: string; signed?: boolean }) {
  const wide = Math.min(1, Math.abs(of)) * (signed ? 50 : 100);
  const left = signed ? (of < 0 ? 50 - wide : 50) : 0;
  return <span class="share"><span class={signed ? 'bars middle' : 'bars'} aria-hidden="true"><i class={of < 0 ? 'less' : ''} style={{ left: `${left}%`, width: `${wide}%` }} /></span><span>{text}</span></span>;
}
