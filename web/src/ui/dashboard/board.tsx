// The panels on their grid; in edit mode moved and resized by pointer and by keys.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Chosens, Doc, Panel } from '../../lib/dashboard';
import { columns, moved, settle, stepped, visible } from '../../lib/layout';
import type { Range } from '../../lib/screens';
import { useNarrow } from '../grid';
import { PanelFrame } from './panel';

const rowPx = 38; // 30 and a gap of 8, as Grafana has it

export interface Editing {
  layout: (panels: Panel[], what: string) => void;
  edit: (id: number) => void;
  copy: (id: number) => void;
  remove: (id: number) => void;
}

function RowHead({ p, turn, tools }: { p: Panel; turn?: () => void; tools?: preact.ComponentChildren }) {
  return (
    <div class="rowhead">
      <h2>{turn ? <button aria-expanded={!p.collapsed} onClick={turn}><span aria-hidden="true">{p.collapsed ? '▸' : '▾'}</span> {p.title || 'Row'}</button> : <span>{p.title || 'Row'}</span>}</h2>
      <span class="grow" />
      {tools}
    </div>
  );
}

/** Follows a pointer from where it went down; `move` gets columns and rows. */
function useDrag(board: { current: HTMLElement | null }, move: (dx: number, dy: number) => void, end: (done: boolean) => void) {
  return (e: PointerEvent): void => {
    if (e.button !== 0 || !board.current) return;
    e.preventDefault();
    getSelection()?.removeAllRanges(); // else the browser drags the selected text
    const wide = (board.current.clientWidth + 8) / columns, x0 = e.clientX, y0 = e.clientY, scroll0 = scrollY;
    const onMove = (m: PointerEvent): void => move(Math.round((m.clientX - x0) / wide), Math.round((m.clientY - y0 + scrollY - scroll0) / rowPx));
    const onEnd = (done: boolean) => (): void => {
      removeEventListener('pointermove', onMove);
      removeEventListener('pointerup', up);
      removeEventListener('pointercancel', cancel);
      removeEventListener('keydown', key, true);
      end(done);
    };
    const up = onEnd(true), cancel = onEnd(false);
    const key = (k: KeyboardEvent): void => { if (k.key === 'Escape') { k.stopPropagation(); cancel(); } };
    addEventListener('pointermove', onMove);
    addEventListener('pointerup', up);
    addEventListener('pointercancel', cancel);
    addEventListener('keydown', key, true);
  };
}

const whereIs = (p: Panel): string => `column ${p.x + 1}, row ${p.y + 1}, ${p.w} wide, ${p.h} high`;

function Tools({ p, board, panels, editing, preview, tell }: {
  p: Panel; board: { current: HTMLElement | null }; panels: Panel[]; editing: Editing; preview: (p: Panel[] | null) => void; tell: (text: string) => void;
}) {
  const name = p.title || (p.kind === 'row' ? 'row' : 'panel'), latest = useRef<Panel[]>(panels);
  const put = (next: Panel[], what: string): void => {
    const at = next.find((x) => x.id === p.id)!;
    editing.layout(next, what);
    tell(`${name}: ${whereIs(at)}`);
  };
  const drag = (resize: boolean) => useDrag(board, (dx, dy) => {
    // past the middle of a neighbour it changes places with it
    latest.current = moved(panels, p.id, resize ? { w: p.w + dx, h: p.h + dy } : { x: p.x + dx, y: p.y + dy + Math.sign(dy) * Math.floor(p.h / 2) });
    preview(latest.current);
  }, (done) => {
    preview(null);
    if (done && latest.current !== panels) put(latest.current, resize ? 'resize' : 'move');
  });
  const toMove = drag(false), toSize = drag(true);
  const onKey = (e: KeyboardEvent): void => {
    const way = ({ ArrowLeft: 'left', ArrowRight: 'right', ArrowUp: 'up', ArrowDown: 'down' } as const)[e.key as 'ArrowLeft'];
    if (!way || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    e.stopPropagation();
    const by = way === 'left' || way === 'up' ? -1 : 1;
    if (!e.shiftKey) put(stepped(panels, p.id, way), 'move');
    else if (p.kind !== 'row') put(moved(panels, p.id, way === 'left' || way === 'right' ? { w: p.w + by } : { h: p.h + by }), 'resize');
  };
  return (
    <span class="paneltools">
      <button class="handle" aria-label={`Move or resize ${name}: ${whereIs(p)}`} aria-describedby="layout-help" title="Drag; or arrow keys move, Shift and arrow keys resize" onPointerDown={toMove} onKeyDown={onKey}>⠿</button>
      <button title="Edit" aria-label={`Edit ${name}`} onClick={() => editing.edit(p.id)}>✎</button>
      <button title="Duplicate" aria-label={`Duplicate ${name}`} onClick={() => editing.copy(p.id)}><svg viewBox="0 0 16 16" width="13" height="13" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.5"><rect x="5.5" y="5.5" width="8" height="8" rx="1.5" /><path d="M10.5 3.5v-1h-8v8h1" /></svg></button>
      <button title="Remove" aria-label={`Remove ${name}`} onClick={() => editing.remove(p.id)}>×</button>
      {p.kind !== 'row' && <i class="corner" aria-hidden="true" onPointerDown={toSize} />}
    </span>
  );
}

export function Board({ doc, chosens, range, turn, zoom, editing, alone }: {
  doc: Doc; chosens: Chosens | null; range: Range; turn: number; zoom: { pick: (from: number, to: number) => void; out: () => void }; editing: Editing | null; alone?: (id: number) => void;
}) {
  const board = useRef<HTMLDivElement>(null);
  const narrow = useNarrow();
  const [dragged, setDragged] = useState<Panel[] | null>(null);
  const [spoken, setSpoken] = useState('');
  const [turned, setTurned] = useState<Record<number, boolean>>({}); // rows that were opened or closed by hand
  useEffect(() => setTurned({}), [doc.title]);
  const panels = dragged ?? (editing ? settle(doc.panels) : visible(doc.panels.map((p) => (p.kind === 'row' && turned[p.id] !== undefined ? { ...p, collapsed: turned[p.id] } : p))));
  // the elements stay in one order, so that one that is dragged is not made anew; they are placed by the grid
  const shown = narrow ? panels : [...panels].sort((a, b) => (editing ? a.id - b.id : a.y - b.y || a.x - b.x));
  return (
    <>
      <div class={`board${editing ? ' editing' : ''}${dragged ? ' dragging' : ''}`} ref={board}>
        {shown.map((p) => {
          const tools = editing && <Tools p={p} board={board} panels={settle(doc.panels)} editing={editing} preview={setDragged} tell={setSpoken} />;
          const place = narrow ? { minHeight: p.kind === 'row' ? '30px' : `${Math.max(4, p.h) * rowPx - 8}px`, ...(p.kind === 'row' ? {} : { height: `${Math.max(4, Math.min(p.h, 12)) * rowPx - 8}px` }) } : { gridColumn: `${p.x + 1} / span ${p.w}`, gridRow: `${p.y + 1} / span ${p.h}` };
          return (
            <div key={p.id} class="cell" style={place}>
              {p.kind === 'row' ? <RowHead p={p} turn={editing ? undefined : () => setTurned({ ...turned, [p.id]: !p.collapsed })} tools={tools} />
                : <PanelFrame p={p} chosens={chosens} range={range} title={doc.title} turn={turn} zoom={zoom} tools={tools} alone={alone && (() => alone(p.id))} />}
            </div>
          );
        })}
      </div>
      {editing && <p id="layout-help" class="sr">Arrow keys move it, Shift and arrow keys resize it.</p>}
      <div class="sr" role="status" data-spoken>{spoken}</div>
    </>
  );
}
