// Requests across signals, as /api/v1/correlations and what lies below it answer.
import { lineOf } from '../hot/logs';
import { timeline, type Timeline } from '../hot/timeline';
import type { LogRecord, Partial_, Resource, Scope } from './api';
import type { CorrelationsState } from './screens';
import { earlier, parseInstant } from './time';

export type IdFrom = 'own' | 'ancestor' | 'trace' | 'derived' | 'none';
export interface Correlation {
  correlation_id: string;
  correlation_id_encoded?: string; // of an id that is no UTF-8
  first_seen: string;
  last_seen: string;
  duration_ns: number; // last end less first start
  services: string[];
  service_count: number;
  span_count: number;
  log_count: number;
  error_count: number;
  trace_count: number;
  has_errors: boolean;
  root_service: string;
  root_operation: string;
  root_trace_id: string | null;
  max_duration_ns: number;
  clock_skew?: true; // clocks may be apart, and times are as they were stored
}
export interface Correlations extends Partial_ {
  correlations: Correlation[];
  correlation_count: number;
  next_cursor: string | null;
}
/** Of a service in a trace. */
export interface Clock {
  trace_id: string;
  service: string;
  ahead_ns: number;
  call_count: number;
}
/** Clocks that are apart: times of rows less `skew_ns` are right. */
export interface Clocks {
  clocks: Clock[];
  clocks_left_out: number;
}
export type One = Correlation & Clocks & Partial_;

export interface CorrelatedTrace {
  trace_id: string;
  start: string;
  duration_ns: number;
  span_count: number;
  error_count: number;
  log_count: number;
  carrying_count: number; // rows that came with the id
}
export interface CorrelatedSpan {
  trace_id: string | null;
  span_id: string | null;
  parent_span_id: string | null;
  service: string;
  operation: string;
  start: string;
  skew_ns?: number;
  duration_ns: number;
  status: { code: string };
  correlation_from: IdFrom;
}
export interface CorrelatedTraces extends Partial_ {
  traces: CorrelatedTrace[];
  spans: CorrelatedSpan[];
  spans_left_out: number;
}
export interface CorrelatedLogs extends Partial_ {
  logs: (Omit<LogRecord, 'resource' | 'scope'> & { resource: Resource; scope: Scope; correlation_from: IdFrom })[];
  logs_left_out: number;
}
export interface TimelineAnswer extends Partial_ {
  timeline: { time: string; skew_ns?: number; type: 'span' | 'log'; service: string; description: string; duration_ns?: number; severity?: string; is_error: boolean; trace_id: string | null; span_id: string | null; correlation_from: IdFrom; id?: string }[];
  items_left_out: number;
}
export interface FlowNode {
  kind: 'service' | 'database' | 'messaging' | 'peer';
  name: string;
  operation?: string;
  first_seen: string;
  call_count: number;
  call_error_count: number;
  mean_duration_ns: number;
  max_duration_ns: number;
  span_count: number;
  error_count: number;
  x: number;
  y: number;
}
export interface FlowEdge {
  client: number;
  server: number;
  join: 'call' | 'link' | 'same_id';
  first_seen: string;
  call_count: number;
  error_count: number;
  mean_duration_ns: number;
  max_duration_ns: number;
  bends: [number, number][];
}
export interface Flow extends Partial_ {
  nodes: FlowNode[];
  edges: FlowEdge[];
  width: number;
  height: number;
  spans_left_out: number;
}

export interface MeanwhileChart {
  service: string;
  metric: string; // calls, errors, p95: of its spans; else a metric's name
  query: string;
  series: { labels: Record<string, string>; values: (number | null)[] }[];
}
export interface Meanwhile extends Partial_ {
  range: { start: string; end: string };
  step_ns: number;
  charts: MeanwhileChart[];
  exemplars: { service: string; series: Record<string, string>; labels: Record<string, string>; value: number | null; time: string; trace_id: string }[];
}

/** What each of the questions of one id is asked with: the correlation id is found wherever it is, an attribute in the range alone. */
export const paramsOf = (s: Pick<CorrelationsState, 'start' | 'end' | 'attribute' | 'environment' | 'id' | 'encoded'>) => ({ ...(s.attribute ? { start: s.start, end: s.end } : {}), environment: s.environment, attribute: s.attribute, ...(isOfNoPath(s) ? { id: s.id } : {}) });
const isEncoded = /^(?:%[0-9A-Fa-f]{2}|[\w.~-])+$/;
/** What no path can hold: browsers take a part of dots out, and the server refuses a path with one, or with NUL. */
const isOfNoPath = (s: Pick<CorrelationsState, 'id' | 'encoded'>): boolean => !isEncoded.test(s.encoded) && (s.id === '.' || s.id.split(/[/\\]/).includes('..') || s.id.includes('\0'));
export const pathOf = (s: Pick<CorrelationsState, 'id' | 'encoded'>, below = ''): string => `/api/v1/correlations/${isEncoded.test(s.encoded) ? s.encoded : isOfNoPath(s) ? '-' : encodeURIComponent(s.id)}${below}`;

/** An id as it is shown: one that begins or ends with nothing to see stands in quotes. */
export const shownId = (id: string): string => (/^\s|\s$/.test(id) ? `“${id}”` : id);

/** `stored`: times as they came, whatever the clocks. */
export const readTimeline = (a: TimelineAnswer, stored = false): Timeline => timeline(a.timeline.map((i) => ({
  log: i.type === 'log', time: stored ? parseInstant(i.time) : earlier(parseInstant(i.time), i.skew_ns ?? 0), duration_ns: i.duration_ns ?? 0, service: i.service, name: lineOf(i.description), error: i.is_error, level: i.severity ?? '', trace_id: i.trace_id, span_id: i.span_id, from: i.correlation_from, id: i.id ?? '',
})));

/** The clocks that are farthest ahead or behind, one a service: of several traces the farthest. */
export function farthest(clocks: readonly Clock[]): Clock[] {
  const by = new Map<string, Clock>();
  for (const c of clocks) if (Math.abs(c.ahead_ns) > Math.abs(by.get(c.service)?.ahead_ns ?? 0)) by.set(c.service, c);
  return [...by.values()].sort((a, b) => Math.abs(b.ahead_ns) - Math.abs(a.ahead_ns));
}

/** Where the id of a row is from: a tag, "": it came with the row; in a sentence; of several rows. */
export const fromWords: Record<IdFrom, { tag: string; why: string; many: string }> = {
  own: { tag: '', why: 'It came with this id itself.', many: 'came with the id' },
  ancestor: { tag: 'of its ancestor', why: 'A span above it came with the id; it did not.', many: 'take it from a span above' },
  trace: { tag: 'of its trace', why: 'Another row of its trace came with the id; neither it nor what is above it did.', many: 'take it from their trace' },
  derived: { tag: 'of its trace id', why: 'Nothing of its trace came with an id; this one is made of the trace id.', many: 'have it made of the trace id' },
  none: { tag: 'none', why: 'It has no id.', many: 'have none' },
};
