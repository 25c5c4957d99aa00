// The frame in which a map is looked at, whichever map it is: the part in sight, moved and zoomed.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { first, readable, showing, whole, zoomed, type Drawing, type View } from '../hot/map';

/** Dragging moves, the wheel with Ctrl and two fingers zoom, keys go from node to node. */
export function useMapView(d: Drawing, node: number): { frame: (e: SVGSVGElement | null) => void; view: View; far: boolean; zoom: (by: number) => void; fit: () => void; handlers: Record<string, (e: never) => void> } {
  const svg = useRef<SVGSVGElement | null>(null), moved = useRef(false), pointers = useRef(new Map<number, { x: number; y: number }>());
  const [size, setSize] = useState({ width: 900, height: 560 });
  const [own, setOwn] = useState<View | null>(null);
  useLayoutEffect(() => {
    if (!svg.current) return undefined;
    const watch = new ResizeObserver(() => svg.current && setSize({ width: Math.max(1, svg.current.clientWidth), height: Math.max(1, svg.current.clientHeight) }));
    watch.observe(svg.current);
    return () => watch.disconnect();
  }, []);
  useEffect(() => setOwn(null), [d.width, d.height, size.width, size.height]);
  useEffect(() => { // who is chosen by keys or elsewhere on the screen is to be seen
    if (own && d.boxes[node]) setOwn(showing(own, d.boxes[node]));
  }, [node]);
  const view = own ?? first(d, size, node);
  const pointOf = (x: number, y: number): [number, number] => {
    const r = svg.current!.getBoundingClientRect();
    return [view.x + ((x - r.left) / r.width) * view.width, view.y + ((y - r.top) / r.height) * view.height];
  };
  const handlers = {
    onWheel: (e: WheelEvent) => {
      if (!e.ctrlKey && !e.metaKey) return;
      e.preventDefault();
      setOwn(zoomed(view, Math.exp(e.deltaY / 400), ...pointOf(e.clientX, e.clientY)));
    },
    onPointerDown: (e: PointerEvent) => {
      pointers.current.set(e.pointerId, { x: e.clientX, y: e.clientY });
      moved.current = false;
    },
    onPointerMove: (e: PointerEvent) => {
      const p = pointers.current, was = p.get(e.pointerId);
      if (!was || !svg.current) return;
      const dx = e.clientX - was.x, dy = e.clientY - was.y;
      if (!moved.current && Math.hypot(dx, dy) < 4) return;
      if (!moved.current) svg.current.setPointerCapture(e.pointerId);
      moved.current = true;
      const r = svg.current.getBoundingClientRect(), k = view.width / r.width;
      if (p.size === 2) {
        const [other] = [...p].filter(([id]) => id !== e.pointerId).map(([, o]) => o);
        const before = Math.hypot(was.x - other.x, was.y - other.y), now = Math.hypot(e.clientX - other.x, e.clientY - other.y);
        if (now > 0) setOwn(zoomed(view, before / now, ...pointOf((e.clientX + other.x) / 2, (e.clientY + other.y) / 2)));
      } else setOwn({ ...view, x: view.x - dx * k, y: view.y - dy * k });
      p.set(e.pointerId, { x: e.clientX, y: e.clientY });
    },
    onPointerUp: (e: PointerEvent) => pointers.current.delete(e.pointerId),
    onPointerCancel: (e: PointerEvent) => pointers.current.delete(e.pointerId),
    onClickCapture: (e: MouseEvent) => {
      if (moved.current) e.stopPropagation();
      moved.current = false;
    },
  };
  return { frame: (e) => { svg.current = e; }, view, far: view.width / size.width > readable * 1.2, zoom: (by) => setOwn(zoomed(view, by, view.x + view.width / 2, view.y + view.height / 2)), fit: () => setOwn(whole(d, size)), handlers: handlers as unknown as Record<string, (e: never) => void> };
}

export function ZoomButtons({ zoom, fit }: { zoom: (by: number) => void; fit: () => void }) {
  return (
    <div class="group mapzoom" role="group" aria-label="Size">
      <button class="button icon" aria-label="Farther" title="Farther" onClick={() => zoom(1.25)}>−</button>
      <button class="button" onClick={fit}>Fit</button>
      <button class="button icon" aria-label="Closer" title="Closer (Ctrl and the wheel)" onClick={() => zoom(0.8)}>+</button>
    </div>
  );
}
