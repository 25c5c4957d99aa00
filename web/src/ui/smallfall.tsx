// A waterfall in small, where it is one of many: bars alone.
import { useEffect, useRef, useState } from 'preact/hooks';
import { miniMap, type Bars } from '../hot/waterfall';
import { colour, isDark, usePrefs } from '../lib/prefs';

const height = 56;

export function SmallFall({ bars, label }: { bars: Bars; label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null), [width, setWidth] = useState(0);
  usePrefs();
  const dark = isDark();
  useEffect(() => {
    const c = canvas.current!, watch = new ResizeObserver(() => setWidth(c.clientWidth));
    watch.observe(c);
    return () => watch.disconnect();
  }, []);
  useEffect(() => {
    const c = canvas.current!;
    if (!width) return;
    c.width = width;
    c.height = height;
    const g = c.getContext('2d')!, map = miniMap(bars, width, height);
    g.clearRect(0, 0, width, height);
    for (const [kind, token] of [[1, 'accent'], [2, 'error-bar']] as const) {
      g.fillStyle = colour(token);
      for (let i = 0; i < map.length; i++) if (map[i] === kind) g.fillRect(i % width, Math.floor(i / width), 1, 1);
    }
  }, [bars, width, dark]);
  return <canvas ref={canvas} role="img" aria-label={label} />;
}

