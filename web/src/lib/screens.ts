// Every screen: its path, and what its URL holds. The paths are also rows of src/api/routes.c.
import { choice, codec, flag, list, text, type Codec } from './codec';

/** As the API takes them: RFC 3339, unix time, now-15m. end "": now. */
export interface Range {
  start: string;
  end: string;
}
export const range = { start: text('now-1h'), end: text() };

export interface HomeState extends Range {
  environment: string;
  compare: boolean; // with the period before
  paused: boolean; // asks no more by itself
}
export interface MapState extends Range {
  environment: string;
  focus: string; // the name of a node: only what is near it; "": all
  steps: '1' | '2' | '3' | '4'; // how near
  node: string; // the one that is looked at, by keyOf of hot/map.ts
  as: 'map' | 'list';
}
export interface ServiceState extends Range {
  service: string;
  environment: string;
  compare: boolean;
  show: 'errors' | 'slow' | 'logs'; // which of its newest
}
export interface ErrorsState extends Range {
  service: string;
  environment: string;
  text: string;
  trend: '' | 'new' | 'increasing' | 'steady' | 'decreasing';
  error: string; // fingerprint of the one that is open
}
export interface TracesState extends Range {
  service: string;
  environment: string;
  operation: string;
  status: '' | 'error' | 'ok' | 'unset';
  min_duration: string;
  max_duration: string;
  text: string;
  where: string[];
  order: 'newest' | 'longest';
  compare: boolean;
  by: string; // the field or attribute that the search is grouped by; "": none
  mark: string; // the trace that another one is chosen to be compared with; "": none
}
export interface TraceState {
  as: 'tree' | 'table' | 'operations' | 'analysis';
  sort: string; // of the table and the operations, "-self": from the greatest; "": as they come
  span: string;
  find: string;
  collapsed: string[]; // ids of spans; "*": all
  path: boolean;
  view: string; // ns from the start, "1200-5400"; "": all
  stored: boolean; // times as they came, though clocks are apart
}
export interface CompareState {
  a: string; // ids of traces; b "": to be chosen
  b: string;
  sort: 'explains' | 'tree';
  show: 'all' | 'changed' | 'a' | 'b';
}
export interface CorrelationsState extends Range {
  environment: string;
  service: string;
  search: string; // anywhere in an id
  attribute: string; // whose values are the ids; "": the correlation id
  errors: boolean; // with errors alone
  derived: boolean; // also traces without any id
  id: string; // of the one that is open; "": the list
  encoded: string; // the same percent-encoded, where it is no UTF-8 and `id` only shows it
  stored: boolean; // times as they came, though clocks are apart
  tab: 'timeline' | 'traces' | 'logs' | 'flow';
  find: string; // words in the timeline
  kind: 'all' | 'spans' | 'logs';
  failed: boolean; // only what failed
  grouped: boolean; // by trace
  scale: 'short' | 'true'; // hours of nothing
  view: string; // ns of the axis, "1200-5400"; "": all
  row: string; // what is looked at: a span, a record or a node, by its key
}
export interface PropagationState extends Range {
  environment: string;
  service: string;
}
export interface LogsState extends Range {
  service: string;
  environment: string;
  severity: '' | 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  text: string;
  trace_id: string;
  span_id: string;
  where: string[];
  order: 'newest' | 'oldest';
  live: boolean;
  compare: boolean;
  by: string;
  column: string[]; // fields and attributes, left to right; the time stands before them
  record: string; // `id` of the open one
  around: string; // `id` of the one whose neighbours are shown, instead of a search
  within: 'service' | 'host' | 'all';
}
export const logColumns = ['severity', 'service', 'body'];
export interface MetricsState extends Range {
  query: string[]; // A, B, …
  off: string; // letters of those that are not asked
  as: 'chart' | 'table';
  step: string; // "": by the chart's width
  compare: boolean;
  exemplars: 'shown' | 'hidden';
  find: string; // words in the legend
  series: string[]; // keys of those that are drawn alone
  sort: string; // of the table and the legend: "value", "-value", a label's name
  match: string; // a selector that the browser is held to
  metric: string; // open in the browser
  label: string;
  browser: 'auto' | 'open' | 'closed';
}
export const queriesMost = 8;
export interface CardinalityState extends Range {
  match: string; // a selector
  by: 'metric' | 'label' | 'pair';
  sort: 'series' | 'samples' | 'bytes' | 'values';
  find: string;
  drop: string; // what the saving is shown of: "metric:NAME" or "label:NAME"
}
export interface TargetsState {
  state: 'all' | 'down' | 'unknown' | 'up';
  pool: string; // "": all
  find: string; // words in addresses, labels and errors
  paused: boolean; // asks no more by itself
}
export interface RulesState extends Range {
  id: string; // of the group that is edited; "": the list
  edit: '' | 'new';
  show: 'all' | 'rows' | 'files' | 'bad';
  find: string;
}
export interface DashboardsState {
  search: string;
}
export interface DashboardState extends Range {
  var: string[]; // "name=value", several of a name where several are chosen
  refresh: string; // "": as the dashboard says; off, or a duration
  edit: boolean;
  panel: number; // the one that is looked at alone, or edited; 0: all
}
export interface SettingsState {
  section: 'health' | 'storage' | 'retention' | 'tokens';
  signal: 'spans' | 'logs'; // of storage
  column: string; // whose dropping is looked at: set/type/name
}
export interface LoginState {
  to: string;
}

export const home = codec<HomeState>({ ...range, environment: text(), compare: flag(), paused: flag() });
export const map = codec<MapState>({ ...range, environment: text(), focus: text(), steps: choice('2', '1', '3', '4'), node: text(), as: choice('map', 'list') });
export const service = codec<ServiceState>({ ...range, service: text(), environment: text(), compare: flag(), show: choice('errors', 'slow', 'logs') });
export const errors = codec<ErrorsState>({ start: text('now-24h'), end: text(), service: text(), environment: text(), text: text(), trend: choice('', 'new', 'increasing', 'steady', 'decreasing'), error: text() });
export const traces = codec<TracesState>({
  ...range, service: text(), environment: text(), operation: text(), status: choice('', 'error', 'ok', 'unset'), min_duration: text(),
  max_duration: text(), text: text(), where: list(), order: choice('newest', 'longest'),
  compare: flag(), by: text(), mark: text(),
});
export const trace = codec<TraceState>({
  as: choice('tree', 'table', 'operations', 'analysis'), sort: text(), span: text(), find: text(), collapsed: list(64), path: flag(), view: text(), stored: flag(),
});
export const compare = codec<CompareState>({ a: text(), b: text(), sort: choice('explains', 'tree'), show: choice('all', 'changed', 'a', 'b') });
export const correlations = codec<CorrelationsState>({
  ...range, environment: text(), service: text(), search: text(), attribute: text(), errors: flag(), derived: flag(), id: text(), encoded: text(), stored: flag(), tab: choice('timeline', 'traces', 'logs', 'flow'),
  find: text(), kind: choice('all', 'spans', 'logs'), failed: flag(), grouped: flag(), scale: choice('short', 'true'), view: text(), row: text(),
});
export const propagation = codec<PropagationState>({ start: text('now-24h'), end: text(), environment: text(), service: text() });
export const logs = codec<LogsState>({
  ...range, service: text(), environment: text(), severity: choice('', 'trace', 'debug', 'info', 'warn', 'error', 'fatal'), text: text(),
  trace_id: text(), span_id: text(), where: list(), order: choice('newest', 'oldest'), live: flag(),
  compare: flag(), by: text(), column: list(16, logColumns), record: text(), around: text(), within: choice('service', 'host', 'all'),
});
export const metrics = codec<MetricsState>({
  ...range, query: list(queriesMost), off: text(), as: choice('chart', 'table'), step: text(), compare: flag(), exemplars: choice('shown', 'hidden'), find: text(), series: list(16), sort: text(),
  match: text(), metric: text(), label: text(), browser: choice('auto', 'open', 'closed'),
});
export const cardinality = codec<CardinalityState>({
  start: text('now-24h'), end: text(), match: text(), by: choice('metric', 'label', 'pair'), sort: choice('series', 'samples', 'bytes', 'values'), find: text(), drop: text(),
});
export const targets = codec<TargetsState>({ state: choice('all', 'down', 'unknown', 'up'), pool: text(), find: text(), paused: flag() });
export const rules = codec<RulesState>({ start: text('now-7d'), end: text(), id: text(), edit: choice('', 'new'), show: choice('all', 'rows', 'files', 'bad'), find: text() });
export const dashboards = codec<DashboardsState>({ search: text() });
export const dashboard = codec<DashboardState>({
  start: text(), end: text(), var: list(256), refresh: text(), edit: flag(), panel: { read: (v) => (/^[1-9]\d{0,8}$/.test(v[0] ?? '') ? Number(v[0]) : 0), write: (n) => (n ? [String(n)] : []) },
});
export const settings = codec<SettingsState>({ section: choice('health', 'storage', 'retention', 'tokens'), signal: choice('spans', 'logs'), column: text() });
export const login = codec<LoginState>({ to: text() });
const none = codec<Record<never, never>>({});

export type ScreenName = 'home' | 'map' | 'service' | 'errors' | 'traces' | 'trace' | 'compare' | 'correlations' | 'propagation' | 'logs' | 'metrics' | 'cardinality' | 'targets' | 'rules' | 'dashboards' | 'dashboard' | 'start' | 'settings' | 'login';
export const paths: Record<ScreenName, string> = { home: '/', map: '/map', service: '/service', errors: '/errors', traces: '/traces', trace: '/trace/', compare: '/compare', correlations: '/correlations', propagation: '/propagation', logs: '/logs', metrics: '/explore', cardinality: '/cardinality', targets: '/targets', rules: '/rules', dashboards: '/dashboards', dashboard: '/dashboard/', start: '/start', settings: '/settings', login: '/login' };
export const codecs: Record<ScreenName, Codec<never>> = { home, map, service, errors, traces, trace, compare, correlations, propagation, logs, metrics, cardinality, targets, rules, dashboards, dashboard, start: none, settings, login } as unknown as Record<ScreenName, Codec<never>>;

export interface Place {
  screen: ScreenName;
  /** Of a trace or a dashboard; else "". */
  id: string;
}

/** Which screen a path is; null: none. */
export function placeOf(path: string): Place | null {
  const id = /^\/trace\/([0-9a-fA-F]{32})$/.exec(path)?.[1];
  if (id) return { screen: 'trace', id: id.toLowerCase() };
  const kept = /^\/dashboard\/([A-Za-z0-9_-][A-Za-z0-9_.-]{0,63})$/.exec(path)?.[1];
  if (kept) return { screen: 'dashboard', id: kept };
  const screen = (Object.keys(paths) as ScreenName[]).find((s) => s !== 'trace' && s !== 'dashboard' && paths[s] === path);
  return screen ? { screen, id: '' } : null;
}

/** Links, with what is not said at its default. */
const linkTo = <S>(path: string, c: Codec<S>) => (some: Partial<S> = {}): string => path + c.write({ ...c.read(''), ...some });
export const homeLink = linkTo(paths.home, home);
export const mapLink = linkTo(paths.map, map);
export const serviceLink = linkTo(paths.service, service);
export const errorsLink = linkTo(paths.errors, errors);
export const tracesLink = linkTo(paths.traces, traces);
export const compareLink = linkTo(paths.compare, compare);
export const correlationsLink = linkTo(paths.correlations, correlations);
/** One correlation id. `encoded`: as an answer gives it beside an id that is no UTF-8. */
export const correlationLink = (id: string, encoded = ''): string => correlationsLink({ id, encoded });
export const propagationLink = linkTo(paths.propagation, propagation);
export const logsLink = linkTo(paths.logs, logs);
export const metricsLink = linkTo(paths.metrics, metrics);
/** The metrics of a service: job is its namespace and name; of one whose namespace is not known, any. */
export function serviceMetricsLink(service: string, namespace: string | null, r: Partial<Range> = {}): string {
  const held = namespace === null ? `job=~${JSON.stringify(`(.+/)?${service.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`)}` : `job=${JSON.stringify(namespace ? `${namespace}/${service}` : service)}`;
  return metricsLink({ ...r, match: `{${held}}` });
}
export const cardinalityLink = linkTo(paths.cardinality, cardinality);
export const targetsLink = linkTo(paths.targets, targets);
export const rulesLink = linkTo(paths.rules, rules);
export const dashboardsLink = linkTo(paths.dashboards, dashboards);
export const dashboardLink = (id: string, some: Partial<DashboardState> = {}): string => linkTo(paths.dashboard + id, dashboard)(some);
export const settingsLink = linkTo(paths.settings, settings);
export const loginLink = linkTo(paths.login, login);
export const traceLink = (id: string, some: Partial<TraceState> = {}): string => linkTo(paths.trace + id, trace)(some);

/** Where a login leads back to: a path of this page, never another host's. */
export const safePath = (to: string): string => (/^\/(?![/\\])/.test(to) && placeOf(to.split('?')[0]) ? to : '/');

/** A saved search's address: its query read by the screen's codec, so that it leads nowhere else and holds nothing else. */
export type SearchScreen = 'traces' | 'logs' | 'metrics';
export const searchLink = (s: { screen: SearchScreen; query: string }): string =>
  s.screen === 'logs' ? paths.logs + logs.write(logs.read(s.query)) : s.screen === 'metrics' ? paths.metrics + metrics.write(metrics.read(s.query)) : paths.traces + traces.write(traces.read(s.query));
