// Who metrics come from, by their names: of one's own, of the machine and its containers (node_exporter's and cAdvisor's names), of clew.
import { grouped } from './format';

export const originOf = (name: string): 0 | 1 | 2 => (name.startsWith('clew_') ? 2 : name.startsWith('node_') || name.startsWith('container_') ? 1 : 0);

/** One's own first, then the machine's, then clew's; within these as they came. */
export function ownFirst(names: string[]): string[] {
  const by: string[][] = [[], [], []];
  for (const n of names) by[originOf(n)].push(n);
  return by.flat();
}

/** How many of whom, in the order in which they stand; nothing where all are one's own. */
export function sayOrigins(names: string[]): string {
  const n = [0, 0, 0];
  for (const name of names) n[originOf(name)]++;
  const rest = [n[1] ? `${grouped(n[1])} of the machine and its containers` : '', n[2] ? `${grouped(n[2])} of clew` : ''].filter(Boolean).join(', ');
  if (!rest) return '';
  return n[0] ? `${grouped(n[0])} of your own, then ${rest}` : `none of your own yet; ${rest}`;
}
