// A long list of rows of one height, of which only those in sight are in the document.
import type { ComponentChildren, HTMLAttributes, RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { windowOf } from '../hot/rows';

export const rowHeight = 24;

/** `head`: a row that stays in sight above them. `slot`: of a row among those drawn; as its key it lets rows that come take the elements of those
 * that go. */
export function Rows({ count, box, row, onEnd, head, ...attributes }: {
  count: number; box: RefObject<HTMLDivElement | null>; row: (i: number, slot: number) => ComponentChildren; onEnd?: () => void; head?: ComponentChildren;
} & Omit<HTMLAttributes<HTMLDivElement>, 'ref'>) {
  const [seen, setSeen] = useState({ top: 0, height: 800, more: 8, base: 0 });
  useEffect(() => {
    const b = box.current!;
    const look = (): void => {
      const top = b.scrollTop, height = b.clientHeight;
      setSeen((old) => {
        if (old.top === top && old.height === height) return old;
        const far = Math.abs(top - old.top) > old.height; // no row stays: the new ones are those in sight alone, and take the elements in their order
        return { top, height, more: far ? 0 : 8, base: far ? Math.floor(top / rowHeight) : old.base };
      });
      if (onEnd && b.scrollTop + b.clientHeight > b.scrollHeight - 20 * rowHeight) onEnd();
    };
    const watch = new ResizeObserver(look);
    watch.observe(b);
    b.addEventListener('scroll', look, { passive: true });
    return () => {
      watch.disconnect();
      b.removeEventListener('scroll', look);
    };
  }, [onEnd]);
  const { first, last } = windowOf(seen.top, seen.height, rowHeight, count, seen.more);
  const drawn: ComponentChildren[] = [], n = last - first;
  for (let i = first; i < last; i++) drawn.push(row(i, (((i - seen.base) % n) + n) % n));
  return (
    <div class="rows" ref={box} tabIndex={0} {...attributes}>
      {head}
      <div role="rowgroup" class="body-rows" style={{ height: `${count * rowHeight}px`, position: 'relative' }}>{drawn}</div>
    </div>
  );
}
