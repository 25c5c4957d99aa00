// Names of metrics with what is known of them: for the browser, and for completion where all of them came.
import { useEffect, useState } from 'preact/hooks';
import { Failure } from '../../lib/api';
import { mustAsk, othersShared, ownFirst } from '../../lib/origins';
import { askProm, type Metadata } from '../../lib/prom';
import type { Range } from '../../lib/screens';
import { rangeMs } from '../../lib/time';

export const namesMost = 20_000;

export interface Known {
  type: string;
  help: string;
  unit: string;
}
export interface Names {
  names: string[];
  /** Of names that clew's process and others share, those of others; null: not known. */
  shared: ReadonlySet<string> | null;
  /** There are more: the server is asked by what is typed. */
  cut: boolean;
  about: (name: string) => Known | null;
  busy: boolean;
  failure: Failure | null;
  again: () => void;
}

const seconds = (r: Range): { start: string; end: string } => {
  const [start, end] = rangeMs(r, Date.now());
  return { start: (start / 1000).toFixed(3), end: (end / 1000).toFixed(3) };
};

/** What metadata says of a name; that of a histogram's or a summary's series is said of their common name. */
function aboutIn(metadata: Metadata | null, name: string): Known | null {
  if (!metadata || !name) return null;
  const find = (n: string): Known | null => (Object.hasOwn(metadata, n) ? (metadata[n][0] ?? null) : null);
  const own = find(name);
  if (own) return own;
  const base = /^(.*)_(bucket|sum|count|total|created|info)$/.exec(name)?.[1];
  const of = base ? find(base) : null;
  return of && (['histogram', 'gaugehistogram', 'summary'].includes(of.type) || name.endsWith('_total')) ? of : null;
}

/** Asks for names that `match` selects where they are wanted, and once for metadata. */
export function useNames(on: boolean, wantsAbout: boolean, range: Range, match: string): Names {
  const [names, setNames] = useState<{ of: string; list: string[]; shared: ReadonlySet<string> | null; failure: Failure | null }>({ of: '', list: [], shared: null, failure: null });
  const [metadata, setMetadata] = useState<Metadata | null>(null);
  const [turn, setTurn] = useState(0);
  const id = on ? JSON.stringify([range.start, range.end, match, turn]) : '';
  useEffect(() => {
    if (!id) return undefined;
    const stop = new AbortController();
    const values = async (selector: string): Promise<string[]> => (await askProm<string[]>('/label/__name__/values', { ...seconds(range), ...(selector ? { 'match[]': selector } : {}), limit: namesMost }, stop.signal)).data ?? [];
    const all = async (): Promise<void> => {
      const list = await values(match), shared = mustAsk(list) ? await values(othersShared).then((v) => new Set(v), () => null) : null;
      if (!stop.signal.aborted) setNames({ of: id, list: ownFirst(list, shared), shared, failure: null });
    };
    all().catch((e: Failure) => !stop.signal.aborted && setNames({ of: id, list: [], shared: null, failure: e }));
    return () => stop.abort();
  }, [id]);
  useEffect(() => {
    if (!wantsAbout || metadata) return undefined;
    const stop = new AbortController();
    askProm<Metadata>('/metadata', { limit_per_metric: 1, limit: namesMost }, stop.signal).then((a) => setMetadata(a.data ?? {}), () => undefined);
    return () => stop.abort();
  }, [wantsAbout]);
  return { names: names.list, shared: names.shared, cut: names.list.length >= namesMost, about: (name) => aboutIn(metadata, name), busy: id !== '' && names.of !== id, failure: names.failure, again: () => setTurn((t) => t + 1) };
}
