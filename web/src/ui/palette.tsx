// The command palette: every screen, service and setting, by a few letters; and a trace by its id.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { get, type Searches, type Services } from '../lib/api';
import { go } from '../lib/nav';
import { prefs, setPrefs } from '../lib/prefs';
import { cardinalityLink, correlationsLink, dashboardLink, dashboardsLink, errorsLink, homeLink, logsLink, mapLink, metricsLink, placeOf, propagationLink, rulesLink, searchLink, serviceLink, serviceMetricsLink, settingsLink, targetsLink, tracesLink, traceLink } from '../lib/screens';
import { copy } from './chips';

interface Command {
  name: string;
  hint: string;
  run: () => void;
}

const fixed = (help: () => void): Command[] => [
  { name: 'Overview: services, live', hint: 'g h', run: () => go(homeLink()) },
  { name: 'Service map', hint: 'g v', run: () => go(mapLink()) },
  { name: 'Errors', hint: 'g e', run: () => go(errorsLink()) },
  { name: 'Traces', hint: 'g t', run: () => go(tracesLink()) },
  { name: 'Traces with errors', hint: '', run: () => go(tracesLink({ status: 'error' })) },
  { name: 'Slowest traces', hint: '', run: () => go(tracesLink({ order: 'longest' })) },
  { name: 'Correlations: requests by their ids', hint: 'g c', run: () => go(correlationsLink()) },
  { name: 'Correlations with errors', hint: '', run: () => go(correlationsLink({ errors: true })) },
  { name: 'Correlation health: who drops the context', hint: 'g p', run: () => go(propagationLink()) },
  { name: 'Logs', hint: 'g l', run: () => go(logsLink()) },
  { name: 'Logs: errors', hint: '', run: () => go(logsLink({ severity: 'error' })) },
  { name: 'Logs by severity', hint: '', run: () => go(logsLink({ by: 'severity' })) },
  { name: 'Metrics', hint: 'g m', run: () => go(metricsLink()) },
  { name: 'Dashboards', hint: 'g d', run: () => go(dashboardsLink()) },
  { name: 'Metrics: cardinality', hint: '', run: () => go(cardinalityLink()) },
  { name: 'Targets: what is scraped', hint: 'g a', run: () => go(targetsLink()) },
  { name: 'Targets that are down', hint: '', run: () => go(targetsLink({ state: 'down' })) },
  { name: 'Rules and alerts', hint: 'g r', run: () => go(rulesLink()) },
  { name: 'New group of rules', hint: '', run: () => go(rulesLink({ edit: 'new' })) },
  { name: 'Traces by operation', hint: '', run: () => go(tracesLink({ by: 'operation' })) },
  { name: 'Services, compared with the hour before', hint: '', run: () => go(homeLink({ compare: true })) },
  { name: 'Getting started', hint: 'g s', run: () => go('/start') },
  { name: 'Settings: health', hint: 'g ,', run: () => go(settingsLink()) },
  { name: 'Settings: storage use', hint: '', run: () => go(settingsLink({ section: 'storage' })) },
  { name: 'Settings: retention', hint: '', run: () => go(settingsLink({ section: 'retention' })) },
  { name: 'Settings: tokens', hint: '', run: () => go(settingsLink({ section: 'tokens' })) },
  { name: 'The API to read', hint: '/docs', run: () => location.assign('/docs') },
  { name: 'Copy link to this view', hint: 'y', run: () => copy(location.href) },
  { name: 'Theme: light', hint: '', run: () => setPrefs({ theme: 'light' }) },
  { name: 'Theme: dark', hint: '', run: () => setPrefs({ theme: 'dark' }) },
  { name: 'Theme: as the system', hint: '', run: () => setPrefs({ theme: 'system' }) },
  { name: `Times: ${prefs.zone === 'utc' ? 'local' : 'UTC'}`, hint: '', run: () => setPrefs({ zone: prefs.zone === 'utc' ? 'local' : 'utc' }) },
  { name: 'Keys', hint: '?', run: help },
];

function serviceCommands(found: Services): Command[] {
  const names = [...new Set(found.services.map((s) => s.name))];
  return names.flatMap((name) => [
    { name: `Service ${name}`, hint: 'service', run: () => go(serviceLink({ service: name })) },
    { name: `Traces of ${name}`, hint: 'service', run: () => go(tracesLink({ service: name })) },
    { name: `Logs of ${name}`, hint: 'service', run: () => go(logsLink({ service: name })) },
    { name: `Metrics of ${name}`, hint: 'service', run: () => go(serviceMetricsLink(name, null)) },
  ]);
}

const searchCommands = (found: Searches): Command[] =>
  found.searches.map((s) => ({ name: `Search: ${s.name}`, hint: `saved, ${s.screen}`, run: () => go(searchLink(s)) }));

const dashboardCommands = (found: { dashboards: { id: string; name: string }[] }): Command[] =>
  found.dashboards.map((d) => ({ name: `Dashboard: ${d.name}`, hint: '', run: () => go(dashboardLink(d.id)) }));

/** What was typed as it is, best at its beginning or a word's; else all letters in order: the closer together and the earlier, the better. -1: not in it. */
export function score(name: string, typed: string): number {
  const text = name.toLowerCase(), whole = text.indexOf(typed.toLowerCase().trim());
  if (whole >= 0) return (whole === 0 ? 0 : text[whole - 1] === ' ' ? 0.3 : 0.6) + whole / 10_000;
  let at = -1, total = 0;
  for (const c of typed.toLowerCase().replace(/\s+/g, '')) {
    const next = text.indexOf(c, at + 1);
    if (next < 0) return -1;
    total += next - at - 1 + (next === 0 || text[next - 1] === ' ' ? -1 : 0);
    at = next;
  }
  return total + 2;
}

function matching(all: Command[], typed: string): Command[] {
  const id = /[0-9a-f]{32}/i.exec(typed)?.[0].toLowerCase();
  const found = typed.trim() === '' ? all : all.map((c) => ({ c, s: score(c.name, typed) })).filter((x) => x.s >= 0).sort((a, b) => a.s - b.s).map((x) => x.c);
  const first: Command[] = id ? [{ name: `Open trace ${id}`, hint: 'id', run: () => go(traceLink(id)) }] : [];
  if (typed.trim().length > 2) found.push({ name: `Correlation “${typed.trim()}”`, hint: 'id', run: () => go(correlationsLink({ id: typed.trim() })) });
  if (!id && typed.trim().length > 2) found.push({ name: `Search logs for “${typed.trim()}”`, hint: '', run: () => go(logsLink({ text: typed.trim() })) });
  return [...first, ...found].slice(0, 60);
}

export function Palette({ close, help }: { close: () => void; help: () => void }) {
  const [typed, setTyped] = useState('');
  const [at, setAt] = useState(0);
  const [services, setServices] = useState<Command[]>([]);
  const [searches, setSearches] = useState<Command[]>([]);
  const [dashboards, setDashboards] = useState<Command[]>([]);
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []); // before the next key is pressed
  useEffect(() => {
    if (placeOf(location.pathname)?.screen === 'login') return;
    get<Services>('/api/v1/services', { start: 'now-24h' }).then((s) => setServices(serviceCommands(s)), () => undefined);
    get<{ dashboards: { id: string; name: string }[] }>('/api/v1/dashboards').then((d) => setDashboards(dashboardCommands(d)), () => undefined);
    get<Searches>('/api/v1/searches').then((s) => setSearches(searchCommands(s)), () => undefined);
  }, []);
  const shown = matching([...fixed(help), ...searches, ...dashboards, ...services], typed);
  const run = (c: Command | undefined): void => {
    close();
    c?.run();
  };
  const move = (to: number): void => {
    setAt(to);
    document.getElementById(`command-${to}`)?.scrollIntoView({ block: 'nearest' });
  };
  const onKey = (e: KeyboardEvent): void => {
    if (e.key === 'ArrowDown') move(Math.min(shown.length - 1, at + 1));
    else if (e.key === 'ArrowUp') move(Math.max(0, at - 1));
    else if (e.key === 'Enter') run(shown[at]);
    else return;
    e.preventDefault();
  };
  return (
    <dialog class="palette" ref={dialog} aria-label="Commands" onClose={close} onClick={(e) => e.target === dialog.current && close()}>
      <input role="combobox" aria-expanded="true" aria-controls="commands" aria-activedescendant={`command-${at}`} aria-label="Command, service or trace id" autocomplete="off"
        spellcheck={false} autofocus placeholder="Command, service, trace id …" value={typed} onKeyDown={onKey} onInput={(e) => { setTyped(e.currentTarget.value); setAt(0); }} />
      <ul role="listbox" id="commands" aria-label="Commands">
        {shown.map((c, i) => (
          <li role="option" id={`command-${i}`} key={c.name} aria-selected={i === at} onMouseMove={() => i !== at && setAt(i)} onClick={() => run(c)}>
            <span class="cut">{c.name}</span>
            <span class="muted">{c.hint}</span>
          </li>
        ))}
      </ul>
    </dialog>
  );
}

const keyTable: [string, string][] = [
  ['Ctrl K', 'commands, services, a trace by its id'], ['g h · g v · g e · g t · g c · g p · g l · g m · g a · g d · g r · g s · g ,', 'overview, service map, errors, traces, correlations, their health, logs, metrics, targets, dashboards, rules, getting started, settings'], ['/', 'to the search field'], ['! · Delete', 'negate, remove a condition'],
  ['j k · ↓ ↑', 'next, previous row'], ['Enter', 'open the row'], ['Esc', 'close, or zoom out'], ['t', 'range of time'], ['Shift ← →', 'earlier, later'], ['z', 'out of a zoom'],
  ['b', 'compare with the period before'], ['c · u', 'columns of logs; back from the context of a record'], ['Space', 'pause, go on (live tail, targets)'],
  ['e · Ctrl Z · Ctrl S', 'edit a dashboard; undo, save; arrow keys on a panel’s handle move it, with Shift resize it'], ['f · a · v · x', 'find a metric; add a query; chart or table; exemplars (metrics)'], ['Ctrl Space', 'what can stand here (query)'], ['n · Ctrl S · Ctrl Enter', 'a new group; save it; test it (rules)'],
  ['r', 'ask again'], ['e · n p', 'next error of a trace, next failing service of the map; next, previous'], ['← →', 'collapse, expand a span; the values of a chart, one by one'], ['[ ]', 'collapse, expand all'], ['x', 'compare the trace of the row with that of another (traces)'], ['1 2 3 4', 'timeline, traces, logs, flow of a correlation; v the next of them'], ['c', 'critical path (trace)'], ['v', 'tree, table, operations, analysis of a trace'],
  ['y', 'copy the link to this view'], ['?', 'these keys'],
];

export function Help({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [keys, setKeys] = useState(prefs.keys);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="help-title" onClose={close} onClick={(e) => e.target === dialog.current && close()}>
      <div class="help">
        <h2 id="help-title">Keys</h2>
        <dl>
          {keyTable.flatMap(([k, what]) => [
            <dt key={k}>{k.split(' · ').map((part, i) => <span key={part}>{i > 0 && ' · '}{part.split(' ').map((one) => <kbd key={one}>{one}</kbd>)}</span>)}</dt>,
            <dd key={`${k} is`}>{what}</dd>,
          ])}
        </dl>
        <label>
          <input type="checkbox" checked={keys} onChange={(e) => { setKeys(e.currentTarget.checked); setPrefs({ keys: e.currentTarget.checked }); }} /> Keys of one letter do something
        </label>
        <div><button class="button" onClick={close}>Close</button></div>
      </div>
    </dialog>
  );
}
