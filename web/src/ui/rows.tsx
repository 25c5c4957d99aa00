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
  const [seen, setSeen] = useState<[number, number]>([0, 800]);
  useEffect(() => {
    const b = box.current!;
    const look = (): void => {
      setSeen((old) => (old[0] === b.scrollTop && old[1] === b.clientHeight ? old : [b.scrollTop, b.clientHeight]));
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
  const { first, last } = windowOf(seen[0], seen[1], rowHeight, count);
  const drawn: ComponentChildren[] = [];
  for (let i = first; i < last; i++) drawn.push(row(i, i % (last - first)));
  return (
    <div class="rows" ref={box} tabIndex={0} {...attributes}>
      {head}
      <div role="rowgroup" class="body-rows" style={{ height: `${count * rowHeight}px`, position: 'relative' }}>{drawn}</div>
    </div>
  );
}
