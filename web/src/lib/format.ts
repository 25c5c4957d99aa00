// Numbers for people: few digits, fixed widths where they stand in columns.

const steps: [number, string][] = [[3_600_000_000_000, 'h'], [60_000_000_000, 'm'], [1_000_000_000, 's'], [1_000_000, 'ms'], [1_000, 'µs'], [1, 'ns']];

/** 3 significant digits: "482 ns", "1.25 ms", "38.0 ms", "1m 12s", "2h 5m". */
export function duration(ns: number): string {
  if (!Number.isFinite(ns)) return '–';
  if (ns < 0) return `−${duration(-ns)}`;
  if (ns === 0) return '0';
  for (const [big, small] of [[0, 1], [1, 2]] as const) {
    if (ns < steps[big][0]) continue;
    const all = Math.round(ns / steps[small][0]), whole = Math.floor(all / 60), rest = all % 60; // 14m 59.7s is 15m
    return rest ? `${whole}${steps[big][1]} ${rest}${steps[small][1]}` : `${whole}${steps[big][1]}`;
  }
  const [unit, name] = steps.slice(2).find(([u]) => ns >= u * 0.9995) ?? steps[5];
  return name === 'ns' ? `${Math.round(ns)} ns` : `${digits(ns / unit)} ${name}`;
}

function digits(v: number): string {
  return v >= 99.95 ? v.toFixed(0) : v >= 9.995 ? v.toFixed(1) : v.toFixed(2);
}

/** "0", "12", "1.2k", "34k", "5.6M". */
export function count(n: number): string {
  const [unit, name] = ([[1e9, 'G'], [1e6, 'M'], [1e3, 'k']] as const).find(([u]) => n >= u * 0.9995) ?? [1, ''];
  if (!name) return Number.isInteger(n) ? String(n) : digits(n);
  const v = n / unit;
  return `${v < 9.95 ? v.toFixed(1) : v.toFixed(0)}${name}`;
}

/** "1 234 567". Not by toLocaleString: its first call loads the tables of languages, 25 ms. */
export const grouped = (n: number): string => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ' ');

/** Per second: "0", "0.03", "2.4", "120". */
export const rate = (n: number): string => (n === 0 ? '0' : n < 0.01 ? '<0.01' : n < 10 ? n.toFixed(2) : n < 1000 ? n.toFixed(1) : count(n));

export const percent = (ratio: number): string => (ratio === 0 ? '0%' : ratio < 0.001 ? '<0.1%' : ratio < 0.1 ? `${(ratio * 100).toFixed(1)}%` : `${(ratio * 100).toFixed(0)}%`);

/** How much more: "+12%", "−3%", "±0%", "new" where there was none; of shares the points: "+1.2 pp". */
export function change(now: number, before: number, share = false): string {
  const sign = (v: number): string => (v > 0 ? '+' : v < 0 ? '−' : '±');
  if (share) {
    const points = (now - before) * 100, size = Math.abs(points);
    return size < 0.05 ? '±0 pp' : `${sign(points)}${size < 9.95 ? size.toFixed(1) : size.toFixed(0)} pp`;
  }
  if (before === 0) return now === 0 ? '±0%' : 'new';
  const ratio = now / before - 1, size = Math.abs(ratio) * 100;
  return size < 0.5 ? '±0%' : now > before * 20 ? `×${count(Math.round(now / before))}` : `${sign(ratio)}${size.toFixed(0)}%`;
}

/** "1 trace", "2 traces". */
export const plural = (n: number, one: string, many = `${one}s`): string => `${grouped(n)} ${n === 1 ? one : many}`;

/** "250ms", "1h30m" as the API takes durations; null if it is none. */
export function readDuration(typed: string): string | null {
  const t = typed.trim().replace(/\s+/g, '').replace('μ', 'µ');
  if (t === '') return '';
  return /^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d))+$/.test(t) ? t.replace('µs', 'us') : null;
}

/** Any number in few letters: "0", "12.5", "1.25k", "−3", "4.2e-7". */
export function short(v: number): string {
  if (!Number.isFinite(v)) return Number.isNaN(v) ? 'NaN' : v > 0 ? '+Inf' : '−Inf';
  if (v < 0) return `−${short(-v)}`;
  if (v === 0) return '0';
  if (v < 0.001 || v >= 999.5e12) return v.toPrecision(3).replace(/\.?0+e/, 'e').replace('e+', 'e');
  const [unit, name] = ([[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']] as const).find(([u]) => v >= u * 0.9995) ?? [1, ''];
  const n = Number((v / unit).toPrecision(v / unit >= 100 ? 4 : 3));
  return `${n}${name}`;
}

const sizes: [number, string][] = [[1 << 30, ' GiB'], [1 << 20, ' MiB'], [1024, ' KiB']];
function size(v: number): string {
  const [unit, name] = sizes.find(([u]) => Math.abs(v) >= u) ?? [1, ' B'];
  return `${short(v / unit)}${name}`;
}

/** A number in the unit that it is in, where that is known. */
export function measured(v: number, unit: '' | 'seconds' | 'bytes' | 'ratio' | 'bytes/s'): string {
  if (!Number.isFinite(v)) return short(v);
  if (unit === 'seconds') return v === 0 || Math.abs(v) >= 1e-9 ? duration(v * 1e9) : short(v);
  if (unit === 'ratio') return `${short(v * 100)} %`;
  return unit === 'bytes' ? size(v) : unit === 'bytes/s' ? `${size(v)}/s` : short(v);
}

const scales: Record<string, [number, string][]> = {
  '': [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, '']], seconds: [[3600, ' h'], [60, ' m'], [1, ' s'], [1e-3, ' ms'], [1e-6, ' µs'], [1e-9, ' ns']],
  bytes: [[2 ** 30, ' GiB'], [2 ** 20, ' MiB'], [1024, ' KiB'], [1, ' B']], ratio: [[0.01, ' %']],
};
/** Marks of an axis: in the same unit all, with as many digits as tell them apart. */
export function ticks(values: readonly number[], unit: '' | 'seconds' | 'bytes' | 'ratio' | 'bytes/s'): string[] {
  const most = Math.max(...values.map(Math.abs)), apart = Math.abs((values[1] ?? values[0]) - values[0]);
  const all = scales[unit === 'bytes/s' ? 'bytes' : unit], [of, name] = all.find(([u]) => most >= u) ?? all[all.length - 1];
  if (!Number.isFinite(most) || most >= 1e15 || (apart > 0 && apart / of < 1e-6)) return values.map((v) => measured(v, unit));
  let digits = apart > 0 ? Math.min(6, Math.max(0, Math.ceil(-Math.log10(apart / of) - 1e-9))) : 2;
  const steps = (): number => (apart / of) * 10 ** digits;
  if (apart > 0 && digits < 3 && Math.abs(steps() - Math.round(steps())) > 1e-3 && !unit.startsWith('bytes')) digits++; // 0.25, 0.5, 0.75
  return values.map((v) => (v === 0 ? '0' : `${v < 0 ? '−' : ''}${(Math.abs(v) / of).toFixed(digits)}${name}${unit === 'bytes/s' ? '/s' : ''}`));
}
