// What is asked again by itself while it is looked at: every ten seconds, more rarely where an answer takes long; not in a hidden tab, and not
// while somebody points at what would move.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Asked } from './api';

const everyMs = 10_000, share = 10; // of the time between two questions an answer may take
const readMs = 3000; // from the last movement over what is marked data-hold

let moved = -Infinity;
for (const act of ['pointermove', 'keydown']) addEventListener(act, () => { moved = performance.now(); }, { passive: true });
const isRead = (): boolean => performance.now() - moved < readMs && document.querySelector('[data-hold]:is(:hover, :focus-within)') !== null;

/** Calls `again` while `on`, once what was asked before is answered. True while an answer to that is awaited: no progress need be shown. */
export function useLive(on: boolean, busy: boolean, again: () => void): boolean {
  const latest = useRef(again), took = useRef(0);
  const [quiet, setQuiet] = useState(false);
  latest.current = again;
  useEffect(() => {
    if (busy) {
      const began = performance.now();
      return () => { took.current = performance.now() - began; };
    }
    setQuiet(false);
    if (!on) return undefined;
    const due = performance.now() + Math.max(everyMs, share * took.current);
    const look = (): void => {
      if (performance.now() < due || document.hidden || isRead()) return;
      setQuiet(true);
      latest.current();
    };
    const timer = setInterval(look, 500);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [on, busy]);
  return quiet;
}

/** The answer, or the last one to the same question while asking fails: a screen that asks by itself does not go blank. */
export function useKept<T>(asked: Asked<T>, of: string): T | null {
  const kept = useRef<{ of: string; data: T | null }>({ of, data: null });
  if (asked.data) kept.current = { of, data: asked.data };
  return asked.data ?? (kept.current.of === of ? kept.current.data : null);
}
