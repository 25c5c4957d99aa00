// What completes a query where the caret is: names that are here, functions, words of the language; labels and values asked of the server when
// the keys rest.
import { useEffect, useState } from 'preact/hooks';
import type { Params } from '../../lib/api';
import { functionOf, functions, signature } from '../../lib/functions';
import { askProm } from '../../lib/prom';
import { escapeLabel, isPlainLabel, quote, spotAt, writeSelector, type Spot } from '../../lib/promql';
import type { Range } from '../../lib/screens';
import { rangeMs } from '../../lib/time';
import type { Names } from './names';

export interface Option {
  text: string; // what is put in place of what was typed
  show: string;
  hint: string;
  back: number; // how far before its end the caret goes
}
export interface Options {
  spot: Spot;
  list: Option[];
  note: string;
}

const pause = 100; // ms from the last key to the question
const shown = 60, asked = 100;

const words: [string, string][] = [
  ['by', 'keep these labels: sum by (job) (…)'], ['without', 'drop these labels'], ['and', 'those that are on both sides'], ['or', 'those of the left, and others of the right'], ['unless', 'those that the right has not'],
  ['on', 'match by these labels'], ['ignoring', 'match without these labels'], ['group_left', 'many of the left to one'], ['group_right', 'one to many of the right'], ['bool', '0 or 1 instead of a filter'], ['offset', 'as it was so long ago'], ['@', 'at this time'],
  ['atan2', 'arc tangent of two'], ['+', 'plus'], ['-', 'less'], ['*', 'times'], ['/', 'divided by'], ['%', 'modulo'], ['^', 'to the power of'], ['==', 'equal'], ['!=', 'not equal'], ['>', 'more than'], ['>=', 'at least'], ['<', 'less than'], ['<=', 'at most'],
];
const matches: [string, string][] = [['=', 'is'], ['!=', 'is not'], ['=~', 'matches (regular expression)'], ['!~', 'does not match']];
const durations = ['1m', '5m', '15m', '30m', '1h', '6h', '12h', '1d', '7d', '30d'];

/** How well a name fits: its beginning, a part's beginning, anywhere; -1: not at all. */
export function fit(name: string, typed: string): number {
  const n = name.toLowerCase(), t = typed.toLowerCase();
  let at = n.indexOf(t);
  if (at <= 0) return at;
  for (; at > 0; at = n.indexOf(t, at + 1)) if ('_.:'.includes(n[at - 1])) return 1;
  return 2;
}
export const bestFit = (names: readonly string[], typed: string, most: number): string[] =>
  names.map((n, i) => [fit(n, typed), i] as const).filter(([f]) => f >= 0).sort((a, b) => a[0] - b[0] || a[1] - b[1]).slice(0, most).map(([, i]) => names[i]);

const metricOption = (name: string, names: Names, spot: Spot): Option => {
  const about = names.about(name);
  return { text: spot.quoted || spot.stage === 'label' ? quote(name) : writeSelector(name), show: name, hint: about ? [about.type, about.help].filter(Boolean).join(' · ') : 'metric', back: 0 };
};
const plain = ([text, hint]: [string, string]): Option => ({ text: `${text} `, show: text, hint, back: 0 });
const escapeRegex = (s: string): string => s.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** What needs no question. */
function here(spot: Spot, names: Names, after: string): Option[] {
  const begins = (t: string): boolean => t.toLowerCase().startsWith(spot.text.toLowerCase());
  switch (spot.stage) {
    case 'expression': {
      const known = bestFit(functions.map((f) => f.name), spot.text, 40).filter((n) => spot.text === '' || fit(n, spot.text) < 2);
      const closes = !/^\s*\(/.test(after);
      const fns = known.map((n) => ({ text: closes ? `${n}()` : n, show: signature(functionOf(n)!), hint: functionOf(n)!.help, back: closes && functionOf(n)!.arguments.length ? 1 : 0 }));
      const metrics = names.cut ? [] : bestFit(names.names, spot.text, shown).map((n) => metricOption(n, names, spot));
      return spot.text !== '' && known[0] && fit(known[0], spot.text) === 0 ? [...fns.filter((f) => fit(f.show, spot.text) === 0), ...metrics, ...fns.filter((f) => fit(f.show, spot.text) !== 0)] : [...metrics, ...fns];
    }
    case 'operator': return words.filter(([w]) => begins(w)).map(plain);
    case 'match': return matches.filter(([w]) => begins(w)).map(([text, hint]) => ({ text, show: text, hint, back: 0 }));
    case 'duration': return durations.filter(begins).map((d) => ({ text: d, show: d, hint: '', back: 0 }));
    case 'modifier': return ['start()', 'end()'].filter(begins).map((d) => ({ text: d, show: d, hint: `the ${d.slice(0, -2)} of the range`, back: 0 }));
    case 'label': return spot.quoted && spot.selectors[0] === '{}' && !names.cut ? bestFit(names.names, spot.text, shown).map((n) => metricOption(n, names, spot)) : [];
    default: return [];
  }
}

interface Question {
  path: string;
  params: Params;
}

/** The question that completes the place; null: none. */
function questionOf(spot: Spot, names: Names, range: Range): Question | null {
  const [start, end] = rangeMs(range, Date.now());
  const base: Params = { start: (start / 1000).toFixed(0), end: (end / 1000).toFixed(0), limit: asked };
  const like = (label: string): string => `${isPlainLabel(label) ? label : quote(label)}=~${quote(`(?i:.*${escapeRegex(spot.text)}.*)`)}`;
  if (spot.stage === 'expression' && names.cut && spot.text.length > 1) return { path: '/label/__name__/values', params: { ...base, 'match[]': `{${like('__name__')}}` } };
  if (spot.stage === 'label') return { path: '/labels', params: { ...base, 'match[]': spot.selectors.filter((s) => s !== '{}').slice(0, 8), limit: 1000 } };
  if (spot.stage !== 'value') return null;
  const held = spot.selectors[0] === '{}' ? '' : (spot.selectors[0] ?? '');
  const matcher = spot.text ? like(spot.label) : '';
  const match = !matcher ? held : !held ? `{${matcher}}` : held.endsWith('}') ? `${held.slice(0, -1)}, ${matcher}}` : `${held}{${matcher}}`;
  return { path: `/label/${encodeURIComponent(escapeLabel(spot.label))}/values`, params: { ...base, ...(match ? { 'match[]': match } : {}) } };
}

function asOptions(spot: Spot, found: string[], names: Names, regex: boolean): Option[] {
  const best = bestFit(found, spot.text, asked);
  if (spot.stage === 'expression') return best.map((n) => metricOption(n, names, spot));
  if (spot.stage === 'value') return best.map((v) => ({ text: quote(regex ? escapeRegex(v) : v), show: v === '' ? '""' : v, hint: '', back: 0 }));
  return best.filter((n) => n !== '__name__' || spot.text.startsWith('_')).map((n) => ({ text: isPlainLabel(n) ? n : quote(n), show: n, hint: 'label', back: 0 }));
}

/** Options at the caret: at most one question a keystroke, asked when the keys rest; the one before is ended. */
export function useOptions(open: boolean, typed: string, caret: number, names: Names, range: Range): Options {
  const spot = spotAt(typed, caret), local = open ? here(spot, names, typed.slice(spot.to)) : [];
  const question = open ? questionOf(spot, names, range) : null;
  const id = question ? JSON.stringify([question.path, question.params['match[]'] ?? '']) : '';
  const [got, setGot] = useState<{ id: string; found: string[]; note: string }>({ id: '', found: [], note: '' });
  useEffect(() => {
    if (!question) return undefined;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      askProm<string[]>(question.path, question.params, stop.signal).then(
        (a) => setGot({ id, found: a.data ?? [], note: (a.data ?? []).length >= asked && spot.stage !== 'label' ? 'there may be more: type on' : '' }),
        (e: Error) => !stop.signal.aborted && setGot({ id, found: [], note: `no completion: ${e.message}` }),
      );
    }, pause);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [id]);
  const regex = spot.stage === 'value' && /(=~|!~)\s*$/.test(typed.slice(0, spot.from));
  const more = id && got.id === id ? asOptions(spot, got.found, names, regex) : [];
  return { spot, list: [...local, ...more].slice(0, shown), note: !id ? '' : got.id === id ? got.note : 'looking …' };
}
