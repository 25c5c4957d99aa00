// One dashboard: looked at, and edited.
import { useEffect, useState } from 'preact/hooks';
import { Failure, putAt, useQuestion } from '../lib/api';
import { dashboardsPath, rangeOf, refreshMs, type Doc, type Kept, type Panel, type PanelKind } from '../lib/dashboard';
import { changed, draftOf, isChanged, redone, undone, useDraft, type Draft } from '../lib/drafts';
import { useKeys } from '../lib/keys';
import { bottom, settle } from '../lib/layout';
import { go, useScreen, useTitle } from '../lib/nav';
import { dashboard, dashboardLink, dashboardsLink, type Range } from '../lib/screens';
import { isLive } from '../lib/time';
import { say } from '../ui/chips';
import { Board, type Editing } from '../ui/dashboard/board';
import { DocDialog } from '../ui/dashboard/docedit';
import { PanelEditor, tidied } from '../ui/dashboard/paneledit';
import { useVariables, VariableBar } from '../ui/dashboard/variables';
import { Empty, FailureNote, Progress } from '../ui/states';
import { TimePicker, useZoom } from '../ui/time';
import { copied } from './dashboards';

const asFailure = (e: unknown): Failure => (e instanceof Failure ? e : new Failure(0, 'internal', (e as Error).message, 'This is a fault of the page.'));
const sizes: Partial<Record<PanelKind, [number, number]>> = { row: [24, 1], stat: [6, 4], gauge: [6, 5], text: [8, 5] };

function added(doc: Doc, kind: PanelKind): { doc: Doc; id: number } {
  const id = Math.max(0, ...doc.panels.map((p) => p.id)) + 1, [w, h] = sizes[kind] ?? [12, 8];
  const p: Panel = { id, kind, x: 0, y: bottom(doc.panels), w, h, title: kind === 'row' ? 'A row' : kind === 'text' ? undefined : 'New panel', ...(kind === 'row' ? {} : kind === 'text' ? { text: 'Write **Markdown** here.' } : { queries: [{ kind: kind === 'logs' || kind === 'traces' ? kind : 'promql', ...(kind === 'logs' || kind === 'traces' ? {} : { expr: 'up' }) }] }) };
  return { doc: { ...doc, panels: [...doc.panels, tidied(p)] }, id };
}

/** Anew every so often while it is in sight and the range ends now. */
function useRefresh(every: string | undefined, live: boolean, again: () => void): void {
  useEffect(() => {
    const ms = refreshMs(every);
    if (!ms || !live) return undefined;
    const timer = setInterval(() => { if (document.visibilityState === 'visible') again(); }, ms);
    return () => clearInterval(timer);
  }, [every, live]);
}

function RefreshChoice({ state, doc, set }: { state: string; doc: Doc; set: (r: string) => void }) {
  const own = doc.refresh || 'off', value = state || own;
  return <select class="field refresh" aria-label="Refresh" title="How often it is asked anew" value={value} onChange={(e) => set(e.currentTarget.value === own ? '' : e.currentTarget.value)}>{[...new Set(['off', '10s', '30s', '1m', '5m', '15m', own, value])].map((r) => <option key={r} value={r}>{r === 'off' ? '↻ off' : `↻ ${r}`}</option>)}</select>;
}

function Conflict({ theirs, id, overwrite, copy, drop }: { theirs: Failure; id: string; overwrite: () => void; copy: () => void; drop: () => void }) {
  return (
    <div class="note warn" role="alert">
      <div class="grow"><b>Somebody else saved this dashboard meanwhile, or deleted it.</b><div class="muted">Nothing was written and nothing of yours is lost: {theirs.message}</div></div>
      <span class="row"><a class="button" href={dashboardLink(id)} target="_blank" rel="noopener">See theirs</a><button class="button" onClick={copy}>Keep mine as a copy</button><button class="button" onClick={overwrite}>Write over theirs</button><button class="button" onClick={drop}>Drop mine</button></span>
    </div>
  );
}

function EditBar({ draft, busy, save, undo, redo, add, settings, leave }: { draft: Draft; busy: boolean; save: () => void; undo: () => void; redo: () => void; add: (k: PanelKind) => void; settings: () => void; leave: () => void }) {
  const kinds: [PanelKind, string][] = [['timeseries', 'Time series'], ['stat', 'Figure'], ['gauge', 'Gauge'], ['bars', 'Bars'], ['table', 'Table'], ['heatmap', 'Heatmap'], ['text', 'Text'], ['logs', 'Logs'], ['traces', 'Traces'], ['row', 'Row']];
  return (
    <div class="head editbar" role="group" aria-label="Editing">
      <select class="field addpanel" aria-label="Add a panel" value="" onChange={(e) => { const k = e.currentTarget.value as PanelKind; e.currentTarget.value = ''; if (k) add(k); }}><option value="">+ Add panel</option>{kinds.map(([k, n]) => <option key={k} value={k}>{n}</option>)}</select>
      <button class="button" onClick={settings}>Title, variables …</button>
      <button class="button icon" disabled={!draft.past.length} aria-label="Undo" title="Undo (Ctrl Z)" onClick={undo}>↶</button>
      <button class="button icon" disabled={!draft.future.length} aria-label="Redo" title="Redo (Ctrl Shift Z)" onClick={redo}>↷</button>
      <span class="grow muted" role="status">{isChanged(draft) ? 'Not saved yet' : 'Nothing to save'}</span>
      <button class="button" onClick={leave}>{isChanged(draft) ? 'Discard' : 'Leave editing'}</button>
      <button class="button main" disabled={busy || !isChanged(draft)} title="Save (Ctrl S)" onClick={save}>Save</button>
    </div>
  );
}

export default function Dashboard({ id }: { id: string }) {
  const [state, set] = useScreen(dashboard);
  const asked = useQuestion<Kept>(`${dashboardsPath}/${id}`);
  const [draft, setDraft] = useDraft(id);
  const [turn, setTurn] = useState(0);
  const [dialog, setDialog] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [conflict, setConflict] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const kept = asked.data, editing = state.edit && !!kept && !kept.shipped, doc = (editing ? draft?.doc : undefined) ?? kept?.body ?? null;
  const range = rangeOf(state, doc), again = (): void => setTurn((t) => t + 1);
  const chosens = useVariables(doc, state.var, range, turn);
  const zoom = useZoom(range, (r: Range) => set(r));
  useRefresh(state.refresh || doc?.refresh, isLive(range) && !editing, again);
  useEffect(() => {
    if (editing && !draft && kept?.body) setDraft({ doc: kept.body, saved: kept.body, tag: kept.tag, past: [], future: [], what: '' });
  }, [editing, draft, kept]);
  useTitle(doc?.title ?? '');

  const change = (next: Doc, what: string): void => { if (draft) setDraft(changed(draft, next, what)); };
  const panelChange = (p: number, some: Partial<Panel>): void => { if (draft) change({ ...draft.doc, panels: draft.doc.panels.map((x) => (x.id === p ? tidied({ ...x, ...some }) : x)) }, `${p} ${Object.keys(some).join()}`); };
  const undo = (): void => { if (draft) setDraft(undone(draft)); };
  const redo = (): void => { if (draft) setDraft(redone(draft)); };
  const save = (tag?: string): void => {
    (document.activeElement as HTMLElement | null)?.blur(); // what stands in a field counts
    const draft = draftOf(id);
    if (!draft || busy) return;
    const doc = draft.doc;
    setBusy(true);
    setFailure(null);
    putAt<Kept>(`${dashboardsPath}/${id}`, doc, tag ?? draft.tag).then((k) => { setConflict(null); setDraft({ ...draft, tag: k.tag, saved: doc, what: '' }); asked.again(); say('Saved'); }, (e: unknown) => { const f = asFailure(e); if (f.status === 412 || (f.status === 409 && !/of that name/.test(f.message))) setConflict(f); else setFailure(f); }).finally(() => setBusy(false));
  };
  const copyMine = (of: Doc): void => void copied(of).then((k) => { setConflict(null); setDraft(undefined); go(dashboardLink(k.id, { edit: true })); }, (e: unknown) => setFailure(asFailure(e)));
  const leave = (): void => { setDraft(undefined); setConflict(null); setFailure(null); set({ edit: false, panel: 0 }); asked.again(); };
  const edit = (): void => { if (kept?.shipped) void copied(kept.body!).then((k) => go(dashboardLink(k.id, { edit: true })), (e: unknown) => setFailure(asFailure(e))); else set({ edit: true }); };
  useKeys({
    ...(editing ? { 'ctrl+z': undo, 'ctrl+Z': redo, 'ctrl+y': redo, 'ctrl+s': () => save(), escape: () => state.panel && set({ panel: 0 }) } : { e: edit, escape: () => state.panel && set({ panel: 0 }) }),
  });

  if (asked.failure && !kept) return <>{asked.failure.status === 404 ? <Empty whole title="There is no such dashboard" actions={<a class="button main" href={dashboardsLink()}>To the dashboards</a>}>It was deleted, or its address is another one.</Empty> : <FailureNote failure={asked.failure} again={asked.again} />}</>;
  if (!doc) return <><Progress on text="Loading the dashboard" /><p class="muted">Loading …</p></>;
  const editor: Editing | null = editing && draft ? {
    layout: (panels) => change({ ...draft.doc, panels: settle(panels) }, ''),
    edit: (p) => set({ panel: p }),
    copy: (p) => { const of = draft.doc.panels.find((x) => x.id === p)!, n = Math.max(...draft.doc.panels.map((x) => x.id)) + 1; change({ ...draft.doc, panels: settle([...draft.doc.panels, { ...of, id: n, y: of.y + of.h }]) }, ''); },
    remove: (p) => { change({ ...draft.doc, panels: settle(draft.doc.panels.filter((x) => x.id !== p)) }, ''); say('Removed; Ctrl Z brings it back'); },
  } : null;
  const alone = !editing && state.panel ? doc.panels.find((p) => p.id === state.panel && p.kind !== 'row') : undefined;
  const open = editing && state.panel ? doc.panels.find((p) => p.id === state.panel) : undefined;
  return (
    <>
      <Progress on={asked.busy && !kept} text="Loading the dashboard" />
      <div class="head">
        <h1><a class="muted" href={dashboardsLink()}>Dashboards</a> <span class="muted" aria-hidden="true">/</span> {doc.title}</h1>
        {kept?.shipped && <span class="tag">ships with clew</span>}
        {!editing && <button class="button" title={kept?.shipped ? 'Make a copy that can be edited (e)' : 'Edit (e)'} onClick={edit}>{kept?.shipped ? 'Copy to edit' : 'Edit'}</button>}
        {!editing && <RefreshChoice state={state.refresh} doc={doc} set={(refresh) => set({ refresh })} />}
        <TimePicker range={range} onChange={(r) => set(r)} refresh={again} />
      </div>
      {editor && draft && <EditBar draft={draft} busy={busy} save={() => save()} undo={undo} redo={redo} settings={() => setDialog(true)} leave={leave} add={(k) => { const a = added(draft.doc, k); change(a.doc, ''); set({ panel: a.id }); }} />}
      {failure && <FailureNote failure={failure} />}
      {conflict && draft && <Conflict theirs={conflict} id={id} overwrite={() => save('*')} copy={() => copyMine(draft.doc)} drop={leave} />}
      <VariableBar chosens={chosens} vars={state.var} set={(v) => set({ var: v }, true)} />
      {open && <PanelEditor key={open.id} p={open} doc={doc} chosens={chosens} range={range} turn={turn} change={(some) => panelChange(open.id, some)} close={() => { set({ panel: 0 }); requestAnimationFrame(() => document.querySelector<HTMLElement>(`[data-panel="${open.id}"] .handle`)?.focus()); }} />}
      {alone && <div><button class="button" title="All panels (Esc)" onClick={() => set({ panel: 0 })}>‹ All panels</button></div>}
      {!open && doc.panels.length > 0 && <Board alone={editing ? undefined : (panel) => set({ panel: state.panel ? 0 : panel })} doc={alone ? { ...doc, panels: [{ ...alone, x: 0, y: 0, w: 24, h: 16 }] } : doc} chosens={chosens} range={range} turn={turn} zoom={zoom} editing={editor} />}
      {doc.panels.length === 0 && <Empty title="This dashboard is empty" actions={!editing && <button class="button main" onClick={edit}>Edit it</button>}>{editing ? 'Add a panel above: a time series, a figure, a table, logs …' : 'Nobody has put a panel on it yet.'}</Empty>}
      {dialog && draft && <DocDialog doc={draft.doc} change={(some) => change({ ...draft.doc, ...some }, `doc ${Object.keys(some).join()}`)} close={() => setDialog(false)} />}
    </>
  );
}
