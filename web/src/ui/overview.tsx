// What a search of traces finds in figures: compared with the period before, and grouped. Asked for only when one of them is wanted.
import { useMemo } from 'preact/hooks';
import { useQuestion, type Stats } from '../lib/api';
import type { TracesState } from '../lib/screens';
import { FailureNote } from './states';
import { Breakdown, type Narrowing } from './breakdown';
import { SpanCharts, spanSeries } from './spancharts';

const fields = ['service', 'environment', 'operation', 'status', 'kind'];

/** The change of a screen's state that a group asks for; the grouping has done its work then. */
export function narrowed(where: string[], n: Narrowing): Record<string, unknown> {
  if (n === null) return {};
  return 'where' in n ? { where: [...where.filter((w) => w !== n.where), n.where], by: '' } : { [n.field]: n.value, by: '' };
}

export function SpanOverview({ state, set }: { state: TracesState; set: (s: Partial<TracesState>) => void }) {
  const { order: _order, compare, by, ...conditions } = state;
  const asked = useQuestion<Stats>('/api/v1/traces/stats', { ...conditions, by, compare: compare ? 'before' : '', top: 0 });
  const data = useMemo(() => (asked.data ? spanSeries(asked.data) : null), [asked.data]);
  if (asked.failure) return <FailureNote failure={asked.failure} again={asked.again} />;
  return (
    <>
      {compare && asked.data && data && <SpanCharts stats={asked.data} data={data} range={state} set={set} />}
      {by && <Breakdown scope={{ signal: 'spans', start: state.start, end: state.end }} by={by} of={asked.data} fields={fields} onBy={(key) => set({ by: key })} narrow={(n) => set(narrowed(state.where, n))} />}
    </>
  );
}
