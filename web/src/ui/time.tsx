// The range of time: presets, any two ends, a step to either side, out of a zoom, the period before, and the zone in which times are shown.
import { useEffect, useState } from 'preact/hooks';
import type { Range } from '../lib/screens';
import { useKeys } from '../lib/keys';
import { setPrefs, usePrefs } from '../lib/prefs';
import { absolute, isLive, panned, readTime, showRange } from '../lib/time';
import { PopBox, usePop } from './pop';

const presets = [['5m', '5 min'], ['15m', '15 min'], ['1h', '1 hour'], ['6h', '6 hours'], ['24h', '24 hours'], ['7d', '7 days']] as const;

/** The range before the first of several zooms. Not of the address: a link shows the zoom, and leads out of it to the last hour. */
let unzoomed: Range | null = null;

/** What dragging over a chart does, and a double click on it. */
export function useZoom(range: Range, onChange: (r: Range) => void): { pick: (from: number, to: number) => void; out: () => void } {
  return {
    pick: (from, to) => {
      if (isLive(range)) unzoomed = { start: range.start, end: range.end };
      onChange(absolute(from, to));
    },
    out: () => !isLive(range) && onChange(unzoomed ?? { start: 'now-1h', end: '' }),
  };
}

export function TimePicker({ range, onChange, refresh, compare }: {
  range: Range; onChange: (r: Range) => void; refresh: () => void; compare?: { on: boolean; set: (on: boolean) => void };
}) {
  const { zone } = usePrefs();
  const pop = usePop();
  const [start, setStart] = useState(range.start);
  const [end, setEnd] = useState(range.end);
  const [wrong, setWrong] = useState('');
  const zoom = useZoom(range, onChange);
  useEffect(() => {
    setStart(range.start);
    setEnd(range.end);
    setWrong('');
  }, [range.start, range.end, pop.open]);
  const take = (r: Range): void => {
    pop.close();
    onChange(r);
  };
  const apply = (e: Event): void => {
    e.preventDefault();
    const s = readTime(start, zone), t = end.trim() === '' ? '' : readTime(end, zone);
    if (s === null || t === null) setWrong(`${s === null ? 'From' : 'To'}: write now-15m, 2026-01-31 14:00, or unix time`);
    else take({ start: s, end: t === 'now' ? '' : t });
  };
  const pan = (share: number): void => onChange(panned(range, share, Date.now()));
  useKeys({
    t: () => pop.setOpen(true), r: refresh, 'shift+arrowleft': () => pan(-0.5), 'shift+arrowright': () => pan(0.5), z: zoom.out,
    ...(compare ? { b: () => compare.set(!compare.on) } : {}),
  });
  const button = (
    <div class="group" role="group" aria-label="Time">
      <button class="button icon" aria-label="Earlier" title="Earlier (Shift+←)" onClick={() => pan(-0.5)}>‹</button>
      <button class="button" ref={pop.opener} aria-expanded={pop.open} aria-haspopup="dialog" title={`Range of time (t); times are shown in ${zone === 'utc' ? 'UTC' : 'the zone of this browser'}`} onClick={() => pop.setOpen(!pop.open)}>
        {showRange(range, zone)}{compare?.on && <span class="muted hide-small"> · compared</span>}
      </button>
      <button class="button icon" aria-label="Later" title="Later (Shift+→)" onClick={() => pan(0.5)}>›</button>
      {!isLive(range) && <button class="button icon" aria-label="Reset zoom" title="Out of the zoom (z)" onClick={zoom.out}>⤢</button>}
      <button class="button icon" aria-label="Refresh" title="Refresh (r)" onClick={refresh}>↻</button>
    </div>
  );
  return (
    <PopBox pop={pop} name="Range of time" button={button}>
      <div class="presets">
        {presets.map(([t, name]) => (
          <button class="button" key={t} aria-pressed={range.start === `now-${t}` && range.end === ''} onClick={() => take({ start: `now-${t}`, end: '' })}>{name}</button>
        ))}
      </div>
      <form onSubmit={apply} style={{ display: 'grid', gap: '8px' }}>
        <label><span class="name">From</span><input class="field mono" value={start} onInput={(e) => setStart(e.currentTarget.value)} /></label>
        <label><span class="name">To (empty: now)</span><input class="field mono" value={end} placeholder="now" onInput={(e) => setEnd(e.currentTarget.value)} /></label>
        <p class="wrong" role="status">{wrong}</p>
        {compare && <label><input type="checkbox" checked={compare.on} onChange={(e) => compare.set(e.currentTarget.checked)} /> Compare with the period before <kbd>b</kbd></label>}
        <div class="head">
          <button class="button main" type="submit">Apply</button>
          <span class="grow" />
          <div class="group" role="group" aria-label="Zone">
            <button type="button" class="button" aria-pressed={zone === 'local'} onClick={() => setPrefs({ zone: 'local' })}>Local</button>
            <button type="button" class="button" aria-pressed={zone === 'utc'} onClick={() => setPrefs({ zone: 'utc' })}>UTC</button>
          </div>
        </div>
      </form>
    </PopBox>
  );
}
