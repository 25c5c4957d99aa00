// Which traces to offer for a comparison with one of the same operation: some that fail where it does not, or the other way, some slower, some faster, some of the usual duration.
interface Timed {
  trace_id: string;
  duration_ns: number;
  error_count?: number;
}
export interface Candidate<T extends Timed> {
  why: 'unlike' | 'slower' | 'usual' | 'faster'; // unlike: with errors, if it has none
  trace: T;
}

export function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const v = [...values].sort((a, b) => a - b), middle = v.length >> 1;
  return v.length % 2 ? v[middle] : (v[middle - 1] + v[middle]) / 2;
}

const near = 0.02; // as long as the one it is compared with: neither slower nor faster

/** At most `each` of a kind, each trace once: the first that fail where it does not (or do not), the slowest, the fastest, and those nearest to what is usual. */
export function pick<T extends Timed>(all: readonly T[], duration: number, usual: number, each = 4, failed = false): Candidate<T>[] {
  const taken = new Set<string>();
  const take = (why: Candidate<T>['why'], list: T[]): Candidate<T>[] =>
    list.filter((t) => !taken.has(t.trace_id)).slice(0, each).map((trace) => {
      taken.add(trace.trace_id);
      return { why, trace };
    });
  const by = (key: (t: T) => number): T[] => [...all].sort((a, b) => key(a) - key(b) || (a.trace_id < b.trace_id ? -1 : 1));
  return [
    ...take('unlike', all.filter((t) => (t.error_count ?? 0) > 0 !== failed && (failed || t.error_count !== undefined))),
    ...take('usual', by((t) => Math.abs(t.duration_ns - usual))),
    ...take('slower', by((t) => -t.duration_ns).filter((t) => t.duration_ns > duration * (1 + near))),
    ...take('faster', by((t) => t.duration_ns).filter((t) => t.duration_ns < duration * (1 - near))),
  ];
}
