// The questions of the explorer: one for each query, one more for the period before and one for its exemplars; at most four are under way at
// once. What is shown is always of one moment: the answers of the questions before stay until all of the new ones are there.
import { useEffect, useRef, useState } from 'preact/hooks';
import { Failure, type Params } from '../../lib/api';
import { askProm, type Envelope } from '../../lib/prom';

const atOnce = 4;

export interface Job {
  role: string; // whose answer it is: "0", "0 before", "0 exemplars"
  path: string;
  params: Params;
}
export interface Answered {
  job: Job;
  answer: Envelope<unknown> | null;
  failure: Failure | null;
  ms: number;
}
export interface Asking<S> {
  /** By role; with what was said of the questions when they were asked. */
  shown: { of: S; answers: Map<string, Answered> } | null;
  busy: boolean;
  stop: () => void;
}

const stopped = new Failure(0, 'cancelled', 'You stopped this question', 'Ask again, or take a shorter range of time or fewer series.');

async function one(job: Job, signal: AbortSignal): Promise<Answered> {
  const began = performance.now();
  try {
    return { job, answer: await askProm(job.path, job.params, signal), failure: null, ms: performance.now() - began };
  } catch (e) {
    const failure = signal.aborted ? stopped : e instanceof Failure ? e : new Failure(0, 'internal', (e as Error).message, 'This is a fault of the page.');
    return { job, answer: null, failure, ms: performance.now() - began };
  }
}

/** Runs all, `atOnce` at a time. */
async function runAll(jobs: readonly Job[], signal: AbortSignal): Promise<Map<string, Answered>> {
  const answers = new Map<string, Answered>();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < jobs.length) {
      const job = jobs[next++];
      answers.set(job.role, await one(job, signal));
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, jobs.length) }, worker));
  return answers;
}

/** Asks when `id` changes; what is no longer wanted is ended, in the server too. */
export function useJobs<S>(id: string, jobs: Job[], of: S): Asking<S> {
  const [shown, setShown] = useState<Asking<S>['shown']>(null);
  const [done, setDone] = useState('');
  const running = useRef<AbortController | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    running.current = stop;
    void runAll(jobs, stop.signal).then((answers) => {
      if (stop.signal.aborted && stop.signal.reason !== stopped) return;
      setShown({ of, answers });
      setDone(id);
    });
    return () => stop.abort();
  }, [id]);
  return { shown, busy: done !== id && jobs.length > 0, stop: () => running.current?.abort(stopped) };
}
