// The log records of an id, as the list of logs shows them.
import { useMemo } from 'preact/hooks';
import { LogColumns } from '../../hot/logs';
import { useQuestion } from '../../lib/api';
import { fromWords, paramsOf, pathOf, type CorrelatedLogs } from '../../lib/correlation';
import { plural } from '../../lib/format';
import { go } from '../../lib/nav';
import { logColumns, logs, logsLink, type CorrelationsState } from '../../lib/screens';
import { absolute, parseMs } from '../../lib/time';
import { LogDetail } from '../logdetail';
import { LogList } from '../loglist';
import type { Shown } from '../logrow';
import { Answer, PartialNote } from '../states';

type Set_ = (s: Partial<CorrelationsState>, replace?: boolean) => void;
const initial = logs.read('');

function List({ data, state, set }: { data: CorrelatedLogs; state: CorrelationsState; set: Set_ }) {
  const columns = useMemo(() => {
    const made = new LogColumns<Shown>();
    made.append(data.logs.map((l): Shown => ({ ...l, resource: 0, scope: 0, resourceOf: l.resource, scopeOf: l.scope, note: fromWords[l.correlation_from].tag && `id ${fromWords[l.correlation_from].tag}` })));
    return made;
  }, [data]);
  const at = useMemo(() => columns.record.findIndex((r) => `log-${r.id}` === state.row), [columns, state.row]), r = columns.record[at];
  const range = r ? absolute(parseMs(r.time) - 1_800_000, parseMs(r.time) + 1_800_000) : {};
  const select = (i: number): void => set({ row: i < 0 ? '' : `log-${columns.record[i].id}` }, true);
  return (
    <>
      <div class={r ? 'loggrid open' : 'loggrid'}>
        <LogList columns={columns} keys={logColumns} at={at} select={select} label="Log records of this id" />
        {r && <LogDetail open={{ record: r, asked: { data: null, failure: null, busy: false, again: () => undefined, stop: () => undefined } }} state={initial}
          set={(some) => ('record' in some && some.record === '' ? select(-1) : go(logsLink({ ...range, ...some })))} columns={(column) => go(logsLink({ ...range, column }))} />}
      </div>
      {data.logs_left_out > 0 && <p class="muted">{plural(data.logs_left_out, 'record')} more than are shown.</p>}
    </>
  );
}

export function LogsTab({ state, set }: { state: CorrelationsState; set: Set_ }) {
  const asked = useQuestion<CorrelatedLogs>(pathOf(state, '/logs'), { ...paramsOf(state), limit: 10_000 });
  return (
    <Answer asked={asked} wait="Loading its log records">
      {(data) => <><PartialNote of={data} />{data.logs.length === 0 ? <p class="muted">No log record has this id.</p> : <List data={data} state={state} set={set} />}</>}
    </Answer>
  );
}
