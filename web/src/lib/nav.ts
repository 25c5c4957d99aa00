// The browser's address is the state of the page: read from there, written there, and nowhere else.
import { useEffect, useLayoutEffect, useReducer } from 'preact/hooks';
import type { Codec } from './codec';
import { loginLink, placeOf, safePath } from './screens';

const listeners = new Set<() => void>();
const tell = (): void => listeners.forEach((l) => l());

/** What the browser keeps with an entry of its history: how far it was scrolled, and the address from which it was come to. */
interface Entry {
  y?: number;
  from?: string;
}
const entry = (): Entry => (history.state as Entry | null) ?? {};
const here = (): string => location.pathname + location.search;
const keep = (): void => history.replaceState({ ...entry(), y: scrollY }, '');

/** Goes to a place of the page; `replace` leaves no entry in the history. */
export function go(href: string, replace = false): void {
  if (href === here()) return;
  if (replace) history.replaceState(entry(), '', href);
  else {
    const from = here();
    keep();
    endScroll();
    history.pushState({ from }, '', href);
    scrollTo(0, 0);
  }
  tell();
}

/** Where this entry of the history was come to from, on this page; "": from elsewhere. */
export const cameFrom = (): string => entry().from ?? '';

// ---- how far an entry was scrolled

const keepMs = 400; // browsers take no more than some changes of an entry a second
const scrollMs = 5000; // so long a list may take until it is as long as it was
let endScroll = (): void => undefined;

/** Scrolls to where this entry was left, as soon as there is so much; not against somebody who scrolls meanwhile. */
function scrollBack(): void {
  endScroll();
  const y = entry().y ?? 0, began = performance.now(), acts = ['wheel', 'touchstart', 'pointerdown', 'keydown'];
  let frame = 0;
  endScroll = () => {
    cancelAnimationFrame(frame);
    acts.forEach((act) => removeEventListener(act, endScroll));
    endScroll = () => undefined;
  };
  acts.forEach((act) => addEventListener(act, endScroll, { passive: true }));
  const look = (): void => {
    const isLong = document.documentElement.scrollHeight - innerHeight >= y, isLate = performance.now() - began > scrollMs;
    if (isLong || isLate) scrollTo(0, y);
    if (isLong || isLate) endScroll();
    else frame = requestAnimationFrame(look);
  };
  look();
}

function keepScroll(): void {
  let timer = 0;
  history.scrollRestoration = 'manual'; // the browser would scroll before there is anything
  addEventListener('scroll', () => {
    clearTimeout(timer);
    const at = here();
    timer = window.setTimeout(() => at === here() && keep(), keepMs);
  }, { passive: true });
  addEventListener('pagehide', keep);
  if (entry().y) scrollBack();
}

// ---- what a tab is called

let screenTitle = '';
/** What the screen is called, where it does not say better. */
export function setScreenTitle(title: string): void {
  screenTitle = document.title = title ? `${title} · clew` : 'clew';
}
/** What the tab is called while a component is there; "": as its screen. */
export function useTitle(title: string): void {
  useEffect(() => {
    if (!title) return undefined;
    document.title = `${title} · clew`;
    return () => { document.title = screenTitle; };
  }, [title]);
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
  go(loginLink({ to: here() === '/' ? '' : here() }), true);
}
export const afterLogin = (to: string): void => go(safePath(to), true);

/** Links to screens are followed without loading the document anew, unless a new tab is wanted. */
export function followLinks(): void {
  keepScroll();
  addEventListener('popstate', () => {
    tell();
    scrollBack();
  });
  document.addEventListener('click', (e) => {
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    const a = (e.target as Element).closest?.('a');
    if (!a || a.target || a.origin !== location.origin || !placeOf(a.pathname)) return;
    e.preventDefault();
    go(a.pathname + a.search);
  });
}
