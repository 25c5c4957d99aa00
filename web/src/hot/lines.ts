// What a chart of lines must know of its values.

/** Values without neighbours: a line through them is nothing, so they get a mark. */
export function alone(v: ArrayLike<number | null>): number[] {
  const is = (i: number): boolean => i >= 0 && i < v.length && v[i] !== null && v[i] !== undefined && !Number.isNaN(v[i]);
  return Array.from(v, (_, i) => i).filter((i) => is(i) && !is(i - 1) && !is(i + 1));
}
