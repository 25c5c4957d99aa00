// Fields of a search that can be typed as conditions: what they take, and what of the screen's state they are.
import { readDuration } from './format';
import type { Condition } from './where';

/** A change of a screen's state; the screens' own fields have these names. */
export type Change = Record<string, string>;

export interface SearchField {
  name: string;
  help: string;
  ops: string[];
  values?: string[];
  /** The key whose values complete it (GET /api/v1/attributes/{key}/values). */
  key?: string;
  take: (op: string, value: string) => Change | string;
}

const oneOf = (name: string, of: string[]) => (_: string, value: string): Change | string =>
  of.includes(value.toLowerCase()) ? { [name]: value.toLowerCase() } : `${name} is one of ${of.join(' ')}`;
const as = (name: string) => (_: string, value: string): Change | string => (value === '' ? `${name}: a value is missing` : { [name]: value });
const lasting = (op: string, value: string): Change | string => {
  const v = readDuration(value);
  return v === null || v === '' ? 'write a duration as 250ms, 1h30m' : { [op === '>=' ? 'min_duration' : 'max_duration']: v };
};
const shared = [
  { name: 'service', help: 'who sent it', ops: ['='], key: 'resource.service.name', take: as('service') },
  { name: 'environment', help: 'where it ran', ops: ['='], key: 'resource.deployment.environment.name', take: as('environment') },
];
const severities = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];
const statuses = ['error', 'ok', 'unset'];
export const traceFields: SearchField[] = [
  shared[0],
  { name: 'operation', help: "the span's name", ops: ['='], key: 'field.name', take: as('operation') },
  { name: 'status', help: 'error, ok or unset', ops: ['='], values: statuses, take: oneOf('status', statuses) },
  { name: 'duration', help: 'of the span: 250ms, 1h30m', ops: ['>=', '<='], values: ['10ms', '100ms', '1s', '10s'], take: lasting },
  shared[1],
];
export const logFields: SearchField[] = [
  shared[0],
  { name: 'severity', help: 'at least: debug to fatal', ops: ['>='], values: severities, take: oneOf('severity', severities) },
  shared[1],
];

/** The field that a condition is of: one that is written bare. In quotes, `"status" = 1` asks for an attribute of that name. */
export const fieldOf = (fields: SearchField[], c: { prefix: string; key: string }, typed: string): SearchField | undefined =>
  c.prefix === '' && !typed.trimStart().startsWith('"') ? fields.find((f) => f.name === c.key) : undefined;

/** A typed condition on a field as a change of the state; or what is wrong with it. */
export function takeField(f: SearchField, c: Condition): Change | string {
  if (!f.ops.includes(c.op)) return `${f.name} takes ${f.ops.join(' and ')} alone; for an attribute of that name write "${f.name}" in quotes`;
  return f.take(c.op, c.value);
}
