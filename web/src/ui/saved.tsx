// Searches that the team gave names: opened, saved, deleted; and the link to what is on the screen.
import { useEffect, useRef, useState } from 'preact/hooks';
import { Failure, remove, put, useQuestion, type SavedSearch, type Searches } from '../lib/api';
import { searchLink, type SearchScreen } from '../lib/screens';
import { copy, say } from './chips';
import { PopBox, usePop } from './pop';
import { FailureNote } from './states';

const pathOf = (name: string): string => `/api/v1/searches/${encodeURIComponent(name)}`;

function List({ asked, own, drop }: { asked: SavedSearch[]; own: string; drop: (s: SavedSearch) => void }) {
  const sorted = [...asked.filter((s) => s.screen === own), ...asked.filter((s) => s.screen !== own)];
  if (sorted.length === 0) return <p class="muted">Nobody has saved a search yet. Name this one below, and all of the team will see it here.</p>;
  return (
    <ul class="saved" aria-label="Saved searches">
      {sorted.map((s) => (
        <li key={s.name}>
          <a class="cut" href={searchLink(s)} title={s.query}>{s.name}</a>
          <span class="muted">{s.screen}{s.by && ` · ${s.by}`}</span>
          <button type="button" class="button quiet icon" aria-label={`Delete ${s.name}`} title="Delete, for all of the team" onClick={() => drop(s)}>×</button>
        </li>
      ))}
    </ul>
  );
}

function Sheet({ screen, query, close }: { screen: SearchScreen; query: string; close: () => void }) {
  const { data, failure, again } = useQuestion<Searches>('/api/v1/searches');
  const [name, setName] = useState('');
  const [refused, setRefused] = useState<Failure | null>(null);
  const send = (job: Promise<unknown>, done: string): void => {
    setRefused(null);
    job.then(() => { say(done); setName(''); again(); }, (e: unknown) => setRefused(e instanceof Failure ? e : new Failure(0, 'internal', String(e), '')));
  };
  const save = (replace: boolean): void => send(put(`${pathOf(name.trim())}${replace ? '?replace=true' : ''}`, { screen, query }), 'Saved');
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <div onClick={(e) => (e.target as Element).closest('a') && close()}>
      {failure ? <FailureNote failure={failure} again={again} /> : data ? <List asked={data.searches} own={screen} drop={(s) => send(remove(pathOf(s.name)), 'Deleted')} /> : <p class="muted">Looking …</p>}
      <form class="savehere" onSubmit={(e) => { e.preventDefault(); if (name.trim()) save(false); }}>
        <input ref={field} class="field" aria-label="Name of this search" placeholder="A name for this search" maxLength={120} value={name} onInput={(e) => { setName(e.currentTarget.value); setRefused(null); }} />
        <button class="button main" type="submit" disabled={!name.trim()}>Save</button>
        <button class="button" type="button" onClick={() => copy(location.href)}>Copy link</button>
      </form>
      <div role="status">
        {refused && <p class="wrong">{refused.status === 409 ? 'There is a search of that name.' : refused.status === 403 ? 'Saving and deleting need a token of the role operate.' : `${refused.message}. ${refused.hint}`}</p>}
        {refused?.status === 409 && <button type="button" class="button" onClick={() => save(true)}>Replace it</button>}
      </div>
    </div>
  );
}

export function Saved({ screen, query }: { screen: SearchScreen; query: string }) {
  const pop = usePop();
  const button = <button class="button" ref={pop.opener} aria-expanded={pop.open} aria-haspopup="dialog" title="Saved searches, and the link to this one" onClick={() => pop.setOpen(!pop.open)}>Saved</button>;
  return <PopBox pop={pop} name="Saved searches" button={button}><Sheet screen={screen} query={query} close={() => pop.setOpen(false)} /></PopBox>;
}
