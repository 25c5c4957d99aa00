// Dashboards that are being edited: kept while the page is open, also when another screen is looked at in between; with the way back.
import { useEffect, useReducer } from 'preact/hooks';
import type { Doc } from './dashboard';

export interface Draft {
  doc: Doc;
  tag: string; // the revision that it was made of
  past: Doc[];
  future: Doc[];
  what: string; // of the last change: those of one kind on one thing are one step back
  saved: Doc; // what is kept
}
const pastMost = 200;
const drafts = new Map<string, Draft>();
const listeners = new Set<() => void>();
const tell = (): void => listeners.forEach((l) => l());

export function changed(d: Draft, doc: Doc, what: string): Draft {
  const joins = what !== '' && what === d.what;
  return { ...d, doc, past: joins ? d.past : [...d.past, d.doc].slice(-pastMost), future: [], what };
}
export const undone = (d: Draft): Draft => (d.past.length ? { ...d, doc: d.past[d.past.length - 1], past: d.past.slice(0, -1), future: [d.doc, ...d.future], what: '' } : d);
export const redone = (d: Draft): Draft => (d.future.length ? { ...d, doc: d.future[0], past: [...d.past, d.doc], future: d.future.slice(1), what: '' } : d);
export const isChanged = (d: Draft | undefined): boolean => !!d && JSON.stringify(d.doc) !== JSON.stringify(d.saved);

/** As it is now, also between two drawings of the page. */
export const draftOf = (id: string): Draft | undefined => drafts.get(id);

/** The draft of a dashboard, and how to set it; undefined: none. */
export function useDraft(id: string): [Draft | undefined, (d: Draft | undefined) => void] {
  const [, again] = useReducer<number, void>((n) => n + 1, 0);
  useEffect(() => {
    const l = (): void => again(undefined);
    listeners.add(l);
    return () => void listeners.delete(l);
  }, []);
  useEffect(() => { // the page is about to be left with what nobody has kept
    const ask = (e: BeforeUnloadEvent): void => { if ([...drafts.values()].some(isChanged)) e.preventDefault(); };
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, []);
  return [drafts.get(id), (d) => { if (d) drafts.set(id, d); else drafts.delete(id); tell(); }];
}
