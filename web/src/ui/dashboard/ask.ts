// What panels ask: only those in sight, at most four questions at a time for all of them, and none that is no longer wanted.
import { useEffect, useRef, useState } from 'preact/hooks';
import { Failure, get, type Logs, type Traces } from '../../lib/api';
import { fill, type Chosens, type Moment, type Panel, type Query } from '../../lib/dashboard';
import { askProm, readStep, seriesMost, stepOf, stepsOf, type Result, type Steps } from '../../lib/prom';
import { rangeMs } from '../../lib/time';
import type { Range } from '../../lib/screens';

const atOnce = 4;
let running = 0;
const waiting: (() => void)[] = [];

/** Waits for its turn; one that is given up leaves the line. */
async function inTurn<T>(run: () => Promise<T>, signal: AbortSignal): Promise<T> {
  if (running >= atOnce)
    await new Promise<void>((resolve, reject) => {
      const go = (): void => resolve();
      waiting.push(go);
      signal.addEventListener('abort', () => {
        const at = waiting.indexOf(go);
        if (at >= 0) waiting.splice(at, 1);
        reject(signal.reason instanceof Error ? signal.reason : new Error('given up'));
      });
    });
  if (signal.aborted) { waiting.shift()?.(); throw new Error('given up'); }
  running++;
  try {
    return await run();
  } finally {
    running--;
    waiting.shift()?.();
  }
}

export interface Answer {
  query: Query;
  index: number; // in the panel
  result?: Result;
  logs?: Logs;
  traces?: Traces;
}
export interface PanelData {
  steps: Steps;
  moment: Moment;
  answers: Answer[];
  notes: string[];
  failure: Failure | null;
}

/** One moment is enough where a value each is shown that is the last one. */
const isInstant = (p: Panel, q: Query): boolean => q.instant === true || p.kind === 'table' || (p.kind === 'bars' && (p.calc ?? 'last') === 'last');

const leastOf = (q: Query): number => (q.step ? (readStep(q.step) ?? 0) : 0);

async function askOne(p: Panel, q: Query, index: number, chosens: Chosens, all: Moment, steps: Steps, range: Range, signal: AbortSignal): Promise<{ answer: Answer; notes: string[] }> {
  const moment = { ...all, least: leastOf(q) };
  const text = (t: string | undefined): string => {
    const filled = fill(t ?? '', chosens, moment, false);
    return filled === '.+' ? '' : filled; // all of them: no condition
  };
  const shared = { service: text(q.service), environment: text(q.environment), text: text(q.text), where: (q.where ?? []).map(text), start: range.start, end: range.end, limit: q.limit ?? (q.kind === 'logs' ? 100 : 20) };
  if (q.kind === 'logs') return { answer: { query: q, index, logs: await get<Logs>('/api/v1/logs/query', { ...shared, severity: q.severity, order: q.order === 'oldest' ? 'oldest' : 'newest' }, signal) }, notes: [] };
  if (q.kind === 'traces') return { answer: { query: q, index, traces: await get<Traces>('/api/v1/traces', { ...shared, operation: text(q.operation), status: q.status, min_duration: text(q.min_duration), max_duration: text(q.max_duration), order: q.order === 'longest' ? 'longest' : 'newest' }, signal) }, notes: [] };
  const query = fill(q.expr ?? '', chosens, moment);
  const a = isInstant(p, q) ? await askProm<Result>('/query', { query, time: steps.end, limit: seriesMost }, signal) : await askProm<Result>('/query_range', { query, start: steps.start, end: steps.end, step: steps.step, limit: seriesMost }, signal);
  return { answer: { query: q, index, result: a.data }, notes: [...(a.warnings ?? []), ...(a.infos ?? [])] };
}

const failureOf = (e: unknown): Failure => (e instanceof Failure ? e : new Failure(0, 'internal', (e as Error).message, 'This is a fault of the page.'));

/** The answers of a panel, anew when what it asks changes or `turn` does; those before stay while the next are awaited. */
export function usePanel(p: Panel, chosens: Chosens | null, range: Range, title: string, turn: number, pixels: number, wanted: boolean): { data: PanelData | null; busy: boolean } {
  const [data, setData] = useState<PanelData | null>(null);
  const [busy, setBusy] = useState(false);
  const done = useRef('');
  const queries = (p.queries ?? []).filter((q) => !q.hidden && (q.kind !== 'promql' || (q.expr ?? '').trim() !== ''));
  const values = chosens ? [...chosens].map(([n, c]) => [n, c.values, c.values[0] === '*' ? c.options : 0]) : null;
  const id = JSON.stringify([queries, p.kind, p.calc, range.start, range.end, turn, values, pixels > 0 ? Math.ceil(pixels / 200) : 0]);
  useEffect(() => {
    if (!wanted || !chosens || pixels <= 0 || done.current === id || p.kind === 'text' || p.kind === 'row' || p.kind === 'unknown') return undefined;
    const stop = new AbortController();
    const [fromMs, toMs] = rangeMs(range, Date.now());
    const steps = stepsOf(fromMs, toMs, Math.max(stepOf(toMs - fromMs, pixels), ...queries.map(leastOf))), moment: Moment = { fromMs, toMs, step: steps.step, title };
    setBusy(true);
    const all = queries.map((q) => inTurn(() => askOne(p, q, (p.queries ?? []).indexOf(q), chosens, moment, steps, range, stop.signal), stop.signal));
    Promise.allSettled(all).then((got) => {
      if (stop.signal.aborted) return;
      const good = got.flatMap((g) => (g.status === 'fulfilled' ? [g.value] : [])), bad = got.find((g) => g.status === 'rejected');
      done.current = id;
      setData({ steps, moment, answers: good.map((g) => g.answer), notes: [...new Set(good.flatMap((g) => g.notes))], failure: bad ? failureOf((bad as PromiseRejectedResult).reason) : null });
      setBusy(false);
    });
    return () => { stop.abort(); setBusy(false); };
  }, [id, wanted, chosens !== null]);
  return { data, busy };
}

/** Whether an element is in sight, or nearly. */
export function useSeen(): [(e: HTMLElement | null) => void, boolean, number] {
  const [element, setElement] = useState<HTMLElement | null>(null);
  const [seen, setSeen] = useState(false);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!element) return undefined;
    const sight = new IntersectionObserver((e) => setSeen(e[e.length - 1].isIntersecting), { rootMargin: '120px' });
    const size = new ResizeObserver(() => setWidth(element.clientWidth));
    sight.observe(element);
    size.observe(element);
    return () => { sight.disconnect(); size.disconnect(); };
  }, [element]);
  return [setElement, seen, width];
}
