// Rules and alerts as clew answers, and what is read out of them. Groups come from files (read only) and from rows of /api/v1/rules.
import type { Labels } from './prom';
import { duration, plural } from './format';

export interface Alert {
  labels: Labels;
  annotations: Labels;
  state: 'pending' | 'firing';
  activeAt: string;
  keepFiringSince?: string;
  value: string;
}
export interface Rule {
  type: 'alerting' | 'recording';
  name: string;
  query: string;
  duration?: number; // seconds, as keepFiringFor
  keepFiringFor?: number;
  labels: Labels;
  annotations?: Labels;
  alerts?: Alert[];
  state?: 'inactive' | 'pending' | 'firing';
  health: 'ok' | 'err' | 'unknown';
  lastError?: string;
  lastEvaluation: string;
  evaluationTime: number;
}
export interface Group {
  name: string;
  file: string;
  interval: number;
  rules: Rule[];
  lastEvaluation: string;
  evaluationTime: number;
  error?: string; // of a row: why it is not evaluated
}
export interface RowHead {
  id: string;
  name: string;
  version: number;
  tag: string;
  updated: string;
  updated_by: string;
}
/** A group as it is listed; row: null for one of a file. Without `group` nobody has evaluated it yet. */
export interface Listed {
  key: string;
  name: string;
  row: RowHead | null;
  group: Group | null;
}
export type Health = 'bad' | 'firing' | 'pending' | 'waiting' | 'ok';

const rowPath = '/api/v1/rules/';
const never = (t: string): boolean => t.startsWith('0001-');

/** Rows first, then files as they stand there. A row that was deleted since is left out; one that was made since has no group yet. */
export function listGroups(groups: readonly Group[], rows: readonly RowHead[]): Listed[] {
  const of = new Map(groups.filter((g) => g.file.startsWith(rowPath)).map((g) => [g.file.slice(rowPath.length), g]));
  const kept = rows.map((row) => ({ key: rowPath + row.id, name: row.name, row, group: of.get(row.id) ?? null }));
  const files = groups.filter((g) => !g.file.startsWith(rowPath)).map((group) => ({ key: `${group.file} ${group.name}`, name: group.name, row: null, group }));
  return [...kept, ...files];
}

export function healthOf(of: Listed): Health {
  const g = of.group;
  if (g?.error || g?.rules.some((r) => r.health === 'err')) return 'bad';
  if (g?.rules.some((r) => r.state === 'firing')) return 'firing';
  if (g?.rules.some((r) => r.state === 'pending')) return 'pending';
  return !g || never(g.lastEvaluation) ? 'waiting' : 'ok';
}

export const evaluated = (t: string): string | null => (never(t) ? null : t);

/** Those that fire, then those that wait; the longest first. */
export function allAlerts(groups: readonly Group[]): { alert: Alert; rule: Rule; group: Group }[] {
  const all = groups.flatMap((group) => group.rules.flatMap((rule) => (rule.alerts ?? []).map((alert) => ({ alert, rule, group }))));
  const rank = (a: Alert): number => (a.state === 'firing' ? 0 : 1);
  return all.sort((a, b) => rank(a.alert) - rank(b.alert) || (a.alert.activeAt < b.alert.activeAt ? -1 : a.alert.activeAt > b.alert.activeAt ? 1 : 0));
}

/** Labels as a selector has them, without the alert's name. */
export const showLabels = (l: Labels): string => Object.keys(l).filter((k) => k !== 'alertname' && k !== '__name__').sort().map((k) => `${k}=${JSON.stringify(l[k])}`).join(', ');

/* ---- checking and testing ---- */

export interface Problem {
  line?: number;
  message: string;
}
export interface Checked {
  groups: { name: string; body: unknown }[];
  problems: Problem[];
}
export interface Firing {
  labels: Labels;
  pending: string;
  start: string;
  end: string | null;
}
export interface Tested {
  group: string;
  name: string;
  line: number;
  step_ns: number;
  reads_recorded: boolean;
  error?: string;
  count?: number;
  firing_ns?: number;
  firings?: Firing[];
}
export interface Backtest {
  rules: Tested[];
  partial: boolean;
}

/** "would have fired 3 times, for 2h in all". */
export function sentenceOf(t: Tested): string {
  if (t.error !== undefined) return `cannot be tested: ${t.error}`;
  if (!t.count) return 'would not have fired';
  return `would have fired ${t.count === 1 ? 'once' : t.count === 2 ? 'twice' : plural(t.count, 'time')}, for ${duration(t.firing_ns ?? 0)} in all`;
}

/** Firings as parts of the range, 0 to 1, those that touch as one; each at least `least` wide. */
export function strip(firings: readonly Firing[], from: number, to: number, least = 0.002): [number, number][] {
  const out: [number, number][] = [];
  const share = (ms: number): number => Math.max(0, Math.min(1, (ms - from) / Math.max(1, to - from)));
  for (const f of [...firings].sort((a, b) => (a.start < b.start ? -1 : 1))) {
    const a = share(Date.parse(f.start)), b = Math.max(f.end === null ? 1 : share(Date.parse(f.end)), Math.min(1, a + least)), last = out[out.length - 1];
    if (last && a <= last[1]) last[1] = Math.max(last[1], b);
    else out.push([a, b]);
  }
  return out;
}

/** What a new group begins with: something that works on what clew measures of its machine by itself. */
export const firstText = `groups:
  - name: my rules
    interval: 1m
    rules:
      - alert: TargetDown
        expr: up == 0
        for: 5m
        labels:
          severity: warning
        annotations:
          summary: "{{ $labels.job }} on {{ $labels.instance }} is down"
`;
