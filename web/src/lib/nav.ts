// The browser's address is the state of the page: read from there, written there, and nowhere else.
import { useLayoutEffect, useReducer } from 'preact/hooks';
import type { Codec } from './codec';
import { loginLink, placeOf, safePath } from './screens';

const listeners = new Set<() => void>();
const tell = (): void => listeners.forEach((l) => l());

/** Goes to a place of the page; `replace` leaves no entry in the history. */
export function go(href: string, replace = false): void {
  if (href === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', href);
  if (!replace) scrollTo(0, 0);
  tell();
}

export function useAddress(): void {
  const [, again] = useReducer<number, void>((n) => n + 1, 0);
  useLayoutEffect(() => { // an answer may lead elsewhere before anything is painted
    const l = (): void => again(undefined);
    listeners.add(l);
    return () => void listeners.delete(l);
  }, []);
}

/** The state of the screen, and how to change some of it. */
export function useScreen<S>(codec: Codec<S>): [S, (some: Partial<S>, replace?: boolean) => void] {
  useAddress();
  const set = (some: Partial<S>, replace = false): void => {
    go(location.pathname + codec.write({ ...codec.read(location.search), ...some }), replace);
  };
  return [codec.read(location.search), set];
}

/** To the login, and afterwards back here. */
export function toLogin(): void {
  if (location.pathname === '/login') return;
  const here = location.pathname + location.search;
  go(loginLink({ to: here === '/' ? '' : here }), true);
}
export const afterLogin = (to: string): void => go(safePath(to), true);

/** Links to screens are followed without loading the document anew, unless a new tab is wanted. */
export function followLinks(): void {
  addEventListener('popstate', tell);
  document.addEventListener('click', (e) => {
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    const a = (e.target as Element).closest?.('a');
    if (!a || a.target || a.origin !== location.origin || !placeOf(a.pathname)) return;
    e.preventDefault();
    go(a.pathname + a.search);
  });
}
