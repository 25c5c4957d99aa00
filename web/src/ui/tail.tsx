// Log records as they come, newest at the bottom. Drawn ten times a second at most, whatever comes; of what is not looked at the
// oldest are forgotten. The stream ends while the page is hidden.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { LogColumns } from '../hot/logs';
import { withParams, type Params, type Resource, type Scope } from '../lib/api';
import { grouped, plural } from '../lib/format';
import { parseJson } from '../lib/json';
import { useKeys } from '../lib/keys';
import { readKey } from '../lib/where';
import { LogFrame } from './loglist';
import { LogRow, type Shown } from './logrow';
import { Rows } from './rows';

const keep = 5000, drawEveryMs = 100;
type Arrived = Omit<Shown, 'resource' | 'scope'> & { resource: Resource; scope: Scope };
const shown = (r: Arrived): Shown => ({ ...r, resource: 0, scope: 0, resourceOf: r.resource, scopeOf: r.scope });

interface Status {
  came: number;
  lost: number;
  text: string; // why nothing comes; "": it does
}
const nothing: Status = { came: 0, lost: 0, text: 'Connecting …' };

/** Opens the stream, and again when it broke or the page is looked at again; `take` gets what came. */
function useStream(question: string, take: (records: Shown[]) => void): Status {
  const [status, setStatus] = useState(nothing);
  const taker = useRef(take);
  taker.current = take;
  useEffect(() => {
    let source: EventSource | null = null, timer = 0, batch: Shown[] = [];
    let now: Status = nothing;
    const tell = (some: Partial<Status>): void => setStatus((now = { ...now, ...some }));
    const flush = (): void => {
      timer = 0;
      const records = batch;
      batch = [];
      taker.current(records);
      tell({ came: now.came + records.length, text: '' });
    };
    const open = (): void => {
      source = new EventSource(question);
      source.onopen = () => tell({ text: '' });
      source.addEventListener('log', (e) => {
        batch.push(shown(parseJson(e.data as string) as Arrived));
        if (batch.length > keep) batch.splice(0, batch.length - keep);
        timer ||= window.setTimeout(flush, drawEveryMs);
      });
      source.addEventListener('lost', (e) => tell({ lost: now.lost + Number((JSON.parse(e.data as string) as { rows: number }).rows) }));
      source.addEventListener('end', (e) => {
        source?.close();
        tell({ text: `It has ended: ${(JSON.parse(e.data as string) as { reason: string }).reason}.` });
      });
      source.onerror = () => tell({ text: source?.readyState === EventSource.CLOSED ? 'clew refuses to send: too many look already, or a condition is wrong.' : 'The connection broke; trying again …' });
    };
    const look = (): void => {
      source?.close();
      source = null;
      if (document.hidden) tell({ text: 'Stopped while the page was hidden.' });
      else open();
    };
    open();
    document.addEventListener('visibilitychange', look);
    return () => {
      document.removeEventListener('visibilitychange', look);
      source?.close();
      clearTimeout(timer);
    };
  }, [question]);
  return status;
}

export function Tail({ params, columns: names, record, select }: { params: Params; columns: string[]; record: Shown | null; select: (r: Shown | null) => void }) {
  const question = withParams('/api/v1/logs/tail', { ...params, limit: 200 });
  const box = useRef<HTMLDivElement>(null);
  const columns = useRef(new LogColumns<Shown>());
  const held = useRef<Shown[]>([]);
  const [paused, setPaused] = useState(false);
  const [, drawn] = useState(0);
  const add = (records: Shown[]): void => {
    const b = box.current, following = !b || b.scrollTop + b.clientHeight > b.scrollHeight - 60;
    columns.current.append(records);
    columns.current.keepLast(keep);
    drawn((n) => n + 1);
    if (following) requestAnimationFrame(() => { if (box.current) box.current.scrollTop = box.current.scrollHeight; });
  };
  const status = useStream(question, (records) => {
    if (!paused) return add(records);
    held.current.push(...records);
    if (held.current.length > keep) held.current.splice(0, held.current.length - keep);
  });
  useEffect(() => {
    columns.current = new LogColumns<Shown>();
    held.current = [];
    drawn((n) => n + 1);
  }, [question]);
  const pause = (): void => {
    setPaused(!paused);
    if (paused) add(held.current.splice(0));
  };
  useKeys({ ' ': pause, escape: () => select(null) });
  const c = columns.current, now = Date.now(), keys = useMemo(() => names.map(readKey), [names.join('\0')]);
  return (
    <div>
      <div class="head" style={{ marginBottom: '8px' }}>
        <span class="grow" role="status">{status.text || (c.n === 0 ? 'Waiting for records that fulfil the conditions …' : paused ? `Paused; ${grouped(held.current.length)} wait.` : `${plural(status.came, 'record')} so far.`)}{status.lost > 0 && ` ${grouped(status.lost)} came too fast and were left out.`}</span>
        <button class="button" aria-pressed={paused} title="Space" onClick={pause}>{paused ? 'Go on' : 'Pause'}</button>
      </div>
      <LogFrame keys={names} columns={c}>
        {(head) => (
          <Rows count={c.n} box={box} head={head} role="grid" aria-label="Records as they come" aria-rowcount={c.n} aria-readonly="true"
            row={(i) => <LogRow key={i} columns={c} keys={keys} i={i} at={c.record[i] === record} now={now} onSelect={() => select(c.record[i] === record ? null : c.record[i])} />} />
        )}
      </LogFrame>
    </div>
  );
}
