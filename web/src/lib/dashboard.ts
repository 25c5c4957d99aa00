// The document of a dashboard (src/api/dashboard), its variables and what they are in an expression.
import { showStep } from './prom';
import type { Range } from './screens';

export type VariableKind = 'query' | 'custom' | 'constant' | 'interval' | 'text';
export interface Variable {
  name: string;
  label?: string;
  kind: VariableKind;
  query?: string;
  values?: string[];
  value?: string[]; // chosen at first; "*": all
  multi?: boolean;
  all?: boolean;
  all_value?: string;
  hidden?: boolean;
}
export interface Query {
  kind: 'promql' | 'logs' | 'traces';
  expr?: string;
  legend?: string;
  instant?: boolean;
  step?: string; // the least: "1m" where the data has no more
  hidden?: boolean;
  service?: string;
  environment?: string;
  severity?: string;
  text?: string;
  where?: string[];
  operation?: string;
  status?: string;
  min_duration?: string;
  max_duration?: string;
  order?: string;
  limit?: number;
}
export type Tone = 'ok' | 'accent' | 'warning' | 'error';
export interface Threshold {
  at: number;
  tone: Tone;
}
export const panelKinds = ['timeseries', 'stat', 'gauge', 'bars', 'table', 'heatmap', 'text', 'logs', 'traces', 'row'] as const;
export type PanelKind = (typeof panelKinds)[number] | 'unknown';
export const kindNames: Record<PanelKind, string> = { timeseries: 'Time series', stat: 'Figure', gauge: 'Gauge', bars: 'Bars', table: 'Table', heatmap: 'Heatmap', text: 'Text', logs: 'Logs', traces: 'Traces', row: 'Row', unknown: 'Unknown' };
export interface Panel {
  id: number;
  kind: PanelKind;
  x: number;
  y: number;
  w: number;
  h: number;
  title?: string;
  description?: string;
  queries?: Query[];
  unit?: string;
  decimals?: number;
  min?: number;
  max?: number;
  stack?: boolean;
  draw?: 'line' | 'area' | 'bars' | 'points';
  calc?: 'last' | 'mean' | 'max' | 'min' | 'sum';
  thresholds?: Threshold[];
  text?: string;
  collapsed?: boolean;
  was?: string;
}
export interface Doc {
  title: string;
  description?: string;
  tags?: string[];
  time?: { start: string; end?: string };
  refresh?: string;
  variables?: Variable[];
  panels: Panel[];
}
/** What the API says of one; `body` not in lists. */
export interface Kept {
  id: string;
  name: string;
  version: number;
  tag: string;
  shipped?: true;
  updated?: string;
  updated_by?: string;
  bytes: number;
  body?: Doc;
}
export interface ImportNote {
  path: string;
  title: string;
  what: string;
}
export interface Imported extends Partial<Kept> {
  notes: ImportNote[];
  notes_left_out: number;
}

export const dashboardsPath = '/api/v1/dashboards';
export const queriesMost = 20;

/** An address may say "" for what the dashboard itself says. */
export const rangeOf = (state: Range, doc: Doc | null): Range => (state.start ? { start: state.start, end: state.end } : { start: doc?.time?.start || 'now-1h', end: doc?.time?.end ?? '' });

/** "30s" in ms; 0: never. */
export function refreshMs(text: string | undefined): number {
  const m = /^(\d+)(s|m|h)$/.exec(text ?? '');
  return m ? Math.max(1, Number(m[1])) * { s: 1000, m: 60_000, h: 3_600_000 }[m[2] as 's' | 'm' | 'h'] : 0;
}

/* ---- variables ---- */

export interface Chosen {
  variable: Variable;
  values: string[]; // as they are chosen; ["*"]: all
  options: string[];
  failure: string; // why there are no options
}
export type Chosens = ReadonlyMap<string, Chosen>;

/** What an address says of variables, "name=value" each; several of a name are several values. */
export function givenIn(vars: readonly string[]): Map<string, string[]> {
  const out = new Map<string, string[]>();
  for (const v of vars) {
    const at = v.indexOf('=');
    if (at > 0) out.set(v.slice(0, at), [...(out.get(v.slice(0, at)) ?? []), v.slice(at + 1)]);
  }
  return out;
}
export const withChosen = (vars: readonly string[], name: string, values: readonly string[]): string[] => [...vars.filter((v) => !v.startsWith(`${name}=`)), ...(values.length ? values : ['']).map((v) => `${name}=${v}`)];

/** The values that count: those of the address, of the document, all, or the first there is. */
export function chosenOf(v: Variable, given: string[] | undefined, options: readonly string[]): string[] {
  const wanted = given ?? v.value ?? [];
  if (v.kind === 'constant') return (v.value ?? ['']).slice(0, 1);
  if (v.kind === 'text') return [wanted[0] ?? ''];
  const held = wanted.filter((x) => (x === '*' ? v.all : given !== undefined || options.length === 0 || options.includes(x)));
  if (held.includes('*')) return ['*'];
  if (held.length) return v.multi ? held : held.slice(0, 1);
  return v.all && !options.length ? ['*'] : options.length ? [options[0]] : [];
}

export interface Moment {
  fromMs: number;
  toMs: number;
  step: number; // seconds
  least?: number; // seconds between samples, where the query says so
  title: string;
}
const usual = 15; // seconds between samples, as most send them

function macro(name: string, m: Moment): string | null {
  const range = Math.max(1, Math.round((m.toMs - m.fromMs) / 1000)), step = Math.max(1, Math.round(m.step)), scrape = m.least || usual;
  const values: Record<string, string> = {
    __interval: showStep(step), __rate_interval: showStep(Math.max(step + scrape, 4 * scrape)), __range: showStep(range), __interval_ms: `${step * 1000}`, __range_s: `${range}`, __range_ms: `${range * 1000}`,
    __from: `${Math.round(m.fromMs)}`, __to: `${Math.round(m.toMs)}`, __dashboard: m.title, __auto: showStep(step),
  };
  return values[name] ?? null;
}

const regex = (v: string): string => v.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
const quoted = (v: string): string => v.replace(/[\\"]/g, '\\$&');
export const optionsMost = 1000;

/** The values behind "all": each, or what the document has for them; of very many any. */
function valuesOf(c: Chosen): { values: string[]; raw: string | null } {
  if (c.values[0] !== '*') return { values: c.values, raw: null };
  if (c.variable.all_value) return { values: [], raw: c.variable.all_value };
  return c.options.length === 0 || c.options.length >= optionsMost ? { values: [], raw: '.+' } : { values: c.options.filter((o) => o !== 'auto'), raw: null };
}

function written(c: Chosen, format: string, m: Moment, promql: boolean): string {
  const { values, raw } = valuesOf(c);
  if (c.variable.kind === 'interval') return values[0] === 'auto' || !values.length ? showStep(Math.max(1, m.step)) : values[0];
  if (raw !== null) return raw;
  if (format === 'raw' || format === 'text') return values.join(' + ').replace(/ \+ /g, format === 'text' ? ' + ' : ',');
  if (format === 'csv') return values.join(',');
  if (format === 'pipe') return values.join('|');
  const many = c.variable.multi || c.variable.all;
  if (!promql && format !== 'regex') return values.join(', ');
  // within a text of PromQL a backslash is one more time escaped
  const escape = format === 'regex' || many ? (v: string) => (promql ? quoted(regex(v)) : regex(v)) : quoted;
  return values.length === 1 ? escape(values[0]) : `(${values.map(escape).join('|')})`;
}

const places = /\$\{(\w+)(?:[:.](\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]|\$(\w+)/g;

/** The text with $name, ${name}, ${name:format}, [[name]] and macros in it filled in; what is no variable stays. */
export function fill(text: string, chosens: Chosens, m: Moment, promql = true): string {
  return text.replace(places, (all, a?: string, format?: string, b?: string, format2?: string, c?: string) => {
    const name = (a ?? b ?? c)!, chosen = chosens.get(name);
    return chosen ? written(chosen, format ?? format2 ?? '', m, promql) : (macro(name, m) ?? all);
  });
}
/** Names of variables in a text. */
export const namesIn = (text: string): string[] => [...text.matchAll(places)].map((m) => (m[1] ?? m[3] ?? m[5])!);

/** What a variable asks: a path below /prometheus/api/v1 and its match; null: it is not of a known form. */
export function optionQuery(text: string): { path: string; match: string } | null {
  const t = text.trim();
  if (/^label_names\(\s*\)$/.test(t)) return { path: '/labels', match: '' };
  const metrics = /^metrics\(([^]*)\)$/.exec(t);
  if (metrics) return { path: '/label/__name__/values', match: metrics[1].trim() ? `{__name__=~${JSON.stringify(`.*(${metrics[1].trim()}).*`)}}` : '' };
  const values = /^label_values\(\s*(?:([^]*),)?\s*([A-Za-z_]\w*)\s*\)$/.exec(t);
  return values ? { path: `/label/${values[2]}/values`, match: (values[1] ?? '').trim() } : null;
}

/* ---- names of series ---- */

/** "{{instance}} of {{job}}" with the labels in it. */
export const legendOf = (template: string, labels: Record<string, string>): string => template.replace(/\{\{\s*([^{}]+?)\s*\}\}/g, (_, name: string) => labels[name] ?? '').trim();
