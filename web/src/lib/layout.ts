// Panels on a grid of 24 columns: moved and resized, with the others making way, and none above a gap.

export const columns = 24;
export interface Box {
  id: number;
  x: number;
  y: number;
  w: number;
  h: number;
}
export const least: Pick<Box, 'w' | 'h'> = { w: 2, h: 1 };

const beside = (a: Box, b: Box): boolean => a.x + a.w <= b.x || b.x + b.w <= a.x;

/** Every box as high as it can be below those that begin before it; `first` goes before others that begin where it does. */
export function settle<T extends Box>(boxes: readonly T[], first = -1): T[] {
  const order = [...boxes].sort((a, b) => a.y - b.y || Number(b.id === first) - Number(a.id === first) || a.x - b.x);
  const placed: T[] = [];
  for (const box of order) placed.push({ ...box, y: placed.reduce((y, p) => (beside(p, box) ? y : Math.max(y, p.y + p.h)), 0) });
  return placed.sort((a, b) => a.y - b.y || a.x - b.x);
}

export function clamped<T extends Box>(box: T): T {
  const w = Math.max(least.w, Math.min(columns, box.w)), h = Math.max(least.h, Math.min(200, box.h));
  return { ...box, w, h, x: Math.max(0, Math.min(columns - w, box.x)), y: Math.max(0, box.y) };
}

/** The layout with one box at another place or of another size. */
export function moved<T extends Box>(boxes: readonly T[], id: number, to: Partial<Pick<Box, 'x' | 'y' | 'w' | 'h'>>): T[] {
  return settle(boxes.map((b) => (b.id === id ? clamped({ ...b, ...to, ...(to.w === undefined ? {} : { w: Math.min(to.w, columns - b.x) }) }) : b)), id);
}

const same = (a: readonly Box[], b: readonly Box[]): boolean => a.length === b.length && a.every((x, i) => x.id === b[i].id && x.x === b[i].x && x.y === b[i].y && x.w === b[i].w && x.h === b[i].h);

/** A step by keys: up and down go past the next box, since a box cannot hang in the air. */
export function stepped<T extends Box>(boxes: readonly T[], id: number, key: 'left' | 'right' | 'up' | 'down'): T[] {
  const now = settle(boxes), box = now.find((b) => b.id === id);
  if (!box) return now;
  if (key === 'left' || key === 'right') return moved(now, id, { x: box.x + (key === 'left' ? -1 : 1) });
  const deepest = Math.max(...now.map((b) => b.y + b.h));
  for (let y = box.y; key === 'up' ? y >= 0 : y <= deepest + 1; y += key === 'up' ? -1 : 1) {
    const next = moved(now, id, { y });
    const at = next.find((b) => b.id === id)!;
    if (!same(next, now) && (key === 'up' ? at.y < box.y : at.y > box.y)) return next;
  }
  return now;
}

/** What is below everything: where a new box goes. */
export const bottom = (boxes: readonly Box[]): number => boxes.reduce((y, b) => Math.max(y, b.y + b.h), 0);

/** Those that are seen: a collapsed row hides what begins below it, up to the next row. */
export function visible<T extends Box & { kind: string; collapsed?: boolean }>(panels: readonly T[]): T[] {
  const order = [...panels].sort((a, b) => a.y - b.y || a.x - b.x);
  let hidden = false;
  const shown = order.filter((p) => {
    if (p.kind === 'row') hidden = p.collapsed === true;
    return p.kind === 'row' || !hidden;
  });
  return settle(shown); // also where a document lets panels overlap
}
