// A waterfall in small, bars alone: where it is one of many, and above the rows of the whole one.
import type { JSX, RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { miniMap, type Bars } from '../hot/waterfall';
import { colour, isDark, usePrefs } from '../lib/prefs';

const height = 54, faint = 170; // of 255: bars without errors

const rgb = (token: string): number[] => (colour(token).match(/\d+(\.\d+)?/g) ?? []).slice(0, 3).map(Number);

/** `canvas`: for who asks where on it something is. */
export function SmallFall({ bars, label, canvas, ...more }: { bars: Bars; label: string; canvas?: RefObject<HTMLCanvasElement | null> } & Omit<JSX.IntrinsicElements['canvas'], 'ref'>) {
  const own = useRef<HTMLCanvasElement>(null), at = canvas ?? own, [width, setWidth] = useState(0);
  usePrefs();
  const dark = isDark();
  useEffect(() => {
    const c = at.current!, watch = new ResizeObserver(() => setWidth(c.clientWidth));
    watch.observe(c);
    return () => watch.disconnect();
  }, []);
  useEffect(() => {
    const c = at.current!;
    if (!width) return;
    c.width = width;
    c.height = height;
    const g = c.getContext('2d')!, image = g.createImageData(width, height), map = miniMap(bars, width, height), colours = [[], rgb('accent'), rgb('error-bar')];
    for (let i = 0; i < map.length; i++) {
      if (!map[i]) continue;
      image.data.set(colours[map[i]], i * 4);
      image.data[i * 4 + 3] = map[i] === 2 ? 255 : faint;
    }
    g.putImageData(image, 0, 0);
  }, [bars, width, dark]);
  return <canvas ref={at} role="img" aria-label={label} {...more} />;
}
