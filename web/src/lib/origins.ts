// Who metrics come from, by their names: of one's own, of the machine and its containers (node_exporter's and cAdvisor's names), of clew.
import { grouped } from './format';

/** What clew says of its process has the names that every program gives these: `shared` has those that others say, too. */
export const isShared = (name: string): boolean => name.startsWith('process_');
export const othersShared = '{__name__=~"process_.+",job!="clew"}';

export function originOf(name: string, shared: ReadonlySet<string> | null = null): 0 | 1 | 2 {
  if (name.startsWith('clew_') || (shared && isShared(name) && !shared.has(name))) return 2;
  return name.startsWith('node_') || name.startsWith('container_') ? 1 : 0;
}

/** Whether it must be asked who says what may be clew's or others'. */
export const mustAsk = (names: string[]): boolean => names.some((n) => n.startsWith('clew_')) && names.some(isShared);

/** One's own first, then the machine's, then clew's; within these as they came. */
export function ownFirst(names: string[], shared: ReadonlySet<string> | null = null): string[] {
  const by: string[][] = [[], [], []];
  for (const n of names) by[originOf(n, shared)].push(n);
  return by.flat();
}

/** How many of whom, in the order in which they stand; nothing where all are one's own. */
export function sayOrigins(names: string[], shared: ReadonlySet<string> | null = null): string {
  const n = [0, 0, 0];
  for (const name of names) n[originOf(name, shared)]++;
  const rest = [n[1] ? `${grouped(n[1])} of the machine and its containers` : '', n[2] ? `${grouped(n[2])} of clew` : ''].filter(Boolean).join(', ');
  if (!rest) return '';
  return n[0] ? `${grouped(n[0])} of your own, then ${rest}` : `none of your own yet; ${rest}`;
}
