// The service map: who calls whom, how much and how well. A node opens what is known of it; the same as a list.
import { useMemo } from 'preact/hooks';
import { box, cut, draw, errorsOf, failingOf, foremost, healthOf, keyOf, reading, towards, worstFirst, type Drawing, type MapGraph, type MapNode } from '../hot/map';
import { useQuestion, type Services } from '../lib/api';
import { duration, percent, plural, rate } from '../lib/format';
import { focusBy, useKeys } from '../lib/keys';
import { useScreen } from '../lib/nav';
import { errorsLink, logsLink, map, serviceLink, serviceMetricsLink, tracesLink, type MapState } from '../lib/screens';
import { Dot } from '../ui/chips';
import { Calls, Facts, HealthOf, kinds, lineOf, marks, secondsOf } from '../ui/mapnode';
import { useMapView, ZoomButtons } from '../ui/mapview';
import { Empty, FailureNote, PartialNote, Progress } from '../ui/states';
import { TimePicker } from '../ui/time';

type Set_ = (some: Partial<MapState>, replace?: boolean) => void;

/** Names as boxes show them, with larger letters from afar; where two nodes have one name, with their environments. */
function namesOf(g: MapGraph, far: boolean): string[] {
  const count = new Map<string, number>();
  for (const n of g.nodes) count.set(n.name, (count.get(n.name) ?? 0) + 1);
  return g.nodes.map((n) => cut(count.get(n.name)! > 1 && n.environment ? `${n.name} in ${n.environment}` : n.name, far ? 14 : 22));
}
const subOf = (n: MapNode, seconds: number): string => (n.kind === 'service' ? lineOf(n, seconds) : `${n.kind} · ${lineOf(n, seconds)}`);
const told = (n: MapNode, seconds: number): string => `${n.name}: ${marks[healthOf(n)][1]}, ${subOf(n, seconds)}, in ${n.environment}`;
/** Nodes of several environments are shown, so it is told of which each is. */
const hasSeveral = (g: MapGraph): boolean => g.nodes.some((n) => n.environment !== g.nodes[0].environment);

/* ---- the drawing ---- */

function Box({ n, name, at, seconds, chosen, dim, open }: { n: MapNode; name: string; at: { x: number; y: number }; seconds: number; chosen: boolean; dim: boolean; open: () => void }) {
  const health = healthOf(n);
  return (
    <g class={`node ${n.kind} ${health}${chosen ? ' chosen' : ''}${dim ? ' dim' : ''}`} transform={`translate(${at.x} ${at.y})`} role="button" tabindex={chosen ? 0 : -1} aria-label={`${name} ${subOf(n, seconds)} (${marks[health][1]})`} aria-pressed={chosen}
      data-node={keyOf(n)} onClick={open} onKeyDown={(e) => { if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); open(); } }}>
      <title>{told(n, seconds)}</title>
      <rect width={box.width} height={box.height} rx={n.kind === 'database' ? 14 : n.kind === 'messaging' ? 2 : 6} />
      <text class="mark" x="10" y="19" aria-hidden="true">{marks[health][0]}</text>
      <text class="name" x="26" y="19">{name}</text>{' '}
      <text class="sub" x="26" y="36">{subOf(n, seconds)}</text>
    </g>
  );
}

function Lines({ g, d, near }: { g: MapGraph; d: Drawing; near: number }) {
  return (
    <g aria-hidden="true">
      {d.lines.map((l, i) => {
        const e = g.edges[i], of = near >= 0 && (e.client === near || e.server === near);
        return <path key={i} class={`edge ${healthOf(e)}${near >= 0 && !of ? ' dim' : ''}`} d={l.path} stroke-width={l.weight.toFixed(1)} marker-end={e.client === e.server ? undefined : 'url(#to)'} />;
      })}
      {near >= 0 && d.lines.map((l, i) => (g.edges[i].client === near || g.edges[i].server === near) && (
        <text key={`t${i}`} class="edgetext" x={l.x} y={l.y - 4} text-anchor="middle">{rate(g.edges[i].call_count / secondsOf(g))}/s{g.edges[i].error_count > 0 && ` · ${percent(g.edges[i].error_ratio)}`}</text>
      ))}
    </g>
  );
}

function Picture({ g, at, choose }: { g: MapGraph; at: number; choose: (i: number, replace?: boolean) => void }) {
  const d = useMemo(() => draw(g), [g]), { frame, view, far, zoom, fit, handlers } = useMapView(d, at < 0 ? foremost(g) : at), order = useMemo(() => reading(g), [g]), names = useMemo(() => namesOf(g, far), [g, far]);
  const seconds = secondsOf(g), near = new Set(at < 0 ? [] : g.edges.flatMap((e) => (e.client === at ? [e.server] : e.server === at ? [e.client] : [])));
  const step = (e: KeyboardEvent): void => {
    const way = ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] } as Record<string, [number, number]>)[e.key];
    if (!way || e.shiftKey) return;
    e.preventDefault();
    const next = at < 0 ? order[0] : towards(g, at, ...way);
    choose(next, at >= 0); // keys on their way leave no entries behind
    const boxes = (e.currentTarget as SVGSVGElement).querySelectorAll<SVGGElement>('[data-node]');
    boxes[next]?.focus();
  };
  return (
    <div class="mapframe">
      <svg ref={frame} class={far ? 'servicemap far' : 'servicemap'} viewBox={`${view.x} ${view.y} ${view.width} ${view.height}`} tabindex={at < 0 ? 0 : -1} role="application" aria-label={`Map of ${plural(g.nodes.length, 'node')} and ${plural(g.edges.length, 'edge')}: arrow keys go from one to the next; the same is shown as a list`} onKeyDown={step} {...handlers}>
        <defs><marker id="to" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 0L8 4L0 8z" /></marker></defs>
        <Lines g={g} d={d} near={at} />
        {g.nodes.map((n, i) => <Box key={keyOf(n)} n={n} name={names[i]} at={d.boxes[i]} seconds={seconds} chosen={i === at} dim={at >= 0 && i !== at && !near.has(i)} open={() => choose(i)} />)}
      </svg>
      <ZoomButtons zoom={zoom} fit={fit} />
    </div>
  );
}

/* ---- one node ---- */

function NodePanel({ g, at, state, set, choose }: { g: MapGraph; at: number; state: MapState; set: Set_; choose: (i: number) => void }) {
  const n = g.nodes[at], link = (i: number) => <button class="link" onClick={() => choose(i)}>{g.nodes[i].name}</button>, some = { start: state.start, end: state.end, environment: n.environment, service: n.name };
  return (
    <aside class="mappanel" aria-label={n.name}>
      <div class="head"><h2>{n.kind === 'service' && <Dot service={n.name} />}{n.name}</h2><button class="button quiet icon" aria-label="Close" onClick={() => set({ node: '' })}>×</button></div>
      <p><HealthOf n={n} /> <span class="muted">{kinds[n.kind]} {lineOf(n, secondsOf(g))}</span></p>
      <div class="mapacts">
        {n.kind === 'service' && <><a class="button main" href={serviceLink(some)}>Service</a><a class="button" href={tracesLink(some)}>Traces</a><a class="button" href={errorsLink(some)}>Errors</a><a class="button" href={logsLink(some)}>Logs</a><a class="button" href={serviceMetricsLink(n.name, n.namespace, { start: state.start, end: state.end })}>Metrics</a></>}
        {state.focus === n.name ? <button class="button" onClick={() => set({ focus: '' })}>Whole map</button> : <button class="button" onClick={() => set({ focus: n.name })}>What is near it</button>}
      </div>
      <Facts n={n} />
      <Calls title={n.kind === 'messaging' ? 'Published by' : 'Called by'} g={g} edges={g.edges.filter((e) => e.server === at && e.client !== at)} end="client" name={link} />
      <Calls title={n.kind === 'messaging' ? 'Taken by' : 'Calls'} g={g} edges={g.edges.filter((e) => e.client === at && e.server !== at)} end="server" name={link} />
    </aside>
  );
}

/* ---- the list ---- */

function List({ g, choose }: { g: MapGraph; choose: (i: number) => void }) {
  const seconds = secondsOf(g), several = hasSeveral(g), order = useMemo(() => worstFirst(g), [g]);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Nodes">
      <table class="table">
        <thead><tr><th scope="col">Node</th><th scope="col">Kind</th>{several && <th scope="col" class="hide-small">Environment</th>}<th scope="col">Health</th><th scope="col" class="num">Calls/s</th><th scope="col" class="num">Errors</th><th scope="col" class="num">p95</th><th scope="col" class="num hide-small">Callers</th><th scope="col" class="num hide-small">Callees</th></tr></thead>
        <tbody>
          {order.map((i) => {
            const n = g.nodes[i], { calls, ratio } = errorsOf(n);
            return (
              <tr key={keyOf(n)}>
                <th scope="row"><span class="who" title={n.name}><button class="link" onClick={() => choose(i)}>{n.name}</button></span></th>
                <td>{n.kind}</td>
                {several && <td class="muted hide-small">{n.environment}</td>}
                <td><HealthOf n={n} /></td>
                <td class="num">{rate(calls / seconds)}</td>
                <td class="num">{percent(ratio)}</td>
                <td class="num">{n.duration ? duration(n.duration.p95_ns) : '–'}</td>
                <td class="num hide-small">{g.edges.filter((e) => e.server === i && e.client !== i).length}</td>
                <td class="num hide-small">{g.edges.filter((e) => e.client === i && e.server !== i).length}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/* ---- the screen ---- */

function Find({ g, state, set, choose }: { g: MapGraph | null; state: MapState; set: Set_; choose: (i: number) => void }) {
  const find = (name: string): void => {
    const i = g ? g.nodes.findIndex((n) => n.name === name) : -1;
    if (i >= 0) choose(i);
    else if (name) set({ focus: name });
  };
  return (
    <>
      <input class="field" style={{ width: '15em' }} data-search="" type="search" list="nodes" aria-label="Find a node" placeholder="Find a service" onChange={(e) => find(e.currentTarget.value.trim())} />
      <datalist id="nodes">{g?.nodes.map((n) => <option key={keyOf(n)} value={n.name} />)}</datalist>
      {state.focus && (
        <span class="chip near"><span class="cut">near {state.focus}</span>
          <select class="field" style={{ width: 'auto' }} aria-label="How far" value={state.steps} onChange={(e) => set({ steps: e.currentTarget.value as MapState['steps'] })}>{(['1', '2', '3', '4'] as const).map((s) => <option key={s} value={s}>{plural(Number(s), 'step')}</option>)}</select>
          <button class="button quiet icon" aria-label="The whole map" onClick={() => set({ focus: '' })}>×</button>
        </span>
      )}
    </>
  );
}

export default function ServiceMap() {
  const [state, set] = useScreen(map);
  const graph = useQuestion<MapGraph>('/api/v1/topology/graph', { start: state.start, end: state.end, environment: state.environment, focus: state.focus, steps: state.focus ? state.steps : '' });
  const services = useQuestion<Services>('/api/v1/services', { start: 'now-30d' });
  const environments = [...new Set([...(services.data?.services ?? []).map((s) => s.environment), ...(state.environment ? [state.environment] : [])])].sort();
  const g = graph.data, at = g ? g.nodes.findIndex((n) => keyOf(n) === state.node) : -1;
  const choose = (i: number, replace = false): void => g ? set({ node: keyOf(g.nodes[i]) }, replace) : undefined;
  const failing = useMemo(() => (g ? failingOf(g) : []), [g]), next = (): void => failing.length ? choose(failing[(failing.indexOf(at) + 1) % failing.length], at >= 0) : undefined;
  const rows = (step: 1 | -1): void => focusBy('.scroll tbody th button', step); // of the list
  useKeys({ e: next, j: () => rows(1), k: () => rows(-1), escape: () => state.node && set({ node: '' }), v: () => set({ as: state.as === 'map' ? 'list' : 'map' }) });
  return (
    <>
      <Progress on={graph.busy} text="Drawing the map" stop={graph.stop} />
      <div class="head">
        <h1>Service map {g && g.nodes.length > 0 && <span class="muted">· {plural(g.nodes.length, 'node')}{failing.length > 0 && <>, <button class="link" title="The next of them (e)" onClick={next}>{failing.length} failing</button></>}</span>}</h1>
        <Find g={g} state={state} set={set} choose={choose} />
        {environments.length > 0 && (
          <select class="field" style={{ width: 'auto' }} aria-label="Environment" value={state.environment} onChange={(e) => set({ environment: e.currentTarget.value, node: '' })}>
            <option value="">All environments</option>
            {environments.map((e) => <option key={e} value={e}>{e}</option>)}
          </select>
        )}
        <div class="group" role="group" aria-label="Show as"><button class="button" aria-pressed={state.as === 'map'} onClick={() => set({ as: 'map' })}>Map</button><button class="button" aria-pressed={state.as === 'list'} title="Map or list (v)" onClick={() => set({ as: 'list' })}>List</button></div>
        <TimePicker range={state} onChange={set} refresh={graph.again} />
      </div>
      {graph.failure && <FailureNote failure={graph.failure} again={graph.again} />}
      {g && g.nodes.length === 0 && state.focus && <Empty title={`Nothing called ${state.focus} in this range`} actions={<><button class="button main" onClick={() => set({ focus: '' })}>The whole map</button><button class="button" onClick={() => set({ start: 'now-7d', end: '' })}>The last 7 days</button></>}>It sent no spans and nobody called it.</Empty>}
      <PartialNote of={g} />
      {g && g.left_out > 0 && !state.focus && <p class="muted">{plural(g.left_out, 'more node')} with fewer calls: find one to see what is near it.</p>}
      {g && g.nodes.length === 0 && !state.focus && <Empty title="No calls in this range of time" actions={<><button class="button main" onClick={() => set({ start: 'now-7d', end: '' })}>Look at the last 7 days</button><a class="button" href="/start">Send traces</a></>}>The map is made of spans: a service that calls another shows both.</Empty>}
      {g && g.nodes.length > 0 && (
        <div class={at >= 0 ? 'mapboth' : ''}>
          {state.as === 'map' ? <Picture g={g} at={at} choose={choose} /> : <List g={g} choose={choose} />}
          {at >= 0 && <NodePanel g={g} at={at} state={state} set={set} choose={choose} />}
        </div>
      )}
    </>
  );
}
