// What is told of a node of the service map, wherever it is: how well it does, who calls it and whom it calls, what its resources say.
import type { ComponentChildren } from 'preact';
import { errorsOf, healthOf, type Health, type MapEdge, type MapGraph, type MapNode } from '../hot/map';
import { duration, grouped, percent, rate } from '../lib/format';
import { usePrefs } from '../lib/prefs';
import { parseMs, rangeMs, showTime } from '../lib/time';

export const marks: Record<Health, [string, string]> = { failing: ['▲', 'failing'], degraded: ['◆', 'degraded'], healthy: ['●', 'healthy'], quiet: ['○', 'not called'] };
export const kinds: Record<MapNode['kind'], string> = { service: '', database: 'database', messaging: 'messaging', peer: 'sends nothing itself' };

export const secondsOf = (g: MapGraph): number => {
  const [from, to] = rangeMs({ start: g.range.start, end: g.range.end ?? '' }, Date.now());
  return Math.max(1, (to - from) / 1000);
};
export const lineOf = (n: MapNode, seconds: number): string => {
  const { calls, ratio } = errorsOf(n);
  return [`${rate(calls / seconds)}/s`, ...(ratio > 0 ? [percent(ratio)] : []), ...(n.duration ? [`p95 ${duration(n.duration.p95_ns)}`] : [])].join(' · ');
};
/** Colour and shape, and the word. */
export function HealthOf({ n }: { n: MapNode }) {
  const health = healthOf(n);
  return <span class={`health ${health}`}><span aria-hidden="true">{marks[health][0]}</span> {marks[health][1]}</span>;
}

/** Edges of one node, by whom they lead to; `name` makes what stands for it. */
export function Calls({ title, g, edges, end, name }: { title: string; g: MapGraph; edges: MapEdge[]; end: 'client' | 'server'; name: (i: number) => ComponentChildren }) {
  if (edges.length === 0) return null;
  const seconds = secondsOf(g);
  return (
    <table class="table">
      <caption>{title}</caption>
      <thead><tr><th scope="col">{end === 'client' ? 'Caller' : 'Callee'}</th><th scope="col" class="num">Calls/s</th><th scope="col" class="num">Errors</th><th scope="col" class="num">p95</th></tr></thead>
      <tbody>
        {edges.map((e) => {
          const seen = end === 'client' ? (e.server_duration ?? e.client_duration) : (e.client_duration ?? e.server_duration);
          return (
            <tr key={`${e.client} ${e.server}`}>
              <td>{name(e[end])}</td>
              <td class="num">{rate(e.call_count / seconds)}</td>
              <td class="num">{e.error_count > 0 ? <span class="bad">{percent(e.error_ratio)}</span> : <span class="muted">0%</span>}</td>
              <td class="num">{seen ? duration(seen.p95_ns) : '–'}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

export function Facts({ n }: { n: MapNode }) {
  const { zone } = usePrefs();
  const facts: [string, string][] = [
    ['Environment', n.environment], ['Namespace', n.namespace], ['Language', n.language ?? ''], ['Version', n.versions.join(', ') + (n.versions_truncated ? ', …' : '')],
    ['Instances', n.instance_count ? grouped(n.instance_count) : ''], ['Last seen', showTime(parseMs(n.last_seen), zone)],
  ];
  return <dl class="pairs">{facts.filter(([, v]) => v).flatMap(([k, v]) => [<dt key={k}>{k}</dt>, <dd key={`${k}:`}>{v}</dd>])}</dl>;
}
