// The waterfall of a trace: mini-map, axis, and the rows in sight as a tree grid.
import { useEffect, useRef, useState } from 'preact/hooks';
import { scrollInto } from '../hot/rows';
import { nameOf, serviceOf, ticks, type Bars, type Waterfall } from '../hot/waterfall';
import { duration, plural } from '../lib/format';
import { serviceColour } from './chips';
import { useNarrow } from './grid';
import { rowHeight, Rows } from './rows';
import { SmallFall } from './smallfall';

export type View = [number, number]; // ns from the start of the trace

export function MiniMap({ w, view, onView }: { w: Bars; view: View; onView: (v: View | null) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const box = (): DOMRect => canvas.current!.getBoundingClientRect();
  const at = (e: PointerEvent): number => Math.max(0, Math.min(1, (e.clientX - box().left) / Math.max(1, box().width)));
  const end = (): void => {
    if (drag) onView(Math.abs(drag[1] - drag[0]) * box().width < 4 ? null : [Math.min(...drag) * w.total, Math.max(...drag) * w.total]);
    setDrag(null);
  };
  const shown = drag ? [Math.min(...drag), Math.max(...drag)] : [view[0] / (w.total || 1), view[1] / (w.total || 1)];
  return (
    <div class="mini">
      <SmallFall canvas={canvas} bars={w} label="All spans, small. Drag to zoom, Esc for all." title="Drag to zoom, click for all"
        onPointerDown={(e) => { canvas.current!.setPointerCapture(e.pointerId); setDrag([at(e), at(e)]); }} onPointerMove={(e) => drag && setDrag([drag[0], at(e)])} onPointerUp={end} onPointerCancel={() => setDrag(null)} />
      <div class="shade" style={{ left: 0, width: `${shown[0] * 100}%` }} />
      <div class="shade" style={{ right: 0, width: `${(1 - shown[1]) * 100}%` }} />
    </div>
  );
}

function Axis({ view }: { view: View }) {
  const span = view[1] - view[0], narrow = useNarrow();
  return (
    <div class="axis" aria-hidden="true">
      <span>Span</span>
      <div class="marks">{ticks(view[0], span * (narrow ? 0.7 : 0.92), narrow ? 2 : 5).map((t) => <span key={t} style={{ left: `${((t - view[0]) / (span || 1)) * 100}%` }}>{duration(t).replace(/\.0+(?= )/, '')}</span>)}</div>
    </div>
  );
}

interface RowProps {
  w: Waterfall;
  i: number;
  top: number;
  view: View;
  at: boolean;
  collapsed: boolean;
  found: boolean;
  path: boolean;
  onSelect: () => void;
  onToggle: () => void;
}

function Bar({ w, i, view, path }: RowProps) {
  const span = view[1] - view[0] || 1;
  const left = ((w.start[i] - view[0]) / span) * 100, wide = (w.duration[i] / span) * 100;
  const from = Math.max(0, left), to = Math.min(100, left + wide);
  if (left > 100 || left + wide < 0) return null;
  return (
    <>
      <span class={path ? 'bar-of path' : 'bar-of'} style={{ left: `${from}%`, width: `${to - from}%`, backgroundColor: `var(--${w.error[i] ? 'error-bar' : serviceColour(w.services[w.service[i]])})` }} />
      <span class="took" style={{ left: `${to}%` }}>{duration(w.duration[i])}</span>
    </>
  );
}

function Row(p: RowProps) {
  const { w, i } = p, service = serviceOf(w, i), parent = w.end[i] > i + 1;
  const below = p.collapsed ? ` ${plural(w.end[i] - i - 1, 'span')} hidden` : '';
  const hiddenErrors = p.collapsed && w.errorsBelow[i] > 0;
  return (
    <div class={`row${p.at ? ' at' : ''}${p.found ? ' found' : ''}`} role="row" id={`span-${i}`} aria-level={w.depth[i] + 1} aria-rowindex={i + 1} aria-selected={p.at}
      aria-expanded={parent ? !p.collapsed : undefined} style={{ top: `${p.top}px` }} onClick={p.onSelect}>
      <div class="label" role="gridcell" style={{ paddingLeft: `${Math.min(w.depth[i], 24) * 12}px` }}>
        {parent ? <span class="twist" aria-hidden="true" onClick={(e) => { e.stopPropagation(); p.onToggle(); }}>{p.collapsed ? '▶' : '▼'}</span> : <span class="twist none" />}
        <i class="dot" style={{ background: `var(--${serviceColour(service)})` }} aria-hidden="true" />
        {(w.error[i] === 1 || hiddenErrors) && <span class="mark" title={hiddenErrors ? 'An error below' : 'Error'}>!<span class="sr">{hiddenErrors ? 'error below ' : 'error '}</span></span>}
        <span class="name">{nameOf(w, i)}</span>
        <span class="of">{service}{w.missing[i] === 1 && ' · its parent never came'}{below}</span>
      </div>
      <div class="track" role="gridcell"><Bar {...p} /></div>
    </div>
  );
}

export function Fall({ w, rows, count, at, marks, path, collapsed, view, onView, onSelect, onToggle, position }: {
  w: Waterfall; rows: Int32Array; count: number; at: number; marks: Uint8Array; path: Float64Array | null; collapsed: Uint8Array; view: View;
  onView: (v: View | null) => void; onSelect: (i: number) => void; onToggle: (i: number) => void; position: number;
}) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const b = box.current!;
    if (at >= 0) b.scrollTop = scrollInto(b.scrollTop, b.clientHeight, rowHeight, position);
  }, [at, position, count]);
  return (
    <div class={path ? 'fall has-path' : 'fall'} style={{ maxHeight: `${Math.max(3, count) * rowHeight + 84}px` }}>
      <MiniMap w={w} view={view} onView={onView} />
      <Axis view={view} />
      <Rows count={count} box={box} role="treegrid" aria-label="Spans" aria-rowcount={w.n} aria-readonly="true" aria-activedescendant={at >= 0 && rows[position] === at ? `span-${at}` : undefined}
        row={(k, slot) => {
          const i = rows[k];
          return <Row key={slot} w={w} i={i} top={k * rowHeight} view={view} at={i === at} collapsed={collapsed[i] === 1} found={marks[i] === 1} path={path !== null && path[i] >= 0} onSelect={() => onSelect(i)} onToggle={() => onToggle(i)} />;
        }} />
    </div>
  );
}
