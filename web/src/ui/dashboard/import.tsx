// A dashboard from a file: what would come of it is shown before it is kept.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Failure, postText } from '../../lib/api';
import { dashboardsPath, type Imported } from '../../lib/dashboard';
import { plural } from '../../lib/format';
import { go } from '../../lib/nav';
import { dashboardLink } from '../../lib/screens';
import { FailureNote } from '../states';

const asFailure = (e: unknown): Failure => (e instanceof Failure ? e : new Failure(0, 'internal', (e as Error).message, ''));

export function ImportDialog({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState('');
  const [title, setTitle] = useState('');
  const [seen, setSeen] = useState<Imported | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState(false);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const look = (t: string): void => {
    setText(t);
    setSeen(null);
    setFailure(null);
    if (!t.trim()) return;
    setBusy(true);
    postText<Imported>(`${dashboardsPath}/import?dry_run=true`, t).then((i) => { setSeen(i); setTitle(i.body?.title ?? ''); }, (e: unknown) => setFailure(asFailure(e))).finally(() => setBusy(false));
  };
  const read = (f: File | null | undefined): void => void f?.text().then(look);
  const keep = (): void => {
    setBusy(true);
    setFailure(null);
    postText<Imported>(`${dashboardsPath}/import?title=${encodeURIComponent(title.trim())}`, text).then((i) => { close(); go(dashboardLink(i.id!)); }, (e: unknown) => setFailure(asFailure(e))).finally(() => setBusy(false));
  };
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);
  return (
    <dialog ref={dialog} class="importing" aria-labelledby="import-title" onClose={close} onClick={(e) => e.target === dialog.current && close()}>
      <div class="help">
        <h2 id="import-title">Import a dashboard</h2>
        <p class="muted">Grafana's JSON (Share → Export, or a file from grafana.com), or what clew exported. Nothing is kept before you have seen what becomes of it.</p>
        <div class={over ? 'drop over' : 'drop'} onDragOver={(e) => { e.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={(e) => { e.preventDefault(); setOver(false); read(e.dataTransfer?.files[0]); }}>
          <label>Choose a file, or drop one here <input ref={first} type="file" accept=".json,application/json" onChange={(e) => read(e.currentTarget.files?.[0])} /></label>
        </div>
        <details><summary>Or paste it</summary><textarea class="field area" aria-label="The dashboard as JSON" spellcheck={false} onChange={(e) => look(e.currentTarget.value)} /></details>
        {busy && <p class="muted" role="status">Looking …</p>}
        {failure && <FailureNote failure={failure} />}
        {failure?.status === 403 && <p class="muted">Importing needs a token of the role operate.</p>}
        {seen?.body && (
          <>
            <p role="status"><b>{plural(seen.body.panels.length, 'panel')}</b>, {plural(seen.body.variables?.length ?? 0, 'variable')}. {seen.notes.length ? `${plural(seen.notes.length + seen.notes_left_out, 'thing')} could not be kept as they were:` : 'All of it can be kept.'}</p>
            {seen.notes.length > 0 && (
              <div class="scroll tall" tabIndex={0} role="region" aria-label="What could not be kept">
                <table class="table tight"><thead><tr><th scope="col">Panel or variable</th><th scope="col">What</th></tr></thead>
                  <tbody>{seen.notes.map((n, i) => <tr key={i}><td title={n.path}>{n.title || n.path}</td><td>{n.what}</td></tr>)}</tbody></table>
              </div>
            )}
            <label><span class="name">Title</span><input class="field" value={title} maxLength={200} onInput={(e) => setTitle(e.currentTarget.value)} /></label>
          </>
        )}
        <div class="head"><button class="button main" disabled={!seen?.body || !title.trim() || busy} onClick={keep}>Import</button><button class="button" onClick={close}>Cancel</button></div>
      </div>
    </dialog>
  );
}
