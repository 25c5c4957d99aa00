// Units of panels: how a number is written in one.
import { measured, short, ticks } from './format';
import type { Panel } from './dashboard';
import { showTime, type Zone } from './time';

export const unitNames: Record<string, string> = {
  none: 'number', short: 'number, short (1.2k)', ratio: 'share (0 to 1)', percent: 'percent (0 to 100)', bytes: 'bytes', 'bytes/s': 'bytes a second', 'bits/s': 'bits a second', seconds: 'seconds', ms: 'milliseconds', us: 'microseconds', ns: 'nanoseconds',
  '/s': 'a second', hertz: 'hertz', celsius: 'degrees Celsius', watt: 'watt', volt: 'volt', time: 'time (seconds since 1970)',
};
const scaled: Record<string, ['seconds' | 'ratio' | 'bytes' | 'bytes/s', number]> = { seconds: ['seconds', 1], ms: ['seconds', 1e-3], us: ['seconds', 1e-6], ns: ['seconds', 1e-9], ratio: ['ratio', 1], percent: ['ratio', 0.01], bytes: ['bytes', 1], 'bytes/s': ['bytes/s', 1] };
const ends: Record<string, string> = { '/s': '/s', hertz: ' Hz', celsius: ' °C', watt: ' W', volt: ' V', 'bits/s': 'bit/s' };

const fixed = (v: number, digits: number): string => `${v < 0 ? '−' : ''}${Math.abs(v).toFixed(digits)}`;

export function formatter(p: Pick<Panel, 'unit' | 'decimals'>, zone: Zone): (v: number) => string {
  const unit = p.unit ?? '', digits = p.decimals, as = scaled[unit];
  if (unit === 'time') return (v) => (Number.isFinite(v) ? showTime(v * 1000, zone) : '–');
  return (v) => {
    if (Number.isNaN(v)) return '–';
    if (!Number.isFinite(v)) return v > 0 ? '+∞' : '−∞';
    if (as && as[0] === 'ratio' && digits !== undefined) return `${fixed(v * as[1] * 100, digits)} %`;
    if (as) return measured(v * as[1], as[0]);
    const plain = digits !== undefined && Math.abs(v) < 10_000 ? fixed(v, digits) : unit === 'none' && Number.isInteger(v) && Math.abs(v) < 1e15 ? String(v) : short(v);
    return `${plain}${ends[unit] ?? ''}`;
  };
}

/** Marks of an axis. */
export function axisMarks(p: Pick<Panel, 'unit' | 'decimals'>, zone: Zone): (values: number[]) => string[] {
  const as = scaled[p.unit ?? ''], show = formatter({ unit: p.unit }, zone);
  if (as) return (v) => ticks(v.map((x) => x * as[1]), as[0]);
  return p.unit === 'time' ? (v) => v.map(show) : (v) => ticks(v, '').map((t) => `${t}${ends[p.unit ?? ''] ?? ''}`);
}
