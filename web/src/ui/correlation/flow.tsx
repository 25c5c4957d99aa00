// The path that a request took, as a graph: who called whom, in what order, how often, how long it took and what failed.
import { useMemo } from 'preact/hooks';
import { box, cut, draw, reading, towards } from '../../hot/map';
import { useQuestion } from '../../lib/api';
import { paramsOf, pathOf, type Flow, type FlowEdge, type FlowNode } from '../../lib/correlation';
import { duration, plural } from '../../lib/format';
import { useKeys } from '../../lib/keys';
import { mapLink, serviceLink, type CorrelationsState, type Range } from '../../lib/screens';
import { parseInstant, sinceNs } from '../../lib/time';
import { Dot } from '../chips';
import { marks } from '../mapnode';
import { useMapView, ZoomButtons } from '../mapview';
import { Answer, PartialNote } from '../states';

type Set_ = (s: Partial<CorrelationsState>, replace?: boolean) => void;

const joins: Record<FlowEdge['join'], string> = { call: 'calls', link: 'links to', same_id: 'has the same id as' };
const keyOf = (n: FlowNode): string => [n.kind, n.name, n.operation ?? ''].map(encodeURIComponent).join('/');
const ratioOf = (n: FlowNode): number => (n.call_count > 0 ? n.call_error_count / n.call_count : n.span_count > 0 ? n.error_count / n.span_count : 0);
const healthOf = (n: FlowNode) => (n.call_count === 0 && n.span_count === 0 ? 'quiet' as const : ratioOf(n) > 0 ? 'failing' as const : 'healthy' as const);
const lineOf = (n: FlowNode): string => [plural(n.call_count, 'call'), ...(n.call_error_count ? [`${n.call_error_count} failed`] : []), ...(n.call_count ? [duration(n.mean_duration_ns)] : [])].join(' · ');
const titleOf = (n: FlowNode): string => (n.operation ? `${n.name}: ${n.operation}` : n.name);

/** Edges by when each was first gone: the number that stands at it. */
const orderOf = (g: Flow): number[] => {
  const at = g.edges.map((e, i) => ({ i, t: parseInstant(e.first_seen) })).sort((a, b) => sinceNs(b.t, a.t) || a.i - b.i), order: number[] = [];
  at.forEach(({ i }, k) => { order[i] = k + 1; });
  return order;
};

function Box({ n, most, at, chosen, dim, open }: { n: FlowNode; most: number; at: { x: number; y: number }; chosen: boolean; dim: boolean; open: () => void }) {
  const health = healthOf(n), word = health === 'quiet' ? 'of another id' : health === 'failing' ? 'with failed calls' : 'nothing failed';
  return (
    <g class={`node ${n.kind} ${health}${chosen ? ' chosen' : ''}${dim ? ' dim' : ''}`} transform={`translate(${at.x} ${at.y})`} role="button" tabindex={chosen ? 0 : -1} aria-label={`${cut(titleOf(n), most)} ${lineOf(n)} (${word})`} aria-pressed={chosen}
      data-node={keyOf(n)} onClick={open} onKeyDown={(e) => { if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); open(); } }}>
      <title>{`${titleOf(n)}: ${word}, ${lineOf(n)}`}</title>
      <rect width={box.width} height={box.height} rx={n.kind === 'database' ? 14 : n.kind === 'messaging' ? 2 : 6} />
      <text class="mark" x="10" y="19" aria-hidden="true">{marks[health][0]}</text>
      <text class="name" x="26" y="19">{cut(titleOf(n), most)}</text>{' '}
      <text class="sub" x="26" y="36">{lineOf(n)}</text>
    </g>
  );
}

function Picture({ g, at, choose }: { g: Flow; at: number; choose: (i: number) => void }) {
  const d = useMemo(() => draw(g), [g]), order = useMemo(() => orderOf(g), [g]), keys = useMemo(() => reading(g), [g]);
  const { frame, view, far, zoom, fit, handlers } = useMapView(d, at < 0 ? Math.max(0, g.nodes.findIndex((n) => healthOf(n) === 'failing')) : at);
  const near = new Set(at < 0 ? [] : g.edges.flatMap((e) => (e.client === at ? [e.server] : e.server === at ? [e.client] : [])));
  const key = (e: KeyboardEvent): void => {
    const way = ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] } as Record<string, [number, number]>)[e.key];
    if (!way || e.shiftKey) return;
    e.preventDefault();
    const next = at < 0 ? keys[0] : towards(g, at, ...way);
    choose(next);
    (e.currentTarget as SVGSVGElement).querySelectorAll<SVGGElement>('[data-node]')[next]?.focus();
  };
  return (
    <div class="mapframe">
      <svg ref={frame} class={far ? 'servicemap flow far' : 'servicemap flow'} viewBox={`${view.x} ${view.y} ${view.width} ${view.height}`} tabindex={at < 0 ? 0 : -1} role="application" aria-label={`Path through ${plural(g.nodes.length, 'node')}: arrow keys go from one to the next; the same is a table below`} onKeyDown={key} {...handlers}>
        <defs><marker id="to" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 0L8 4L0 8z" /></marker></defs>
        <g aria-hidden="true">
          {d.lines.map((l, i) => {
            const e = g.edges[i], dim = at >= 0 && e.client !== at && e.server !== at;
            return <path key={i} class={`edge ${e.join}${e.error_count > 0 ? ' failing' : ''}${dim ? ' dim' : ''}`} d={l.path} stroke-width={l.weight.toFixed(1)} marker-end={e.client === e.server ? undefined : 'url(#to)'} />;
          })}
          {d.lines.map((l, i) => {
            const e = g.edges[i];
            return <text key={`t${i}`} class={at >= 0 && e.client !== at && e.server !== at ? 'edgetext dim' : 'edgetext'} x={l.x} y={l.y - 4} text-anchor="middle">{`${order[i]}${e.join === 'call' && e.call_count > 1 ? ` ×${e.call_count}` : ''}${e.join === 'same_id' ? ' same id' : e.join === 'link' ? ' link' : ''}`}</text>;
          })}
        </g>
        {g.nodes.map((n, i) => <Box key={keyOf(n)} n={n} most={far ? 14 : 22} at={d.boxes[i]} chosen={i === at} dim={at >= 0 && i !== at && !near.has(i)} open={() => choose(i)} />)}
      </svg>
      <ZoomButtons zoom={zoom} fit={fit} />
    </div>
  );
}

/** The same in the order in which it happened. */
function Steps({ g, start, choose }: { g: Flow; start: string; choose: (i: number) => void }) {
  const order = useMemo(() => orderOf(g), [g]), first = parseInstant(start), by = g.edges.map((_, i) => i).sort((a, b) => order[a] - order[b]);
  const name = (i: number) => <button class="link" onClick={() => choose(i)}>{g.nodes[i].kind === 'service' && <Dot service={g.nodes[i].name} />}{titleOf(g.nodes[i])}</button>;
  if (by.length === 0) return null;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Steps">
      <table class="table">
        <thead><tr><th scope="col" class="num">Step</th><th scope="col" class="num hide-small">After</th><th scope="col">From</th><th scope="col">To</th><th scope="col" class="num">Calls</th><th scope="col" class="num">Failed</th><th scope="col" class="num hide-small">Mean</th><th scope="col" class="num hide-small">Longest</th></tr></thead>
        <tbody>
          {by.map((i) => {
            const e = g.edges[i], took = e.join === 'call';
            return (
              <tr key={i}>
                <td class="num">{order[i]}</td><td class="num hide-small">+{duration(Math.max(0, sinceNs(first, parseInstant(e.first_seen))))}</td><td>{name(e.client)}</td>
                <td>{e.join !== 'call' && <span class="muted">{joins[e.join]} </span>}{name(e.server)}</td><td class="num">{e.call_count}</td>
                <td class="num">{e.error_count > 0 ? <span class="bad">{e.error_count}</span> : <span class="muted">0</span>}</td>
                <td class="num hide-small">{took ? duration(e.mean_duration_ns) : '–'}</td><td class="num hide-small">{took ? duration(e.max_duration_ns) : '–'}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Panel({ n, range, state, close }: { n: FlowNode; range: Range; state: CorrelationsState; close: () => void }) {
  const facts: [string, string][] = [
    ['Called', plural(n.call_count, 'time')], ['Failed calls', n.call_error_count ? String(n.call_error_count) : ''], ['Mean', n.call_count ? duration(n.mean_duration_ns) : ''], ['Longest', n.call_count ? duration(n.max_duration_ns) : ''],
    ['Spans', n.span_count ? String(n.span_count) : ''], ['Failed spans', n.error_count ? String(n.error_count) : ''],
  ];
  return (
    <aside class="mappanel" aria-label={titleOf(n)}>
      <div class="head"><h2>{n.kind === 'service' && <Dot service={n.name} />}{titleOf(n)}</h2><button class="button quiet icon" aria-label="Close" onClick={close}>×</button></div>
      {n.kind !== 'service' && <p class="muted">{n.kind === 'peer' ? 'sends nothing itself' : n.kind}</p>}
      {n.span_count === 0 && n.kind === 'service' && <p class="muted">Its own spans have another id; it is here since it called one of this id.</p>}
      <dl class="pairs">{facts.filter(([, v]) => v).flatMap(([k, v]) => [<dt key={k}>{k}</dt>, <dd key={`${k}:`}>{v}</dd>])}</dl>
      <div class="mapacts">
        {n.kind === 'service' && <a class="button main" href={serviceLink({ ...range, service: n.name, environment: state.environment })}>Service</a>}
        <a class="button" href={mapLink({ ...range, focus: n.name, environment: state.environment })}>On the map</a>
        {n.kind === 'service' && <a class="button" href={`?${new URLSearchParams({ id: state.id, ...(state.encoded ? { encoded: state.encoded } : {}), ...(state.attribute ? { attribute: state.attribute, start: state.start, end: state.end } : {}), find: n.name })}`}>In the timeline</a>}
      </div>
    </aside>
  );
}

function Shown({ g, start, range, state, set }: { g: Flow; start: string; range: Range; state: CorrelationsState; set: Set_ }) {
  const at = g.nodes.findIndex((n) => keyOf(n) === state.row), choose = (i: number): void => set({ row: keyOf(g.nodes[i]) }, true);
  useKeys({ escape: () => set({ row: '' }, true) });
  return (
    <>
      <p class="muted">Numbers say in which order the calls began. {g.edges.some((e) => e.join === 'same_id') && 'Dashed: traces that only the id joins, by when they began. '}{g.spans_left_out > 0 && `${plural(g.spans_left_out, 'span')} of other services are left out.`}</p>
      <div class={at >= 0 ? 'mapboth' : ''}>
        <Picture g={g} at={at} choose={choose} />
        {at >= 0 && <Panel n={g.nodes[at]} range={range} state={state} close={() => set({ row: '' }, true)} />}
      </div>
      <Steps g={g} start={start} choose={choose} />
    </>
  );
}

/** `range`: around the request, for what leads on. */
export function FlowTab({ state, set, start, range }: { state: CorrelationsState; set: Set_; start: string; range: Range }) {
  const asked = useQuestion<Flow>(pathOf(state, '/flow'), paramsOf(state));
  return (
    <Answer asked={asked} wait="Finding its path">
      {(data) => <><PartialNote of={data} />{data.nodes.length === 0 ? <p class="muted">No span has this id, so there is no path.</p> : <Shown g={data} start={start} range={range} state={state} set={set} />}</>}
    </Answer>
  );
}
