// Questions to clew, and what it answers. Types are those of /openapi.json, as far as the page reads them.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { parseJson } from './json';
import { toLogin } from './nav';
import { setPrefs } from './prefs';
import type { SearchScreen } from './screens';

export interface Duration {
  min_ns: number;
  mean_ns: number;
  max_ns: number;
  p50_ns: number;
  p90_ns: number;
  p95_ns: number;
  p99_ns: number;
}
export interface SpanStats {
  span_count: number;
  error_count: number;
  error_ratio: number;
  duration: Duration | null;
}
/** What failures alone make of it, as the server judges: unknown where there were no calls. */
export type ErrorStatus = 'healthy' | 'degraded' | 'critical' | 'unknown';
export interface Partial_ {
  partial: boolean;
  partial_reason?: string;
}
export interface ServiceStats extends SpanStats {
  service: string;
  error_status: ErrorStatus;
  bucket_span_counts: number[];
  bucket_error_counts: number[];
}
export interface SpanGroup extends SpanStats {
  value?: string;
  bucket_counts?: number[];
  bucket_error_counts?: number[];
}
export interface LogGroup {
  value?: string;
  count: number;
  error_count: number;
  error_ratio: number;
  bucket_counts?: number[];
  bucket_error_counts?: number[];
}
/** What `by` adds to an answer. */
export interface Grouped<G> {
  value_count?: number;
  value_count_is_least?: boolean;
  groups?: G[];
  other?: G | null;
  without?: G | null;
}
export interface Stats extends SpanStats, Partial_, Grouped<SpanGroup> {
  range: { start: string; end: string };
  trace_count: number | null;
  spans_per_second: number;
  step_ns: number;
  buckets: ({ start: string } & SpanStats)[];
  operations: ({ service: string; operation: string; kind: string } & SpanStats)[];
  services?: ServiceStats[];
  before?: (Omit<Stats, 'before'> & { back_ns: number }) | null;
}
export interface Services extends Partial_ {
  services: { name: string; namespace: string; environment: string; signals: string[] }[];
}
export interface Operations extends Partial_ {
  operations: ({ operation: string; kind: string } & SpanStats)[];
}
export interface TraceSummary {
  trace_id: string;
  correlation_id?: string;
  correlation_id_encoded?: string; // of one that is no UTF-8
  root: { service: string; operation: string; missing: boolean };
  start: string;
  duration_ns: number;
  span_count: number;
  error_count: number;
  matched_count: number;
  services: { name: string; span_count: number; error_count: number }[];
}
export interface Traces extends Partial_ {
  traces: TraceSummary[];
  next_cursor: string | null;
}
export type Attributes = Record<string, unknown>;
export interface Resource {
  service: string;
  environment: string;
  attributes: Attributes;
}
export interface Scope {
  name: string;
  version: string;
  attributes: Attributes;
}
/** Of /api/v1/traces/{id}/columns, without its columns (hot/waterfall.ts). */
export interface TraceHead extends Partial_ {
  trace_id: string;
  root: { service: string; operation: string; missing: boolean };
  start: string;
  duration_ns: number;
  span_count: number;
  error_count: number;
  truncated: boolean;
  missing_parents: string[];
  correlation_ids: string[]; // that its spans came with, the first of them
  correlation_ids_encoded?: (string | null)[]; // beside them, where one is no UTF-8
  services: { name: string; span_count: number; error_count: number }[];
  clocks: { service: string; ahead_ns: number; call_count: number; against_count: number }[];
}
export interface SpanDetails extends Partial_ {
  spans: {
    span_id: string;
    parent_span_id: string | null;
    start: string;
    duration_ns: number;
    correlation_id?: string;
    correlation_id_encoded?: string; // of one that is no UTF-8
    status: { code: string; message?: string };
    attributes: Attributes;
    events: { time: string; name: string; attributes: Attributes }[];
    links: { trace_id: string | null; span_id: string | null; attributes: Attributes }[];
    dropped_attributes?: number;
    dropped_events?: number;
    dropped_links?: number;
    resource: Resource;
    scope: Scope;
  }[];
}
/** Ids of spans of a trace, 16 digits each. */
export interface TraceSpans extends Partial_ {
  span_count: number;
  span_id: string;
}
export interface LogRecord {
  id: string;
  time: string;
  severity: string;
  severity_text: string;
  service: string;
  body: unknown;
  trace_id: string | null;
  span_id: string | null;
  correlation_id?: string;
  correlation_id_encoded?: string; // of one that is no UTF-8
  attributes: Attributes;
  resource: number;
  scope: number;
}
export interface Logs extends Partial_ {
  logs: LogRecord[];
  resources: Resource[];
  scopes: Scope[];
  next_cursor: string | null;
}
export interface LogHistogram extends Partial_, Grouped<LogGroup> {
  range: { start: string; end: string };
  count: number;
  step_ns: number;
  buckets: { start: string; [severity: string]: string | number }[];
  before?: (Omit<LogHistogram, 'before'> & { back_ns: number }) | null;
}

export interface AttributeNames extends Partial_ {
  attributes: { place: 'span' | 'log' | 'resource' | 'scope' | 'event'; key: string; types: string[]; count: number }[];
  found: number;
}
export interface AttributeValues extends Partial_ {
  values: { value: string; count: number }[];
  row_count: number;
  sampled: boolean;
}
export interface SavedSearch {
  name: string;
  screen: SearchScreen;
  query: string;
  by: string;
}
export interface Searches {
  searches: SavedSearch[];
}

export class Failure extends Error {
  constructor(readonly status: number, readonly kind: string, message: string, readonly hint: string) {
    super(message);
  }
}

async function failureOf(answer: Response): Promise<Failure> {
  const body = (await answer.json().catch(() => null)) as { error?: { kind: string; message: string; hint?: string } } | null;
  const e = body?.error;
  const wait = answer.headers.get('Retry-After');
  const hint = e?.hint ?? (answer.status === 429 ? `Try again in ${wait ?? 'a few'} seconds.` : answer.status >= 500 ? 'The log of clew says more.' : '');
  return new Failure(answer.status, e?.kind ?? 'internal', e?.message ?? `clew answered ${answer.status}`, hint);
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch (e) {
    if ((e as Error).name === 'AbortError') throw e;
    throw new Failure(0, 'unavailable', 'clew does not answer', 'It may have been stopped, or the network is down. Then try again.');
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && path !== '/api/v1/login') {
    setPrefs({ user: '' });
    toLogin();
  }
  throw await failureOf(answer);
}

export type Params = Record<string, string | number | boolean | string[] | undefined>;

/** path?a=b…: what is "" or undefined is left out. */
export function withParams(path: string, params: Params): string {
  const p = new URLSearchParams();
  for (const [name, v] of Object.entries(params))
    for (const one of Array.isArray(v) ? v : [v]) if (one !== undefined && one !== '') p.append(name, String(one));
  const query = p.toString();
  return query ? `${path}?${query}` : path;
}

export async function get<T>(path: string, params: Params = {}, signal?: AbortSignal, read: (text: string) => unknown = parseJson): Promise<T> {
  const answer = await ask(withParams(path, params), { signal });
  return read(await answer.text()) as T;
}

async function change<T>(method: string, path: string, body?: unknown, more: RequestInit = {}): Promise<T> {
  const headers = body === undefined ? more.headers : { 'Content-Type': 'application/json', ...(more.headers as Record<string, string>) };
  const answer = await ask(path, { ...more, method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  return (await answer.json()) as T;
}
export const post = <T>(path: string, body?: unknown, more?: { signal: AbortSignal }): Promise<T> => change('POST', path, body, more);
export const put = <T>(path: string, body: unknown, headers?: Record<string, string>): Promise<T> => change('PUT', path, body, { headers });
/** In place of the revision of that tag; "": there is none, "*": of any. Another one is a Failure of 409 or 412. */
export const putAt = <T>(path: string, body: unknown, tag: string): Promise<T> => change('PUT', path, body, { headers: tag === '' ? {} : { 'If-Match': tag === '*' ? '*' : `"${tag}"` } });
/** A text that is JSON already, as it came from a file. */
export async function postText<T>(path: string, body: string): Promise<T> {
  const answer = await ask(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  return (await answer.json()) as T;
}
export const remove = <T>(path: string): Promise<T> => change('DELETE', path);

export interface Asked<T> {
  data: T | null; // of the last answer, also while the next is awaited
  failure: Failure | null;
  busy: boolean;
  again: () => void;
  stop: () => void; // ends the question, in the server too
}

const stopped = new Failure(0, 'cancelled', 'You stopped this question', 'Ask again, or take a shorter range of time or more conditions.');

/** Asks when the question changes; an answer that comes too late is dropped, and its query ended. null: do not ask. `read` makes the data of
 * the answer's text; it is always the same function. */
export function useQuestion<T>(path: string | null, params: Params = {}, read?: (text: string) => T): Asked<T> {
  const question = path === null ? null : withParams(path, params);
  const [state, setState] = useState<{ data: T | null; failure: Failure | null; busy: boolean; of: string | null }>({ data: null, failure: null, busy: question !== null, of: question });
  const [turn, setTurn] = useState(0);
  const running = useRef<AbortController | null>(null);
  useLayoutEffect(() => { // before the screen is painted: the server works meanwhile
    if (question === null) {
      setState({ data: null, failure: null, busy: false, of: null });
      return undefined;
    }
    const stop = new AbortController();
    running.current = stop;
    setState((old) => (old.busy ? old : { ...old, busy: true }));
    get<T>(question, {}, stop.signal, read).then(
      (data) => setState({ data, failure: null, busy: false, of: question }),
      (e: Error) => {
        if (stop.signal.aborted && stop.signal.reason !== stopped) return;
        if (stop.signal.reason === stopped) e = stopped;
        setState({ data: null, failure: e instanceof Failure ? e : new Failure(0, 'internal', e.message, 'This is a fault of the page.'), busy: false, of: question });
      },
    );
    return () => stop.abort();
  }, [question, turn]);
  return { ...state, busy: state.busy || state.of !== question, again: () => setTurn((t) => t + 1), stop: () => running.current?.abort(stopped) };
}
