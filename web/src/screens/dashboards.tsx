// The list of dashboards: found, opened, made, imported, copied, exported, deleted.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Failure, get, post, remove, useQuestion } from '../lib/api';
import { dashboardsPath, type Doc, type Kept } from '../lib/dashboard';
import { plural } from '../lib/format';
import { go, useScreen } from '../lib/nav';
import { usePrefs } from '../lib/prefs';
import { dashboardLink, dashboards } from '../lib/screens';
import { parseMs, showTime } from '../lib/time';
import { say } from '../ui/chips';
import { ImportDialog } from '../ui/dashboard/import';
import { Empty, FailureNote, Progress } from '../ui/states';

const asFailure = (e: unknown): Failure => (e instanceof Failure ? e : new Failure(0, 'internal', (e as Error).message, ''));

/** Copies a dashboard under a name that is free. */
export async function copied(doc: Doc): Promise<Kept> {
  for (let n = 1; ; n++)
    try {
      return await post<Kept>(dashboardsPath, { ...doc, title: `${doc.title.slice(0, 180)} (copy${n > 1 ? ` ${n}` : ''})` });
    } catch (e) {
      if (!(e instanceof Failure) || e.status !== 409 || n === 20) throw e;
    }
}

function NewDialog({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [title, setTitle] = useState('');
  const [failure, setFailure] = useState<Failure | null>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const make = (e: Event): void => {
    e.preventDefault();
    post<Kept>(dashboardsPath, { title: title.trim(), time: { start: 'now-1h' }, refresh: '30s', panels: [] }).then((d) => { close(); go(dashboardLink(d.id, { edit: true })); }, (x: unknown) => setFailure(asFailure(x)));
  };
  return (
    <dialog ref={dialog} aria-labelledby="new-title" onClose={close} onClick={(e) => e.target === dialog.current && close()}>
      <form class="help" onSubmit={make}>
        <h2 id="new-title">A new dashboard</h2>
        <label><span class="name">Title</span><input class="field" autofocus maxLength={200} value={title} onInput={(e) => { setTitle(e.currentTarget.value); setFailure(null); }} /></label>
        {failure && <FailureNote failure={failure} />}
        <div class="head"><button class="button main" type="submit" disabled={!title.trim()}>Create</button><button class="button" type="button" onClick={close}>Cancel</button></div>
      </form>
    </dialog>
  );
}

function DeleteDialog({ of, close, done }: { of: Kept; close: () => void; done: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const drop = (): void => void remove(`${dashboardsPath}/${of.id}`).then(() => { close(); say('Deleted'); done(); }, (e: unknown) => setFailure(asFailure(e)));
  return (
    <dialog ref={dialog} aria-labelledby="delete-title" onClose={close} onClick={(e) => e.target === dialog.current && close()}>
      <div class="help">
        <h2 id="delete-title">Delete “{of.name}”?</h2>
        <p>It is deleted for all of the team, and nothing of it is kept. What it shows is not touched.</p>
        {failure && <FailureNote failure={failure} />}
        <div class="head"><button class="button danger" onClick={drop}>Delete it</button><button class="button" autofocus onClick={close}>Cancel</button></div>
      </div>
    </dialog>
  );
}

function Rows({ list, drop, failed }: { list: Kept[]; drop: (k: Kept) => void; failed: (f: Failure) => void }) {
  const { zone } = usePrefs();
  const copy = (k: Kept): void => void get<Kept>(`${dashboardsPath}/${k.id}`).then((d) => copied(d.body!)).then((d) => go(dashboardLink(d.id, { edit: true })), (e: unknown) => failed(asFailure(e)));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Dashboards">
      <table class="table boards">
        <thead><tr><th scope="col">Dashboard</th><th scope="col" class="hide-small">Last changed</th><th scope="col" class="num"><span class="sr">What can be done</span></th></tr></thead>
        <tbody>
          {list.map((k) => (
            <tr key={k.id}>
              <td><a class="strong" href={dashboardLink(k.id)}>{k.name}</a>{k.shipped && <span class="tag">ships with clew</span>}</td>
              <td class="hide-small muted">{k.updated ? `${showTime(parseMs(k.updated), zone).slice(0, 16)}${k.updated_by ? ` by ${k.updated_by}` : ''}` : '–'}</td>
              <td class="num acts-of">
                <button class="link" aria-label={`${k.shipped ? 'Copy to edit' : 'Copy'}: ${k.name}`} onClick={() => copy(k)}>{k.shipped ? 'Copy to edit' : 'Copy'}</button>
                <a class="link" href={`${dashboardsPath}/${k.id}/export`} download={`${k.name}.json`} aria-label={`Export: ${k.name}`}>Export</a>
                <a class="link" href={`${dashboardsPath}/${k.id}/export?format=grafana`} download={`${k.name}.grafana.json`} aria-label={`For Grafana: export ${k.name}`}>For Grafana</a>
                {!k.shipped && <button class="link bad" aria-label={`Delete: ${k.name}`} onClick={() => drop(k)}>Delete</button>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export default function Dashboards() {
  const [state, set] = useScreen(dashboards);
  const { data, failure, busy, again } = useQuestion<{ dashboards: Kept[] }>(dashboardsPath);
  const [dialog, setDialog] = useState<'' | 'new' | 'import'>('');
  const [drop, setDrop] = useState<Kept | null>(null);
  const [refused, setRefused] = useState<Failure | null>(null);
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean), all = data?.dashboards ?? [];
  const found = all.filter((k) => words.every((w) => k.name.toLowerCase().includes(w)));
  return (
    <>
      <Progress on={busy} text="Looking for dashboards" />
      <div class="head">
        <h1>Dashboards</h1>
        <input class="field findboard" data-search aria-label="Find a dashboard" placeholder="Find a dashboard" value={state.search} onInput={(e) => set({ search: e.currentTarget.value }, true)} />
        <button class="button" onClick={() => setDialog('import')}>Import</button>
        <button class="button main" onClick={() => setDialog('new')}>New dashboard</button>
      </div>
      {failure && <FailureNote failure={failure} again={again} />}
      {refused && <FailureNote failure={refused} />}
      {data && found.length > 0 && <Rows list={found} drop={setDrop} failed={setRefused} />}
      {data && <p class="muted" role="status">{found.length === all.length ? plural(all.length, 'dashboard') : `${found.length} of ${plural(all.length, 'dashboard')}`}</p>}
      {data && all.length > 0 && found.length === 0 && <Empty title="No dashboard has this name" actions={<button class="button" onClick={() => set({ search: '' })}>Show all</button>}>All of “{state.search}” must be in its title.</Empty>}
      {dialog === 'new' && <NewDialog close={() => setDialog('')} />}
      {dialog === 'import' && <ImportDialog close={() => setDialog('')} />}
      {drop && <DeleteDialog of={drop} close={() => setDrop(null)} done={again} />}
    </>
  );
}
