// Conditions KEY OP VALUE, as src/query/where.c reads them: the same words for the page's predicate bar and its chips.

export interface Condition {
  prefix: string;
  key: string;
  op: string;
  value: string;
}

const operators = ['!=', '!~', '>=', '<=', '=', '>', '<', '~'];
const prefixes = ['resource.', 'span.', 'log.', 'scope.', 'event.'];

const isBare = (s: string): boolean => s !== '' && !/[\s=!<>~"\0]/.test(s);
const quoted = (s: string): string => `"${s.replace(/[\\"]/g, '\\$&')}"`;

/** The key as it is written in a condition: quoted where it could be read otherwise. */
export function writeKey(prefix: string, key: string): string {
  const misread = prefix === '' && prefixes.some((p) => key.startsWith(p));
  return prefix + (isBare(key) && !misread ? key : quoted(key));
}

/** The names that stand for fields where rows are grouped (src/query/breakdown.c) and shown in columns. */
const fields = ['service', 'environment', 'operation', 'status', 'kind', 'severity', 'body', 'event_name', 'trace_id', 'span_id'];

/** An attribute's key where a field's name could stand too. */
export const attributeKey = (prefix: string, key: string): string => (prefix === '' && fields.includes(key) ? quoted(key) : writeKey(prefix, key));

/** Such a key read again: a field, or an attribute, or null. */
export function readKey(text: string): { field: string } | { prefix: string; key: string } | null {
  if (fields.includes(text)) return { field: text };
  const parsed = readCondition(`${text} exists`);
  return 'message' in parsed || parsed.op !== 'exists' ? null : { prefix: parsed.prefix, key: parsed.key };
}

/** An attribute's value as a condition; null for what cannot be compared (lists, maps, NUL). */
export function condition(prefix: string, key: string, op: '=' | '!=', value: unknown): string | null {
  if (value === null || typeof value === 'object' || String(value).includes('\0') || key.includes('\0')) return null;
  return `${writeKey(prefix, key)}${op}${writeValue(String(value))}`;
}

/** What is wrong, and at which character. */
export interface Problem {
  at: number;
  message: string;
}

function readQuoted(s: string, from: number): { text: string; end: number } | Problem {
  let text = '';
  for (let i = from + 1; i < s.length; i++) {
    if (s[i] === '"') return { text, end: i + 1 };
    if (s[i] === '\\') {
      i++;
      if (s[i] !== '"' && s[i] !== '\\') return { at: i - 1, message: 'only \\" and \\\\ are escapes here' };
    }
    text += s[i];
  }
  return { at: from, message: 'the quote has no end' };
}

const skipBlanks = (s: string, at: number): number => {
  while (s[at] === ' ' || s[at] === '\t') at++;
  return at;
};

/** KEY at the front: its parts and where it ends. */
function keyAt(s: string): { prefix: string; key: string; start: number; end: number } | Problem {
  const start = skipBlanks(s, 0);
  const prefix = prefixes.find((p) => s.startsWith(p, start)) ?? '';
  const from = start + prefix.length;
  if (s[from] === '"') {
    const q = readQuoted(s, from);
    return 'message' in q ? q : q.text === '' ? { at: start, message: missing } : { prefix, key: q.text, start, end: q.end };
  }
  const key = /^[^\s=!<>~"]*/.exec(s.slice(from))![0];
  return key === '' ? { at: start, message: missing } : { prefix, key, start, end: from + key.length };
}
const missing = 'the name of an attribute is missing';

/** The parts, or what is wrong where. */
export function readCondition(s: string): Condition | Problem {
  const k = keyAt(s);
  if ('message' in k) return k;
  const { prefix, key } = k, at = skipBlanks(s, k.end), rest = s.slice(at).trim();
  if (rest === 'exists' || rest === 'absent') return { prefix, key, op: rest, value: '' };
  if (rest.startsWith('==') || rest.startsWith('=~')) return { at, message: `${rest.slice(0, 2)} is not an operator; write ${rest[1]} alone` };
  const op = operators.find((o) => rest.startsWith(o));
  if (!op) return { at, message: 'an operator is missing: = != > >= < <= ~ !~ exists absent' };
  const from = skipBlanks(s, at + op.length);
  if (s[from] !== '"') return { prefix, key, op, value: s.slice(from).trim() };
  const q = readQuoted(s, from);
  if ('message' in q) return q;
  const behind = skipBlanks(s, q.end);
  return behind < s.length ? { at: behind, message: 'there is more after the quoted value' } : { prefix, key, op, value: q.text };
}

/** The parts, or why it is none. */
export function parseCondition(typed: string): Condition | string {
  const c = readCondition(typed.trim());
  return 'message' in c ? c.message : c;
}

/** A value as it is written in a condition: quoted where it could be read otherwise. */
export function writeValue(v: string): string {
  const plain = v !== '' && v.trim() === v && !/^["=~]/.test(v) && !/[\r\n]/.test(v);
  return plain ? v : quoted(v);
}
export const writeCondition = (c: Condition): string =>
  c.op === 'exists' || c.op === 'absent' ? `${writeKey(c.prefix, c.key)} ${c.op}` : `${writeKey(c.prefix, c.key)} ${c.op} ${writeValue(c.value)}`;

const opposites: Record<string, string> = { '=': '!=', '!=': '=', '~': '!~', '!~': '~', '>': '<=', '<=': '>', '<': '>=', '>=': '<', exists: 'absent', absent: 'exists' };

/** The condition turned round; as it was if it is none. */
export function negated(where: string): string {
  const c = readCondition(where);
  return 'message' in c ? where : writeCondition({ ...c, op: opposites[c.op] });
}

/** Which part of a condition the caret is in, and what of it stands before the caret. [from, to) is replaced by what is chosen. */
export interface Place {
  stage: 'key' | 'op' | 'value';
  text: string;
  from: number;
  to: number;
  prefix: string;
  key: string;
}

export function placeAt(s: string, caret: number): Place {
  const k = keyAt(s), start = skipBlanks(s, 0);
  const none = { prefix: '', key: '' };
  if ('message' in k || caret <= k.end) return { stage: 'key', text: s.slice(start, Math.max(start, caret)), from: start, to: 'message' in k ? s.length : k.end, ...none };
  const { prefix, key } = k, at = skipBlanks(s, k.end);
  const op = /^(?:[=!<>~]+|[a-z]+)/.exec(s.slice(at))?.[0] ?? '';
  const whole = operators.includes(op) && !(op === '>' || op === '<'); // which may become >= and <=
  if (caret < at + op.length || (caret === at + op.length && !whole)) return { stage: 'op', text: s.slice(at, Math.max(at, caret)), from: at, to: at + op.length, prefix, key };
  if (!operators.includes(op)) return { stage: 'op', text: s.slice(at, caret), from: at, to: s.length, prefix, key };
  const from = skipBlanks(s, at + op.length);
  return { stage: 'value', text: s.slice(from, Math.max(from, caret)).replace(/^"/, ''), from, to: s.length, prefix, key };
}

/** A complaint of the server about one of the conditions: `where=CONDITION: at N: …`, N counted in bytes from 1. */
export function complaint(message: string, where: string[]): (Problem & { where: string }) | null {
  for (const w of where) {
    const m = message.startsWith(`where=${w}: `) && /^at (\d+): ([\s\S]*)$/.exec(message.slice(w.length + 8));
    if (!m) continue;
    const before = new TextDecoder().decode(new TextEncoder().encode(w).slice(0, Number(m[1]) - 1));
    return { where: w, at: before.length, message: m[2] };
  }
  return null;
}
