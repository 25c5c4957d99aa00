// Instants as the API writes them (RFC 3339 in UTC, up to nanoseconds) and as people read and write them.

export type Zone = 'local' | 'utc';

/** Whole seconds since 1970 and nanoseconds: a double has no room for both. Times of one answer share most of their seconds. */
export interface Instant {
  s: number;
  ns: number;
}

let lastText = '';
let lastSeconds = 0;

export function parseInstant(t: string): Instant {
  const head = t.slice(0, 19);
  if (head !== lastText) {
    lastSeconds = Date.parse(`${head}Z`) / 1000;
    lastText = head;
  }
  const fraction = t.charCodeAt(19) === 46 ? t.slice(20, t.length - 1) : '';
  return { s: lastSeconds, ns: fraction ? Number(fraction.padEnd(9, '0')) : 0 };
}

export const parseMs = (t: string): number => {
  const i = parseInstant(t);
  return i.s * 1000 + i.ns / 1e6;
};
/** An instant, some nanoseconds before another. */
export const earlier = (t: Instant, by: number): Instant => {
  const ns = t.ns - (by % 1e9), over = Math.floor(ns / 1e9);
  return { s: t.s - Math.trunc(by / 1e9) + over, ns: ns - over * 1e9 };
};
/** b - a in nanoseconds; exact below 104 days. */
export const sinceNs = (a: Instant, b: Instant): number => (b.s - a.s) * 1e9 + (b.ns - a.ns);

const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

/** "now-15m" → how many seconds before now; null if it is not of that kind. */
export function relativeSeconds(t: string): number | null {
  if (t === 'now') return 0;
  const m = /^now-(\d+(?:\.\d+)?)([smhdw])$/.exec(t);
  return m ? Number(m[1]) * units[m[2]] : null;
}

/** What somebody typed or pasted → what the API takes, or null: now, 15m, now-15m, unix time in s to ns, a date with or without time
 * (in `zone` where it has none of its own). */
export function readTime(typed: string, zone: Zone): string | null {
  const t = typed.trim();
  if (relativeSeconds(t) !== null) return t;
  if (/^\d+(\.\d+)?[smhdw]$/.test(t)) return `now-${t}`;
  if (/^\d{9,19}$/.test(t)) return t;
  const m = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)\s*(Z|[+-]\d\d:\d\d)?)?$/.exec(t);
  if (!m) return null;
  const time = m[2] ? (m[2].length === 5 ? `${m[2]}:00` : m[2]) : '00:00:00';
  const own = m[3] ?? (zone === 'utc' ? 'Z' : '');
  const at = new Date(`${m[1]}T${time.slice(0, 12)}${own}`);
  if (Number.isNaN(at.getTime())) return null;
  return own === 'Z' ? `${m[1]}T${time}Z` : at.toISOString();
}

/** The range in milliseconds, with `now` as given. */
export function rangeMs(r: { start: string; end: string }, now: number): [number, number] {
  const at = (t: string, otherwise: number): number => {
    if (t === '') return otherwise;
    const ago = relativeSeconds(t);
    if (ago !== null) return now - ago * 1000;
    if (/^\d+$/.test(t)) return Number(t) / 10 ** Math.max(0, t.length - 13) * (t.length <= 10 ? 1000 : 1);
    return parseMs(t);
  };
  const end = at(r.end, now);
  return [at(r.start, end - 3600_000), end];
}

/** As precise as the API wrote it: unix nanoseconds, moved by so many. */
export const shiftNs = (ns: string, by: number): string => String(BigInt(ns) + BigInt(by));

export const isLive = (r: { end: string }): boolean => r.end === '' || r.end === 'now';

const pad = (n: number, width = 2): string => String(n).padStart(width, '0');

function partsOf(ms: number, zone: Zone): [number, number, number, number, number, number, number] {
  const d = new Date(ms);
  return zone === 'utc'
    ? [d.getUTCFullYear(), d.getUTCMonth() + 1, d.getUTCDate(), d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds(), d.getUTCMilliseconds()]
    : [d.getFullYear(), d.getMonth() + 1, d.getDate(), d.getHours(), d.getMinutes(), d.getSeconds(), d.getMilliseconds()];
}

/** "2026-01-02 03:04:05", with milliseconds if wanted. */
export function showTime(ms: number, zone: Zone, millis = false): string {
  const [y, mo, d, h, mi, s, frac] = partsOf(ms, zone);
  return `${y}-${pad(mo)}-${pad(d)} ${pad(h)}:${pad(mi)}:${pad(s)}${millis ? `.${pad(frac, 3)}` : ''}`;
}
/** "03:04:05.678"; with the day before it where that is not today's. */
export function showClock(ms: number, zone: Zone, now: number): string {
  const full = showTime(ms, zone, true);
  return full.slice(0, 10) === showTime(now, zone).slice(0, 10) ? full.slice(11) : full.slice(5);
}

const spans: [number, string][] = [[604800, 'week'], [86400, 'day'], [3600, 'hour'], [60, 'minute'], [1, 'second']];

/** "Last 15 minutes", or both ends. */
export function showRange(r: { start: string; end: string }, zone: Zone): string {
  const ago = relativeSeconds(r.start);
  if (ago !== null && isLive(r)) {
    const [unit, name] = spans.find(([u]) => ago % u === 0 && ago >= u) ?? [1, 'second'];
    return `Last ${ago / unit} ${name}${ago / unit === 1 ? '' : 's'}`;
  }
  const show = (t: string): string => (t === '' ? 'now' : relativeSeconds(t) !== null ? t : showTime(rangeMs({ start: t, end: t }, 0)[0], zone));
  const [start, end] = [show(r.start), show(r.end)];
  return `${start} – ${start.slice(0, 10) === end.slice(0, 10) && end.length === 19 ? end.slice(11) : end}`;
}

/** Moved by a share of its own width; both ends become absolute. */
export function panned(r: { start: string; end: string }, share: number, now: number): { start: string; end: string } {
  const [start, end] = rangeMs(r, now);
  const by = (end - start) * share;
  return absolute(start + by, end + by);
}
export const absolute = (start: number, end: number): { start: string; end: string } => ({
  start: new Date(Math.floor(start)).toISOString(),
  end: new Date(Math.ceil(end)).toISOString(),
});
