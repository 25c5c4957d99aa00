// The range of time: presets, any two ends, a step to either side, and the zone in which times are shown.
import { useEffect, useState } from 'preact/hooks';
import type { Range } from '../lib/screens';
import { useKeys } from '../lib/keys';
import { setPrefs, usePrefs } from '../lib/prefs';
import { usePop } from './pop';
import { panned, readTime, showRange } from '../lib/time';

const presets = [['5m', '5 min'], ['15m', '15 min'], ['1h', '1 hour'], ['6h', '6 hours'], ['24h', '24 hours'], ['7d', '7 days']] as const;

export function TimePicker({ range, onChange, refresh }: { range: Range; onChange: (r: Range) => void; refresh: () => void }) {
  const { zone } = usePrefs();
  const { open, setOpen, box, opener, close, onKeyDown } = usePop();
  const [start, setStart] = useState(range.start);
  const [end, setEnd] = useState(range.end);
  const [wrong, setWrong] = useState('');
  useEffect(() => {
    setStart(range.start);
    setEnd(range.end);
    setWrong('');
  }, [range.start, range.end, open]);
  const take = (r: Range): void => {
    close();
    onChange(r);
  };
  const apply = (e: Event): void => {
    e.preventDefault();
    const s = readTime(start, zone), t = end.trim() === '' ? '' : readTime(end, zone);
    if (s === null || t === null) setWrong(`${s === null ? 'From' : 'To'}: write now-15m, 2026-01-31 14:00, or unix time`);
    else take({ start: s, end: t === 'now' ? '' : t });
  };
  const pan = (share: number): void => onChange(panned(range, share, Date.now()));
  useKeys({ t: () => setOpen(true), r: refresh, 'shift+arrowleft': () => pan(-0.5), 'shift+arrowright': () => pan(0.5) });
  return (
    <div class="pop" ref={box} onKeyDown={onKeyDown}>
      <div class="group" role="group" aria-label="Time">
        <button class="button icon" aria-label="Earlier" title="Earlier (Shift+←)" onClick={() => pan(-0.5)}>‹</button>
        <button class="button" ref={opener} aria-expanded={open} aria-haspopup="dialog" title="Range of time (t)" onClick={() => setOpen(!open)}>{showRange(range, zone)}</button>
        <button class="button icon" aria-label="Later" title="Later (Shift+→)" onClick={() => pan(0.5)}>›</button>
        <button class="button icon" aria-label="Refresh" title="Refresh (r)" onClick={refresh}>↻</button>
      </div>
      {open && (
        <div class="sheet" role="dialog" aria-label="Range of time">
          <div class="presets">
            {presets.map(([t, name]) => (
              <button class="button" key={t} aria-pressed={range.start === `now-${t}` && range.end === ''} onClick={() => take({ start: `now-${t}`, end: '' })}>{name}</button>
            ))}
          </div>
          <form onSubmit={apply} style={{ display: 'grid', gap: '8px' }}>
            <label><span class="name">From</span><input class="field mono" value={start} onInput={(e) => setStart(e.currentTarget.value)} /></label>
            <label><span class="name">To (empty: now)</span><input class="field mono" value={end} placeholder="now" onInput={(e) => setEnd(e.currentTarget.value)} /></label>
            <p class="wrong" role="status">{wrong}</p>
            <div class="head">
              <button class="button main" type="submit">Apply</button>
              <span class="grow" />
              <div class="group" role="group" aria-label="Zone">
                <button type="button" class="button" aria-pressed={zone === 'local'} onClick={() => setPrefs({ zone: 'local' })}>Local</button>
                <button type="button" class="button" aria-pressed={zone === 'utc'} onClick={() => setPrefs({ zone: 'utc' })}>UTC</button>
              </div>
            </div>
          </form>
        </div>
      )}
    </div>
  );
}
