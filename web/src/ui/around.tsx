// What came before and after one record, from the same place: not what the search asked for, to which the way back leads.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { LogColumns } from '../hot/logs';
import { get, useQuestion, type Failure, type Logs, type Params } from '../lib/api';
import { useKeys } from '../lib/keys';
import type { LogsState } from '../lib/screens';
import { shiftNs } from '../lib/time';
import { condition } from '../lib/where';
import { ColumnsButton } from './columns';
import { LogDetail, hostOf } from './logdetail';
import { LogList, useRecord, whole } from './loglist';
import type { Shown } from './logrow';
import { Empty, FailureNote, PartialNote, Progress } from './states';
import { logColumns } from '../lib/screens';

const pageSize = 50, most = 5000;
type Set = (s: Partial<LogsState>, replace?: boolean) => void;

/** The conditions of "the same place". */
function placeOf(r: Shown, within: LogsState['within']): Params {
  const host = hostOf(r.resourceOf);
  if (within === 'all') return {};
  if (within === 'host' && host) return { where: [condition('resource.', host.key, '=', host.value)!] };
  return { service: r.service };
}

/** One side of the record: its first page, and those that were asked for since. */
function useSide(question: Params | null) {
  const first = useQuestion<Logs>(question && '/api/v1/logs/query', question ?? {});
  const [more, setMore] = useState<{ of: Logs | null; pages: Logs[]; busy: boolean; failure: Failure | null }>({ of: null, pages: [], busy: false, failure: null });
  useEffect(() => setMore({ of: first.data, pages: [], busy: false, failure: null }), [first.data]);
  const pages = useMemo(() => (first.data ? [first.data, ...(more.of === first.data ? more.pages : [])] : []), [first.data, more]);
  const rows = useMemo(() => pages.flatMap(whole), [pages]);
  const cursor = rows.length < most ? (pages[pages.length - 1]?.next_cursor ?? null) : null;
  const load = (): void => {
    if (!cursor || more.busy) return;
    const of = first.data;
    setMore({ ...more, busy: true, failure: null });
    get<Logs>('/api/v1/logs/query', { ...question, cursor }).then(
      (page) => setMore((m) => (m.of === of ? { ...m, pages: [...m.pages, page], busy: false } : m)),
      (failure: Failure) => setMore((m) => (m.of === of ? { ...m, busy: false, failure } : m)),
    );
  };
  return { first, rows, cursor, load, busy: more.busy, failure: more.failure };
}

export function Around({ state, set, columns: setColumns }: { state: LogsState; set: Set; columns: (c: string[]) => void }) {
  const centre = useRecord(state.around, null), r = centre.record, time = state.around.split('-')[0];
  const place = r ? { ...placeOf(r, state.within), limit: pageSize } : null;
  const before = useSide(place && { ...place, order: 'newest', start: '0', end: shiftNs(time, -1) });
  const after = useSide(place && { ...place, order: 'oldest', start: time });
  const { columns, mark } = useMemo(() => {
    const made = new LogColumns<Shown>();
    made.append([...before.rows].reverse());
    made.append(after.rows);
    return { columns: made, mark: made.record.findIndex((x) => x.id === state.around) };
  }, [before.rows, after.rows, state.around]);
  const at = useMemo(() => (state.record ? columns.record.findIndex((x) => x.id === state.record) : -1), [state.record, columns]);
  const open = useRecord(state.record === state.around ? '' : state.record, at >= 0 ? columns.record[at] : null, true);
  const back = (): void => set({ around: '', within: 'service', record: state.around });
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus(), []);
  useKeys({ u: back });
  const within = (w: LogsState['within'], name: string) => <button class="button" aria-pressed={state.within === w} onClick={() => set({ within: w }, true)}>{name}</button>;
  const host = r && hostOf(r.resourceOf), sides = [before, after], failure = centre.asked.failure ?? before.first.failure ?? after.first.failure ?? before.failure ?? after.failure;
  return (
    <>
      <Progress on={centre.asked.busy || before.first.busy || after.first.busy} text="Reading what is around it" stop={() => sides.forEach((s) => s.first.stop())} />
      <div class="head">
        <button class="button" title="Back to the search (u)" onClick={back}>‹ Back to the search</button>
        <h1 tabIndex={-1} ref={title}>In context</h1>
        {r && <div class="group" role="group" aria-label="Within">{within('service', r.service)}{host && within('host', host.value)}{within('all', 'Everything')}</div>}
        <ColumnsButton columns={state.column} set={setColumns} initial={logColumns} scope={{ signal: 'logs', start: state.start, end: state.end }} />
      </div>
      {failure && <FailureNote failure={failure} again={() => { centre.asked.again(); sides.forEach((s) => s.first.again()); }} />}
      <PartialNote of={before.first.data?.partial ? before.first.data : after.first.data} />
      {!r && !failure && (centre.asked.data && !centre.asked.busy ? <Empty title="This record is not there" actions={<button class="button main" onClick={back}>Back to the search</button>}>It was deleted, or is older than what is kept.</Empty> : <p class="muted">Looking for it …</p>)}
      {r && (
        <>
          <p class="muted">All records of {state.within === 'all' ? 'every service' : state.within === 'host' && host ? `${host.key} ${host.value}` : r.service} before and after it, oldest first, whatever the search asked for.</p>
          <div class="more"><button class="button" disabled={!before.cursor || before.busy} onClick={before.load}>{before.cursor ? 'Earlier ones' : before.first.data ? 'Nothing is earlier' : 'Reading …'}</button></div>
          <div class={state.record ? 'loggrid open' : 'loggrid'}>
            <LogList columns={columns} keys={state.column} at={at} mark={mark} select={(i) => set({ record: i < 0 ? '' : columns.record[i].id }, true)} label="Records around it" />
            {state.record && <LogDetail open={at < 0 && state.record === state.around ? centre : open} state={state} set={(some, replace) => set('record' in some || 'around' in some ? some : { ...some, around: '' }, replace)} columns={setColumns} />}
          </div>
          <div class="more"><button class="button" disabled={!after.cursor || after.busy} onClick={after.load}>{after.cursor ? 'Later ones' : after.first.data ? 'Nothing is later' : 'Reading …'}</button></div>
        </>
      )}
    </>
  );
}
