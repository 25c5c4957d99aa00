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
  const parsed = parseCondition(`${text} exists`);
  return typeof parsed === 'string' || parsed.op !== 'exists' ? null : { prefix: parsed.prefix, key: parsed.key };
}

/** An attribute's value as a condition; null for what cannot be compared (lists, maps, NUL). */
export function condition(prefix: string, key: string, op: '=' | '!=', value: unknown): string | null {
  if (value === null || typeof value === 'object' || String(value).includes('\0') || key.includes('\0')) return null;
  const v = String(value);
  const plain = v !== '' && v.trim() === v && !v.startsWith('"') && !/[\r\n]/.test(v);
  return `${writeKey(prefix, key)}${op}${plain && !/^[=~]/.test(v) ? v : quoted(v)}`;
}

function readQuoted(s: string): { text: string; rest: string } | string {
  let text = '';
  for (let i = 1; i < s.length; i++) {
    if (s[i] === '"') return { text, rest: s.slice(i + 1) };
    if (s[i] === '\\') {
      i++;
      if (s[i] !== '"' && s[i] !== '\\') return 'only \\" and \\\\ are escapes here';
    }
    text += s[i];
  }
  return 'the quote has no end';
}

/** The parts, or why it is none. */
export function parseCondition(typed: string): Condition | string {
  let rest = typed.trim();
  const prefix = prefixes.find((p) => rest.startsWith(p)) ?? '';
  rest = rest.slice(prefix.length);
  let key = /^[^\s=!<>~"]*/.exec(rest)![0];
  if (rest.startsWith('"')) {
    const q = readQuoted(rest);
    if (typeof q === 'string') return q;
    ({ text: key, rest } = q);
  } else rest = rest.slice(key.length);
  rest = rest.trimStart();
  if (key === '') return 'the name of an attribute is missing';
  if (rest === 'exists' || rest === 'absent') return { prefix, key, op: rest, value: '' };
  if (rest.startsWith('==') || rest.startsWith('=~')) return `${rest.slice(0, 2)} is not an operator; write ${rest[1]} alone`;
  const op = operators.find((o) => rest.startsWith(o));
  if (!op) return 'an operator is missing: = != > >= < <= ~ !~ exists absent';
  rest = rest.slice(op.length).trim();
  if (!rest.startsWith('"')) return { prefix, key, op, value: rest };
  const q = readQuoted(rest);
  if (typeof q === 'string') return q;
  return q.rest.trim() ? 'there is more after the quoted value' : { prefix, key, op, value: q.text };
}
