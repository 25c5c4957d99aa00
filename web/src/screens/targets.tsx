// Targets: what clew scrapes, what is down first and why, labels before and after relabelling, and what is wrong with the file that names them.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Failure } from '../lib/api';
import { duration, grouped, plural } from '../lib/format';
import { useKeys } from '../lib/keys';
import { useScreen } from '../lib/nav';
import { askProm, type InstantRow, type Labels } from '../lib/prom';
import { writeSelector } from '../lib/promql';
import { metricsLink, targets, type TargetsState } from '../lib/screens';
import { agoOf, changesOf, countsOf, firstCommands, firstConfig, keyOf, pairsOf, poolsOf, readNotification, samplesOf, type Change, type Notification, type Pool, type Target, type TargetHealth, type TargetsAnswer } from '../lib/targets';
import { Snippet } from '../ui/settings/parts';
import { Empty, FailureNote, Progress } from '../ui/states';

const againMs = 5000, rowsShown = 100, poolsShown = 100;
type Set_ = (some: Partial<TargetsState>, replace?: boolean) => void;

/* ---- asking ---- */

interface Answered {
  of: TargetsAnswer;
  notifications: Notification[];
  samples: Map<string, number>;
  at: number; // ms, by this machine's clock
}
/** The last answer, which a failed question leaves as it is. The next question waits for the answer, and for somebody to look at it. */
function useTargets(paused: boolean): { answer: Answered | null; failure: Failure | null; again: () => void } {
  const [answer, setAnswer] = useState<Answered | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [turn, setTurn] = useState(0);
  const asked = useRef(-1);
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      if (asked.current === turn && document.hidden) return;
      asked.current = turn;
      const side = <T,>(path: string, params: Record<string, string>, none: T): Promise<T> => askProm<T>(path, params, stop.signal).then((e) => e.data, () => none);
      try {
        const [{ data: of }, notifications, samples] = await Promise.all([
          askProm<TargetsAnswer>('/targets', {}, stop.signal), side<Notification[]>('/notifications', {}, []),
          side<{ result: InstantRow[] }>('/query', { query: 'scrape_samples_scraped' }, { result: [] }),
        ]);
        if (stop.signal.aborted) return;
        setAnswer({ of, notifications, samples: samplesOf(samples.result), at: Date.now() });
        setFailure(null);
      } catch (e) {
        if (stop.signal.aborted) return;
        setFailure(e instanceof Failure ? e : new Failure(0, 'internal', (e as Error).message, 'This is a fault of the page.'));
      }
      if (!paused) timer = setTimeout(() => void ask(), againMs);
    };
    const seen = (): void => {
      if (document.hidden || paused) return;
      clearTimeout(timer);
      void ask();
    };
    if (!paused || asked.current !== turn) void ask();
    document.addEventListener('visibilitychange', seen);
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }, [turn, paused]);
  return { answer, failure, again: () => setTurn((n) => n + 1) };
}

/* ---- one target ---- */

const health: Record<TargetHealth, [string, string]> = { down: ['tag error', '▼'], unknown: ['tag', '○'], up: ['tag good', '▲'] };
const healthText: Record<TargetHealth, string> = { down: 'down', unknown: 'not asked yet', up: 'up' };
const Tag = ({ of, n }: { of: TargetHealth; n?: number }) => <span class={health[of][0]}><span aria-hidden="true">{health[of][1]}</span>{n === undefined ? healthText[of] : `${grouped(n)} ${of}`}</span>;

const showPairs = (l: Labels): string => pairsOf(l).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(', ');
const kinds: Record<Change['kind'], string> = { same: '', changed: 'changed', made: 'made', gone: 'not kept' };

function LabelTable({ of, name }: { of: Target; name: string }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`Labels of ${name}`}>
      <table class="table relabelled">
        <thead><tr><th>Label</th><th>Discovered</th><th>Final</th><th>Relabelling</th></tr></thead>
        <tbody>
          {changesOf(of.discoveredLabels, of.labels).map((c) => (
            <tr key={c.name}>
              <th scope="row" class="mono">{c.name}</th>
              <td class="mono">{c.found ?? <span class="muted">–</span>}</td>
              <td class={c.kind === 'changed' || c.kind === 'made' ? 'mono strong' : 'mono'}>{c.final ?? <span class="muted">–</span>}</td>
              <td class="muted">{kinds[c.kind]}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function TargetRows({ of, id, samples, at, open, toggle }: { of: Target; id: string; samples: number | undefined; at: number; open: boolean; toggle: () => void }) {
  const ago = agoOf(of.lastScrape, at), selector = writeSelector('', pairsOf(of.labels).map(([label, value]) => ({ label, op: '=' as const, value })));
  return (
    <>
      <tr>
        <td><Tag of={of.health} /></td>
        <th scope="row">
          <span class="mono url">{of.scrapeUrl}</span>
          <span class="mono labels-of">{showPairs(of.labels)}</span>
          {of.lastError && <span class="wrong">{of.lastError}</span>}
        </th>
        <td class="num" data-name="last"><span title={ago === null ? undefined : of.lastScrape}>{ago ?? 'never'}</span><span class="muted every">every {of.scrapeInterval}</span></td>
        <td class="num" data-name="took" title={`May take ${of.scrapeTimeout}`}>{ago === null ? '' : duration(of.lastScrapeDuration * 1e9)}</td>
        <td class="num" data-name="samples">{samples !== undefined && of.health === 'up' && <a href={metricsLink({ start: 'now-15m', match: selector })} aria-label={`${plural(samples, 'sample')}: look at its metrics`}>{grouped(samples)}</a>}</td>
        <td class="acts-of"><button class="link" data-target="" aria-expanded={open} aria-controls={open ? id : undefined} aria-label={`Labels of ${of.scrapeUrl}`} onClick={toggle}>Labels <span aria-hidden="true">{open ? '▾' : '▸'}</span></button></td>
      </tr>
      {open && <tr class="labelrow" id={id}><td colSpan={6}><LabelTable of={of} name={of.scrapeUrl} /></td></tr>}
    </>
  );
}

/* ---- a pool ---- */

function DroppedList({ of }: { of: Pool }) {
  const [whole, setWhole] = useState(false);
  if (of.dropped.length === 0) return null;
  const shown = whole ? of.dropped : of.dropped.slice(0, rowsShown), unkept = of.droppedCount - of.dropped.length;
  return (
    <details class="droppedlist">
      <summary>{plural(of.dropped.length, 'target')} dropped by relabelling</summary>
      <ul>{shown.map((d, i) => <li key={`${i} ${d.discoveredLabels.__address__}`} class="mono"><b>{d.discoveredLabels.__address__ ?? ''}</b> <span class="muted">{showPairs(d.discoveredLabels)}</span></li>)}</ul>
      {shown.length < of.dropped.length && <button class="button" onClick={() => setWhole(true)}>Show all {grouped(of.dropped.length)}</button>}
      {unkept > 0 && <p class="muted">And {grouped(unkept)} more that are not listed here.</p>}
    </details>
  );
}

function PoolBox({ of, answer, few, open, toggle }: { of: Pool; answer: Answered; few: boolean; open: ReadonlySet<string>; toggle: (key: string) => void }) {
  const bad = of.of.down > 0;
  const [isOpen, setOpen] = useState(few || bad);
  const [whole, setWhole] = useState(false);
  useEffect(() => {
    if (bad) setOpen(true); // it never closes by itself: somebody may read there
  }, [bad]);
  const shown = whole ? of.targets : of.targets.slice(0, rowsShown), none = of.of.down + of.of.unknown + of.of.up === 0;
  return (
    <details class="rulegroup pool" open={isOpen} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>
        <span class="strong">{of.name}</span>
        {(['down', 'unknown', 'up'] as const).map((h) => of.of[h] > 0 && <Tag key={h} of={h} n={of.of[h]} />)}
        {none && <span class="muted">no targets</span>}
        <span class="grow" />
        {of.droppedCount > 0 && <span class="muted">{grouped(of.droppedCount)} dropped</span>}
      </summary>
      {isOpen && (
        <>
          {none && of.dropped.length === 0 && <p class="muted">Nothing that it could ask was discovered. A target that it could not make use of is named in clew's log.</p>}
          {shown.length > 0 && (
            <div class="scroll" tabIndex={0} role="region" aria-label={`Targets of ${of.name}`}>
              <table class="table targettable">
                <thead><tr><th>State</th><th>Target</th><th class="num">Last scrape</th><th class="num">Took</th><th class="num">Samples</th><th><span class="sr">Labels</span></th></tr></thead>
                <tbody>
                  {shown.map((t) => {
                    const key = `${of.name} ${t.scrapeUrl} ${keyOf(t.labels)}`;
                    return <TargetRows key={key} of={t} id={`labels ${key}`.replace(/\s/g, '-')} samples={answer.samples.get(keyOf(t.labels))} at={answer.at} open={open.has(key)} toggle={() => toggle(key)} />;
                  })}
                </tbody>
              </table>
            </div>
          )}
          {shown.length < of.targets.length && <div class="more"><button class="button" onClick={() => setWhole(true)}>Show all {plural(of.targets.length, 'target')}</button></div>}
          <DroppedList of={of} />
        </>
      )}
    </details>
  );
}

/* ---- the screen ---- */

function Note({ of }: { of: Notification }) {
  const none = /^Job .* cannot be scraped/.test(of.text), { what, places } = none ? { what: of.text, places: [] } : readNotification(of.text), failed = !none && /failed/.test(what);
  return (
    <div class={failed ? 'note error' : 'note warn'} role="alert">
      <div class="grow">
        <b>{what}</b>
        {places.length > 0 && <ul class="problems">{places.map((p) => <li key={`${p.file} ${p.line} ${p.message}`}><b class="mono">{p.file}, line {p.line}</b>: {p.message}</li>)}</ul>}
        <div class="muted">{none ? 'The others are scraped. What makes it none comes from its discovery, or from relabel_configs.' : <>{failed ? 'What was good before still runs. ' : 'The rest runs. '}The file is looked at every five seconds; <code>clew scrape check</code> says the same of it before.</>}</div>
      </div>
    </div>
  );
}

function Nothing() {
  return (
    <>
      <Empty title="Nothing is scraped">clew can ask targets for their metrics as Prometheus does, by the <code>prometheus.yml</code> that you may have already. It asks for the tenant <code>default</code>, and only that tenant sees its targets.</Empty>
      <div class="narrow">
        <h2>A file to begin with</h2>
        <Snippet text={firstConfig} label="prometheus.yml" />
        <h2>Check it, and start clew with it</h2>
        <Snippet text={firstCommands} label="Commands" />
      </div>
    </>
  );
}

function Filters({ of, state, set, shown }: { of: TargetsAnswer; state: TargetsState; set: Set_; shown: number }) {
  const inPool = of.activeTargets.filter((t) => state.pool === '' || t.scrapePool === state.pool), counts = countsOf(inPool);
  const names = [...new Set([...Object.keys(of.droppedTargetCounts), ...of.activeTargets.map((t) => t.scrapePool)])].sort();
  const choices: [TargetsState['state'], string, number][] = [['all', 'All', inPool.length], ['down', '▼ Down', counts.down], ['unknown', '○ Unknown', counts.unknown], ['up', '▲ Up', counts.up]];
  return (
    <div class="head targetfilters">
      <div class="group" role="group" aria-label="State">{choices.map(([v, name, n]) => <button key={v} class="button" aria-pressed={state.state === v} onClick={() => set({ state: v })}>{name} <span class={v === 'down' && n > 0 ? 'bad' : 'muted'}>{grouped(n)}</span></button>)}</div>
      <select class="field short" aria-label="Job" value={state.pool} onChange={(e) => set({ pool: e.currentTarget.value })}>
        <option value="">All jobs</option>
        {state.pool !== '' && !names.includes(state.pool) && <option value={state.pool}>{state.pool}</option>}
        {names.map((n) => <option key={n} value={n}>{n}</option>)}
      </select>
      <input class="field short" aria-label="Find a target" data-search="" placeholder="Address, label, error" value={state.find} spellcheck={false} autocomplete="off" onInput={(e) => set({ find: e.currentTarget.value }, true)} />
      <span class="muted" role="status">{plural(shown, 'target')}</span>
    </div>
  );
}

/** Moves the focus from one target to the next; Enter opens its labels, since it is a button. */
function moveBy(step: number): void {
  const all = [...document.querySelectorAll<HTMLElement>('[data-target]')], at = all.indexOf(document.activeElement as HTMLElement);
  const to = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))];
  to?.focus();
  to?.closest('tr')?.scrollIntoView({ block: 'nearest' });
}

export default function Targets() {
  const [state, set] = useScreen(targets);
  const { answer, failure, again } = useTargets(state.paused);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const toggle = (key: string): void => setOpen((old) => new Set(old.has(key) ? [...old].filter((k) => k !== key) : [...old, key]));
  const pause = (): void => set({ paused: !state.paused }, true);
  useKeys({ r: again, ' ': pause, j: () => moveBy(1), k: () => moveBy(-1), arrowdown: () => moveBy(1), arrowup: () => moveBy(-1) });
  const pools = useMemo(() => (answer ? poolsOf(answer.of, state) : []), [answer, state.state, state.pool, state.find]);
  const nothing = answer && answer.of.activeTargets.length === 0 && Object.keys(answer.of.droppedTargetCounts).length === 0;
  return (
    <>
      <Progress on={!answer && !failure} text="Asking for the targets" />
      <div class="head">
        <h1>Targets</h1>
        <button class="button" aria-pressed={state.paused} title="Space" onClick={pause}>{state.paused ? 'Go on' : 'Pause'}</button>
        <button class="button icon" aria-label="Refresh" title="Refresh (r)" onClick={again}>↻</button>
      </div>
      {answer?.notifications.filter((n) => n.active).map((n) => <Note key={n.text} of={n} />)}
      {failure && <FailureNote failure={failure} again={again} />}
      {nothing && <Nothing />}
      {answer && !nothing && (
        <>
          <Filters of={answer.of} state={state} set={set} shown={pools.reduce((n, p) => n + p.targets.length, 0)} />
          {pools.length === 0 && <p class="muted">None is like that. <button class="link" onClick={() => set({ state: 'all', pool: '', find: '' })}>Show all</button></p>}
          <div class="stack">{pools.slice(0, poolsShown).map((p) => <PoolBox key={p.name} of={p} answer={answer} few={pools.length <= 8} open={open} toggle={toggle} />)}</div>
          {pools.length > poolsShown && <p class="muted">And {pools.length - poolsShown} more jobs: find them by their names.</p>}
        </>
      )}
    </>
  );
}
