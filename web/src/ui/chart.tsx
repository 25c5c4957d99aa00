// A chart over time: uPlot comes when the first is drawn.
import { useEffect, useRef } from 'preact/hooks';
import { isDark, usePrefs } from '../lib/prefs';
import type { PlotOptions } from './plot';

export function Chart({ data, low, ...o }: { data: ArrayLike<number>[]; low?: boolean } & Omit<PlotOptions, 'utc'>) {
  const box = useRef<HTMLDivElement>(null);
  const prefs = usePrefs();
  const looks = `${isDark()} ${prefs.zone}`;
  useEffect(() => {
    let made: { destroy: () => void } | null = null, gone = false;
    void import('./plot').then(({ plot }) => {
      if (!gone && box.current) made = plot(box.current, data, { ...o, utc: prefs.zone === 'utc' });
    });
    return () => {
      gone = true;
      made?.destroy();
    };
  }, [data, looks]);
  return <div class={low ? 'plot low' : 'plot'} ref={box} role="img" aria-label={o.label} />;
}

/** Counts by bucket as a small area, with errors as marks below it. */
export function Spark({ counts, errors, label }: { counts: readonly number[]; errors: readonly number[]; label: string }) {
  const most = Math.max(1, ...counts), n = Math.max(2, counts.length);
  const x = (i: number): string => ((i / (n - 1)) * 130 + 1).toFixed(1), y = (v: number): string => (20 - (v / most) * 18).toFixed(1);
  const line = counts.map((v, i) => `L${x(i)} ${y(v)}`).join('');
  return (
    <svg class="spark" viewBox="0 0 132 26" preserveAspectRatio="none" role="img" aria-label={label}>
      <path class="all" d={`M1 20${line}L${x(counts.length - 1)} 20Z`} />
      {errors.map((e, i) => (e ? <rect class="errors" key={i} x={x(i)} y="22" width="2.2" height="4" /> : null))}
    </svg>
  );
}
