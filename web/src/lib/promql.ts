// The little of PromQL that the page must read itself: words of a text, its selectors, and what can stand where the caret is. What is right
// is the server's to say.

export type Kind = 'name' | 'number' | 'duration' | 'string' | 'open' | 'close' | 'op' | 'comma' | 'bad';
export interface Token {
  kind: Kind;
  from: number;
  to: number;
  text: string;
  /** Of a string without its end. */
  endless?: boolean;
}

const rules: [Kind | '', RegExp][] = [
  ['', /\s+|#[^\n]*/y],
  ['duration', /(?:\d+(?:ms|[smhdwy]))+(?![\w.])/y],
  ['number', /0x[0-9a-f]+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/iy],
  ['name', /[a-zA-Z_:][\w:]*/y],
  ['string', /"(?:[^"\\\n]|\\[^\n])*"?|'(?:[^'\\\n]|\\[^\n])*'?|`[^`]*`?/y],
  ['open', /[([{]/y],
  ['close', /[)\]}]/y],
  ['comma', /,/y],
  ['op', /==|!=|>=|<=|=~|!~|[-+*/%^=<>@!:]/y],
];

function isEndless(s: string): boolean {
  if (s.length < 2 || s[s.length - 1] !== s[0]) return true;
  if (s[0] === '`') return false;
  let slashes = 0;
  for (let i = s.length - 2; i > 0 && s[i] === '\\'; i--) slashes++;
  return slashes % 2 === 1;
}

/** Words without blanks and comments; they cover all that is left, whatever it is. */
export function tokens(text: string): Token[] {
  const out: Token[] = [];
  for (let at = 0; at < text.length; ) {
    let to = at, kind: Kind | '' = 'bad';
    for (const [k, rule] of rules) {
      rule.lastIndex = at;
      if (!rule.test(text) || rule.lastIndex === at) continue;
      [kind, to] = [k, rule.lastIndex];
      break;
    }
    if (to === at) to += text.codePointAt(at)! > 0xffff ? 2 : 1;
    const word = text.slice(at, to);
    if (kind) out.push({ kind, from: at, to, text: word, ...(kind === 'string' && isEndless(word) ? { endless: true } : {}) });
    at = to;
  }
  return out;
}

/* ---- names and values as they are written ---- */

export const isPlainLabel = (name: string): boolean => /^[a-zA-Z_]\w*$/.test(name);
export const isPlainMetric = (name: string): boolean => /^[a-zA-Z_:][\w:]*$/.test(name) && !keywords.has(name);
export const quote = (s: string): string => `"${s.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n').replace(/\t/g, '\\t').replace(/\r/g, '\\r')}"`;

const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' };
/** A string's text; of one without its end as far as it goes. */
export function unquote(s: string): string {
  const body = s.slice(1, isEndless(s) ? undefined : -1);
  if (s[0] === '`') return body;
  return body.replace(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.?))/gs, (_, x, u, big, octal, c: string) =>
    x || u || big ? String.fromCodePoint(Math.min(0x10ffff, parseInt(x ?? u ?? big, 16))) : octal ? String.fromCharCode(parseInt(octal, 8)) : (escapes[c] ?? c));
}

export type Op = '=' | '!=' | '=~' | '!~';
export interface Matcher {
  label: string;
  op: Op;
  value: string;
}
export const writeMatcher = (m: Matcher): string => `${isPlainLabel(m.label) ? m.label : quote(m.label)}${m.op}${quote(m.value)}`;

/** name{a="b"}, {"a.b", c="d"} where the name needs quotes, {a="b"} without one. */
export function writeSelector(metric: string, matchers: readonly Matcher[] = []): string {
  const inside = [...(metric && !isPlainMetric(metric) ? [quote(metric)] : []), ...matchers.map(writeMatcher)].join(', ');
  const name = isPlainMetric(metric) ? metric : '';
  return inside ? `${name}{${inside}}` : name || '{}';
}

/** A label's name in the path of a question: as U__… where it is no plain name. */
export function escapeLabel(name: string): string {
  if (isPlainLabel(name) && !name.startsWith('U__')) return name;
  return `U__${[...name].map((c) => (c === '_' ? '__' : /[a-zA-Z0-9]/.test(c) ? c : `_${c.codePointAt(0)!.toString(16)}_`)).join('')}`;
}

/* ---- selectors ---- */

const setOps = ['and', 'or', 'unless', 'atan2'];
const groupings = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);
export const keywords = new Set([...setOps, ...groupings, 'bool', 'offset']);

export interface Selector {
  from: number;
  to: number;
  metric: string;
  matchers: Matcher[];
  /** Where the braces begin and end; null: there are none. `to` is the text's end where they are not closed. */
  braces: [number, number] | null;
}

/** What stands within braces from token i on; `but`: a place whose matcher is left out. */
function readBraces(t: Token[], i: number, but = -1): { matchers: Matcher[]; metric: string; next: number } {
  const matchers: Matcher[] = [];
  let metric = '';
  for (i++; i < t.length && t[i].text !== '}'; i++) {
    const [name, op, value] = [t[i], t[i + 1], t[i + 2]];
    if (name.kind !== 'name' && name.kind !== 'string') continue;
    const label = name.kind === 'string' ? unquote(name.text) : name.text, isMatcher = op !== undefined && isMatch(op) && value?.kind === 'string';
    const left = but >= name.from && but <= (isMatcher ? value : name).to;
    if (isMatcher) {
      if (!left && label === '__name__' && op.text === '=') metric = unquote(value.text);
      else if (!left) matchers.push({ label, op: op.text as Op, value: unquote(value.text) });
      i += 2;
    } else if (name.kind === 'string' && !left && !(op && isMatch(op))) metric = label;
  }
  return { matchers, metric, next: i };
}
const isMatch = (t: Token): boolean => /^(=|!=|=~|!~)$/.test(t.text);

/** All selectors, first to last, as far as they can be made out. */
export function selectors(text: string): Selector[] {
  const t = tokens(text), out: Selector[] = [];
  for (let i = 0; i < t.length; i++) {
    const one = t[i], isName = one.kind === 'name';
    if (isName && groupings.has(one.text) && t[i + 1]?.text === '(') {
      while (i < t.length && t[i].text !== ')') i++; // labels, no metrics
      continue;
    }
    if (isName && (keywords.has(one.text) || t[i + 1]?.text === '(' || (aggregations.has(one.text) && groupings.has(t[i + 1]?.text ?? '')))) continue;
    const brace = isName ? i + 1 : i;
    if (t[brace]?.text === '{') {
      const { matchers, metric, next } = readBraces(t, brace), to = t[next]?.to ?? text.length;
      out.push({ from: one.from, to, metric: isName ? one.text : metric, matchers, braces: [t[brace].from, to] });
      i = next;
    } else if (isName) out.push({ from: one.from, to: one.to, metric: one.text, matchers: [], braces: null });
  }
  return out;
}

/** The text with a matcher more in the selectors of `metric`, or in all where none is of it; one on the same label with the same operator is replaced. */
export function withMatcher(text: string, m: Matcher, metric = ''): string {
  const all = selectors(text), own = all.filter((s) => s.metric === metric);
  let out = text;
  for (const s of (own.length ? own : all).reverse()) {
    const kept = s.matchers.filter((x) => !(x.label === m.label && (x.op === m.op || m.op === '=')));
    if (kept.length === s.matchers.length && s.matchers.some((x) => x.label === m.label && x.op === m.op && x.value === m.value)) continue;
    out = out.slice(0, s.from) + writeSelector(s.metric, [...kept, m]) + out.slice(s.to);
  }
  return out;
}

/* ---- where the caret is ---- */

export const aggregations = new Set(['sum', 'avg', 'min', 'max', 'count', 'group', 'stddev', 'stdvar', 'topk', 'bottomk', 'quantile', 'count_values', 'limitk', 'limit_ratio']);

/** What can stand at the caret, and what of it stands before. [from, to) is replaced by what is chosen. */
export interface Spot {
  stage: 'expression' | 'operator' | 'label' | 'match' | 'value' | 'duration' | 'modifier' | 'none';
  text: string;
  from: number;
  to: number;
  /** Of a value: whose. */
  label: string;
  /** What stands beside it within its braces; of a grouping the selectors of the whole text. */
  selectors: string[];
  /** The word is in quotes already. */
  quoted: boolean;
  /** The call that it stands in, and which argument. */
  call: { name: string; argument: number } | null;
}

interface Frame {
  kind: 'paren' | 'brace' | 'bracket';
  head: string; // the name before it
  at: number; // its token
  commas: number;
}

function framesAt(t: Token[], end: number): Frame[] {
  const stack: Frame[] = [];
  for (let i = 0; i < end; i++) {
    const { kind, text } = t[i];
    if (kind === 'open') {
      const before = t[i - 1];
      stack.push({ kind: text === '(' ? 'paren' : text === '{' ? 'brace' : 'bracket', head: before?.kind === 'name' ? before.text : headOfGrouped(t, i), at: i, commas: 0 });
    } else if (kind === 'close') stack.pop();
    else if (kind === 'comma' && stack.length) stack[stack.length - 1].commas++;
  }
  return stack;
}

/** sum by (a) ( … : the call's name is sum. */
function headOfGrouped(t: Token[], i: number): string {
  if (t[i - 1]?.text !== ')') return '';
  let k = i - 2;
  while (k >= 0 && t[k].text !== '(') k--;
  return k >= 2 && /^(by|without)$/.test(t[k - 1].text) && aggregations.has(t[k - 2].text) ? t[k - 2].text : '';
}

function callOf(stack: Frame[]): Spot['call'] {
  for (let i = stack.length - 1; i >= 0; i--)
    if (stack[i].kind === 'paren' && stack[i].head && !groupings.has(stack[i].head)) return { name: stack[i].head, argument: stack[i].commas };
  return null;
}

function inBraces(text: string, t: Token[], at: number, frame: Frame, caret: number, word: Token | null): Partial<Spot> & Pick<Spot, 'stage'> {
  const before = t[at - 1], whose = t[at - 2];
  const { matchers, metric } = readBraces(t, frame.at, caret), selectors = [writeSelector(frame.head || metric, matchers)];
  if (before && isMatch(before) && whose) {
    const label = whose.kind === 'string' ? unquote(whose.text) : whose.text;
    const typed = word ? text.slice(word.from, caret) : '', quoted = word?.kind === 'string';
    return { stage: 'value', label, text: quoted ? unquote(typed) : typed, from: word?.from ?? caret, to: word?.endless ? caret : (word?.to ?? caret), quoted, selectors };
  }
  if (before && at - 1 > frame.at && before.kind !== 'comma') return { stage: (word && word.kind !== 'op') || (whose && isMatch(whose)) ? 'none' : 'match' };
  if (word?.kind === 'string') return { stage: 'label', text: unquote(text.slice(word.from, caret)), quoted: true, to: word.endless ? caret : word.to, selectors };
  return word?.kind === 'op' ? { stage: 'none' } : { stage: 'label', selectors };
}

const ends = (t: Token | undefined): boolean => !!t && (t.kind === 'close' || t.kind === 'number' || t.kind === 'string' || t.kind === 'duration' || (t.kind === 'name' && !setOps.includes(t.text) && t.text !== 'bool'));

export function spotAt(text: string, caret: number): Spot {
  const t = tokens(text);
  const inside = t.findIndex((x) => x.from < caret && (caret < x.to || (caret === x.to && (x.kind === 'name' || x.kind === 'number' || x.kind === 'duration' || (x.kind === 'string' && x.endless === true) || (x.kind === 'op' && /^[=!]/.test(x.text))))));
  const word = inside >= 0 ? t[inside] : null, at = inside >= 0 ? inside : t.findIndex((x) => x.from >= caret) < 0 ? t.length : t.findIndex((x) => x.from >= caret);
  const stack = framesAt(t, at), frame = stack[stack.length - 1];
  const spot: Spot = { stage: 'none', text: word ? text.slice(word.from, caret) : '', from: word?.from ?? caret, to: word?.to ?? caret, label: '', selectors: [], quoted: false, call: callOf(stack) };
  const comment = text.slice(text.lastIndexOf('\n', caret - 1) + 1, caret);
  if (!word && /#/.test(comment) && !t.some((x) => x.kind === 'string' && x.from < caret && x.text.includes('#'))) return spot;
  if (frame?.kind === 'brace') {
    if (word && !(word.kind === 'name' || word.kind === 'string' || word.kind === 'op')) return spot;
    const whole = word?.kind === 'op' && caret === word.to && isMatch(word); // behind it a value may stand
    return whole ? { ...spot, text: '', from: caret, to: caret, ...inBraces(text, t, at + 1, frame, caret, null) } : { ...spot, ...inBraces(text, t, at, frame, caret, word) };
  }
  if (word?.kind === 'string') return spot;
  if (frame?.kind === 'bracket') return { ...spot, stage: 'duration' };
  if (frame?.kind === 'paren' && groupings.has(frame.head)) return { ...spot, stage: 'label', selectors: selectors(text).map((s) => writeSelector(s.metric, s.matchers)).filter((s) => s !== '{}') };
  const before = t[at - 1];
  if (before?.text === 'offset' || (before?.text === '-' && t[at - 2]?.text === 'offset')) return { ...spot, stage: 'duration' };
  if (before?.text === '@') return { ...spot, stage: 'modifier' };
  if (word?.kind === 'number' || word?.kind === 'duration') return spot;
  if (word?.kind === 'op') return { ...spot, text: '', from: caret, to: caret, stage: 'expression' };
  return { ...spot, stage: ends(before) ? 'operator' : 'expression' };
}

/* ---- what the server says is wrong ---- */

/** "1:5: parse error: …" within a message: the place in characters, and what is wrong. Columns are counted in bytes from 1. */
export function complaintAt(message: string, text: string): { at: number; to: number; message: string } | null {
  const m = /(?:^|[\s(])(\d+):(\d+): ([\s\S]*)$/.exec(message);
  if (!m) return null;
  const at = placeOf(text, Number(m[1]), Number(m[2]));
  const word = tokens(text).find((x) => x.from <= at && at < x.to);
  return { at, to: word ? word.to : Math.min(text.length, at + 1), message: m[3].replace(/^parse error: /, '') };
}

/** Line and column as a place in the text; never outside of it. */
export function placeOf(text: string, line: number, column: number): number {
  let from = 0;
  for (let l = 1; l < line; l++) {
    const next = text.indexOf('\n', from);
    if (next < 0) break;
    from = next + 1;
  }
  const bytes = new TextEncoder().encode(text.slice(from)).slice(0, Math.max(0, column - 1));
  return Math.min(text.length, from + new TextDecoder().decode(bytes).length);
}

/** "… (1:12)" of a warning: its place, or null. */
export function placeInNote(note: string, text: string): number | null {
  const m = /\((\d+):(\d+)\)\s*$/.exec(note);
  return m ? placeOf(text, Number(m[1]), Number(m[2])) : null;
}

/** The text grouped by a label: in the aggregation that it begins with, or in a sum around it. */
export function groupedBy(text: string, label: string): string {
  const t = tokens(text), name = isPlainLabel(label) ? label : quote(label);
  if (t[0]?.kind === 'name' && aggregations.has(t[0].text) && endOfCall(t) === t.length) {
    if (t[1].text === '(') return `${text.slice(0, t[0].to)} by (${name}) ${text.slice(t[1].from)}`;
    if (t[1].text === 'by') {
      const close = t.findIndex((x) => x.text === ')'), labels = t.slice(3, close).filter((x) => x.kind !== 'comma').map((x) => x.text);
      return labels.includes(name) ? text : `${text.slice(0, t[0].to)} by (${[...labels, name].join(', ')}) ${text.slice(t[close + 1].from)}`;
    }
  }
  return `sum by (${name}) (${text})`;
}

/** Where the call at the front ends: sum by (a) (…). */
function endOfCall(t: Token[]): number {
  let depth = 0, i = 1;
  for (; i < t.length; i++) {
    if (t[i].kind === 'open') depth++;
    else if (t[i].kind === 'close' && --depth === 0 && t[i + 1]?.text !== '(') return i + 1;
  }
  return i;
}
