// What is of this browser and not of an address: looks, zone, keys. Nothing else is kept.
import { useEffect, useReducer } from 'preact/hooks';
import type { Zone } from './time';

export interface Prefs {
  theme: 'system' | 'light' | 'dark';
  zone: Zone;
  keys: boolean; // single letters do things (WCAG 2.1.4: they can be switched off)
  user: string; // the name of the token of the last login; "": none
}
const initial: Prefs = { theme: 'system', zone: 'local', keys: true, user: '' };
const listeners = new Set<() => void>();

function load(): Prefs {
  try {
    return { ...initial, ...(JSON.parse(localStorage.getItem('clew') ?? '{}') as Partial<Prefs>) };
  } catch {
    return initial; // a browser that keeps nothing
  }
}
export let prefs = load();

export function setPrefs(some: Partial<Prefs>): void {
  prefs = { ...prefs, ...some };
  try {
    localStorage.setItem('clew', JSON.stringify(prefs));
  } catch {
    // for this page alone, then
  }
  applyTheme();
  listeners.forEach((l) => l());
}

export function usePrefs(): Prefs {
  const [, again] = useReducer<number, void>((n) => n + 1, 0);
  useEffect(() => {
    const l = (): void => again(undefined);
    listeners.add(l);
    return () => void listeners.delete(l);
  }, []);
  return prefs;
}

export function applyTheme(): void {
  if (prefs.theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = prefs.theme;
}
export const isDark = (): boolean =>
  prefs.theme === 'dark' || (prefs.theme === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);

/** A colour of tokens.css as a canvas wants it. Cached until the looks change. */
const cache = new Map<string, string>();
let cachedFor = '';
export function colour(token: string): string {
  const looks = String(isDark());
  if (looks !== cachedFor) cache.clear();
  cachedFor = looks;
  let c = cache.get(token);
  if (c === undefined) {
    const probe = document.createElement('i');
    probe.hidden = true;
    probe.style.color = `var(--${token})`;
    document.body.append(probe);
    c = getComputedStyle(probe).color;
    probe.remove();
    cache.set(token, c);
  }
  return c;
}
