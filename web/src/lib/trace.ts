// A trace as the page holds it: what is said of it as a whole, and its spans as columns.
import { layout, type ColumnsIn, type Waterfall } from '../hot/waterfall';
import { useQuestion, type Asked, type TraceHead } from './api';
import { absolute, parseMs } from './time';

export interface Trace extends TraceHead {
  w: Waterfall;
  stored: Waterfall | null; // the same by times as they came; null: no clock is ahead or behind
}

/** Numbers of columns are below 2⁵³ (104 days in ns), so the browser's own parser will do; it is the faster one. */
function read(text: string): Trace {
  const { columns, operations, ...head } = JSON.parse(text) as TraceHead & ColumnsIn;
  const of = { columns, operations, services: head.services };
  return { ...head, w: layout(of), stored: columns.skew_ns ? layout(of, true) : null };
}

/** null: none is wanted. */
export const useTrace = (id: string | null): Asked<Trace> => useQuestion(id && `/api/v1/traces/${id}/columns`, {}, read);

/** The hour around a trace: what its pivots look at. */
export function around(t: TraceHead): { start: string; end: string } {
  const start = parseMs(t.start);
  return absolute(start - 1_800_000, start + t.duration_ns / 1e6 + 1_800_000);
}
