// Which rows of a long list of equal heights are to be drawn: those in sight, and a few more on either side.
export interface Window {
  first: number;
  last: number; // not included
}

export function windowOf(scrollTop: number, height: number, rowHeight: number, count: number, more = 8): Window {
  const first = Math.max(0, Math.min(count, Math.floor(scrollTop / rowHeight) - more));
  return { first, last: Math.max(first, Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + more)) };
}

/** Where to scroll so that a row is whole in sight; unchanged if it is. */
export function scrollInto(scrollTop: number, height: number, rowHeight: number, row: number): number {
  const top = row * rowHeight;
  if (top < scrollTop) return top;
  return top + rowHeight > scrollTop + height ? top + rowHeight - height : scrollTop;
}
