// Keys: one listener, and what each part of the page wants to hear.
import { useEffect, useRef } from 'preact/hooks';
import { prefs } from './prefs';

export type Keys = Record<string, (e: KeyboardEvent) => void>;
const layers: { keys: Keys }[] = [];
let pending = ''; // the first of two, as in g t
let pendingAt = 0;

const isTyping = (e: KeyboardEvent): boolean => !!(e.target as Element).closest?.('input, textarea, select, [contenteditable]');

/** Where a key already means something: Enter on a link or button, Space on a button, arrows in what scrolls or has tabs. */
function isTaken(e: KeyboardEvent, name: string): boolean {
  const at = e.target as Element;
  if (name === 'enter') return !!at.closest?.('a, button, summary');
  if (name === ' ') return !!at.closest?.('button, summary');
  return name.startsWith('arrow') && !!at.closest?.('[role=tablist], aside, pre');
}

function nameOf(e: KeyboardEvent): string {
  return (e.ctrlKey || e.metaKey ? 'ctrl+' : '') + (e.shiftKey && e.key.length > 1 ? 'shift+' : '') + (e.key.length === 1 ? e.key : e.key.toLowerCase());
}

function onKey(e: KeyboardEvent): void {
  if (e.altKey || e.defaultPrevented) return;
  const name = nameOf(e);
  const letter = e.key.length === 1 && !e.ctrlKey && !e.metaKey;
  if (letter && (!prefs.keys || isTyping(e))) return;
  if (isTyping(e) && ((!name.startsWith('ctrl+') && name !== 'escape') || /^ctrl\+[zy]$/i.test(name))) return; // what was typed is undone by the browser
  if (isTaken(e, name)) return;
  if (document.querySelector('dialog[open]') && name !== 'ctrl+k') return;
  const two = pending && e.timeStamp - pendingAt < 2000 ? `${pending} ${name}` : '';
  pending = letter ? name : '';
  pendingAt = e.timeStamp;
  for (const wanted of two ? [two, name] : [name])
    for (let i = layers.length - 1; i >= 0; i--) {
      const fn = layers[i].keys[wanted];
      if (!fn) continue;
      e.preventDefault();
      pending = '';
      fn(e);
      return;
    }
}

export const listenForKeys = (): void => document.addEventListener('keydown', onKey);

/** The focus to the next, or the one before, of what `of` selects: rows that are links or buttons, which take Enter themselves. */
export function focusBy(of: string, step: 1 | -1): void {
  const all = [...document.querySelectorAll<HTMLElement>(of)], at = all.indexOf(document.activeElement as HTMLElement);
  all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))]?.focus();
}

/** Hears keys while the component is there; the newest listener first. */
export function useKeys(keys: Keys): void {
  const layer = useRef({ keys });
  layer.current.keys = keys;
  useEffect(() => {
    const mine = layer.current;
    layers.push(mine);
    return () => void layers.splice(layers.indexOf(mine), 1);
  }, []);
}
