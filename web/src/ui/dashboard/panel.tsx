// One panel: its head, what it shows, and what went wrong in it, which stays within.
import type { ComponentChildren } from 'preact';
import type { Chosens, Panel } from '../../lib/dashboard';
import { fill } from '../../lib/dashboard';
import { readStep } from '../../lib/prom';
import { logsLink, metricsLink, tracesLink, type Range } from '../../lib/screens';
import { usePanel, useSeen, type PanelData } from './ask';
import { Body, Markdown, Unknown } from './kinds';

/** Where what a panel shows can be looked at more closely. */
function exploreLink(p: Panel, data: PanelData | null, chosens: Chosens | null, range: Range): { href: string; text: string } | null {
  const q = p.queries?.[0];
  if (!q || !data || !chosens) return null;
  const f = (t: string | undefined): string => { const is = fill(t ?? '', chosens, data.moment, false); return is === '.+' ? '' : is; };
  if (q.kind === 'logs') return { href: logsLink({ ...range, service: f(q.service), environment: f(q.environment), text: f(q.text), where: (q.where ?? []).map(f), severity: (q.severity ?? '') as '' }), text: 'Open in logs' };
  if (q.kind === 'traces') return { href: tracesLink({ ...range, service: f(q.service), environment: f(q.environment), operation: f(q.operation), status: (q.status ?? '') as '', text: f(q.text), where: (q.where ?? []).map(f), order: q.order === 'longest' ? 'longest' : 'newest', min_duration: f(q.min_duration), max_duration: f(q.max_duration) }), text: 'Open in traces' };
  const query = (p.queries ?? []).filter((x) => x.kind === 'promql' && x.expr).map((x) => fill(x.expr!, chosens, { ...data.moment, least: x.step ? (readStep(x.step) ?? 0) : 0 })).slice(0, 8);
  return query.length ? { href: metricsLink({ ...range, query }), text: 'Open in metrics' } : null;
}

export function PanelFrame({ p, chosens, range, title, turn, zoom, tools, always, alone }: {
  p: Panel; chosens: Chosens | null; range: Range; title: string; turn: number; zoom: { pick: (from: number, to: number) => void; out: () => void }; tools?: ComponentChildren; always?: boolean; alone?: () => void;
}) {
  const [see, seen, width] = useSeen();
  const { data, busy } = usePanel(p, chosens, range, title, turn, width, seen || always === true);
  const asks = p.kind !== 'text' && p.kind !== 'unknown', moment = data?.moment ?? { fromMs: 0, toMs: 0, step: 60, title };
  const name = chosens && p.title ? fill(p.title, chosens, moment, false) : (p.title ?? '');
  const link = tools ? null : exploreLink(p, data, chosens, range), several = data?.answers.length ?? 0;
  return (
    <section class={`panel kind-${p.kind}${busy ? ' busy' : ''}${name || tools ? '' : ' untitled'}`} ref={see} aria-label={name || 'Panel without a title'} data-panel={p.id}>
      <header>
        {(name || tools) && <h2 class="cut" title={p.description ? `${name}\n${p.description}` : name}>{name || <span class="muted">no title</span>}</h2>}
        {p.description && <span class="muted about" title={p.description} aria-label={`About: ${p.description}`} role="note">?</span>}
        <span class="grow" />
        {(data?.notes.length ?? 0) > 0 && <span class="muted about" title={data!.notes.join('\n')} role="note" aria-label={data!.notes.join('; ')}>!</span>}
        {alone && <button class="more-of" title="This panel alone, or all" aria-label={`Alone: ${name || 'panel'}`} onClick={alone}>⤢</button>}
        {link && <a class="more-of" href={link.href} title={link.text} aria-label={`${link.text}: ${name || 'panel'}`}>→</a>}
        {tools}
      </header>
      <div class="panelbody">
        {p.kind === 'text' && <Markdown text={chosens ? fill(p.text ?? '', chosens, moment, false) : (p.text ?? '')} />}
        {p.kind === 'unknown' && <Unknown p={p} />}
        {asks && data?.failure && <div class="panelerror" role="alert"><b>{data.failure.message}</b>{data.failure.hint && <span class="muted">{data.failure.hint}</span>}</div>}
        {asks && data && chosens && several > 0 && <Body p={p} data={data} chosens={chosens} range={range} zoom={zoom} />}
        {asks && data && several === 0 && !data.failure && <p class="panelnote muted">It asks nothing yet.</p>}
        {asks && !data && <p class="panelnote muted">{busy ? 'Asking …' : ''}</p>}
      </div>
    </section>
  );
}
