// Administration: what the API answers, and what the settings make of it. Types are those of /openapi.json, as far as the page reads them.
import type { Partial_ } from './api';
import { grouped } from './format';

export interface Counts {
  [reason: string]: number;
}
export interface Ingest {
  signal: string;
  rows: number;
  bodies?: number;
  bytes?: number;
  refused_rows: Counts;
  refused_bodies?: Counts;
}
export interface Status {
  version: string;
  time: string;
  started: string;
  uptime_ns: number;
  tenant: string;
  ready: boolean;
  checks: Record<string, string>;
  memory?: { limit_bytes: number; used_bytes: number; peak_bytes: number; refused: number; resident_bytes: number };
  disk?: { total_bytes: number; free_bytes: number; part_bytes: number; log_bytes: number; use_max_percent: number; free_min_percent: number };
  store?: { parts: number; part_rows: number; memory_rows: number; memory_bytes: number; flushes: number; merges: number; parts_dropped: number; deletes_pending: number; bad_blocks: number; syncs_failed: number };
  ingest: Ingest[];
  http?: { connections: number; requests: number; received_bytes: number; sent_bytes: number; refused: number; certificate_expires: string | null };
  access?: { required: boolean; tokens: number; sessions: number; refused: Counts };
  last_backup?: string | null;
  queries: { running: number; begun: number; waiting?: number; refused?: number; abandoned?: number; threads?: number };
  tenants: { tenant: string; ingest_requests: number; ingest_bytes: number; rows: number; queries: number; queries_running: number; over_limit: Counts }[];
}

export interface Amount {
  parts: number;
  rows: number;
  bytes: number;
}
export interface Column {
  name: string;
  kind: 'field' | 'attribute' | 'rare_attributes' | 'dictionary' | 'frame';
  set?: 'rows' | 'events' | 'links';
  type?: string;
  bytes: number;
  values?: number;
  sampled_values?: number;
  distinct_values?: number;
}
export interface SignalTotals extends Amount {
  signal: 'spans' | 'logs';
  row_groups: number;
  oldest: string | null;
  newest: string | null;
  memory: { rows: number; bytes: number };
  days: ({ day: string } & Amount)[];
}
export interface SignalStorage extends SignalTotals {
  columns: Column[];
  columns_left_out: { count: number; bytes: number };
  services: { service: string; rows: number; bytes: number; memory_rows: number }[];
  services_left_out: { count: number; bytes: number };
}
export interface Storage extends Partial_ {
  tenant: string;
  signals: SignalStorage[];
  method: Record<string, string>;
}
export interface Setting {
  value: number;
  from: 'default' | 'environment' | 'flag';
  flag: string;
  variable: string;
}
export interface Retention extends Partial_ {
  settings: { retention_ns: Setting; disk_use_max_percent: Setting; disk_free_min_percent: Setting };
  signals: (SignalTotals & { mean_per_day: { days: number; rows: number; bytes: number } | null; would_go: ({ retention_days: number } & Amount)[] })[];
}
export const roles = ['ingest', 'read', 'operate', 'admin'] as const;
export interface Token {
  id: string;
  name: string;
  role: (typeof roles)[number];
  tenant: string;
  created: string;
  expires: string | null;
}
export interface Tokens {
  tokens: (Token & { last_used: string | null; is_own: boolean; is_expired: boolean })[];
  source: 'file' | 'environment' | 'none';
  required: boolean;
  tenant: string;
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** "0 B", "482 B", "1.25 KiB", "38.0 MiB": three digits. */
export function bytes(n: number): string {
  let unit = 0;
  let v = n;
  while (v >= 999.5 && unit < units.length - 1) {
    v /= 1024;
    unit++;
  }
  return unit === 0 ? `${v} B` : `${v >= 99.95 ? v.toFixed(0) : v >= 9.995 ? v.toFixed(1) : v.toFixed(2)} ${units[unit]}`;
}
export const exactBytes = (n: number): string => `${grouped(n)} bytes`;

/** A column as people name it: "http.route", "events: name", "dictionary: strings". */
export const columnName = (c: Column): string =>
  c.kind === 'dictionary' ? `dictionary: ${c.name}` : c.kind === 'frame' ? 'frame of the files' : c.set && c.set !== 'rows' ? `${c.set}: ${c.name}` : c.name;

/** Where a rule finds the attributes of a column. */
export const placeOfColumn = (signal: string, c: Column): string => (c.set === 'events' ? 'event' : c.set === 'links' ? 'link' : signal === 'logs' ? 'log' : 'span');

/** The rule of redaction that drops an attribute from now on (docs/redaction.md). A JSON string is one of YAML, too. */
export const dropRule = (signal: string, c: Column): string =>
  `redact:\n  - name: ${JSON.stringify(`drop ${c.name}`)}\n    do: drop\n    key: ${JSON.stringify(c.name)}\n    in: [${placeOfColumn(signal, c)}]\n`;

/** Of what was counted, how much a second between two answers; null: there is none before, or the server began anew. */
export function perSecond(now: number, before: number | undefined, seconds: number): number | null {
  return before === undefined || seconds <= 0 || now < before ? null : (now - before) / seconds;
}

/** "30 days", "36 hours", "for ever". */
export function retentionText(ns: number): string {
  if (ns === 0) return 'for ever';
  const hours = ns / 3_600e9;
  return hours >= 48 && hours % 24 === 0 ? `${hours / 24} days` : Number.isInteger(hours) ? `${hours} hours` : `${Math.round(ns / 1e9)} seconds`;
}

/** Reasons with their counts: "too old: 12, bad trace id: 3"; "none". */
export const reasons = (...of: (Counts | undefined)[]): string => {
  const all = of.flatMap((c) => Object.entries(c ?? {}));
  return all.length ? all.map(([reason, n]) => `${reason.replace(/_/g, ' ')}: ${grouped(n)}`).join(', ') : 'none';
};
