// Tokens: who may ask, made and ended here as by `clew token`.
import { useState } from 'preact/hooks';
import { roles, type Token, type Tokens as Answered } from '../../lib/admin';
import { Failure, post, useQuestion } from '../../lib/api';
import { setPrefs } from '../../lib/prefs';
import { Empty, FailureNote } from '../states';
import { Moment, Permitted, Snippet } from './parts';

type Made = Token & { token: string };
const may: Record<Token['role'], string> = {
  ingest: 'send', read: 'ask', operate: 'ask, see these settings, flush', admin: 'all: send, ask, delete, back up, make tokens',
};

/** The first token closes the door: whoever makes it goes on with it. */
function MadeNote({ made, first, close }: { made: Made; first: boolean; close: () => void }) {
  const [failure, setFailure] = useState<Failure | null>(null);
  const login = (): void => {
    post<{ name: string }>('/api/v1/login', { token: made.token }).then(({ name }) => { setPrefs({ user: name }); close(); }, (e: Failure) => setFailure(e));
  };
  return (
    <div class="note block" role="status">
      <b>The token {made.name} is made. It is shown this once: copy it now.</b>
      <Snippet text={made.token} label="The new token" />
      {failure && <FailureNote failure={failure} />}
      {first ? (
        <>
          <p>From now on everybody needs a token, this page too.</p>
          <div><button class="button main" onClick={login}>I have copied it; log in with it</button></div>
        </>
      ) : <div><button class="button" onClick={close}>I have copied it</button></div>}
    </div>
  );
}

function Making({ of, done }: { of: Answered; done: (made: Made) => void }) {
  const first = !of.required;
  const [order, setOrder] = useState({ name: first ? 'admin' : '', role: first ? 'admin' : 'read', tenant: of.tenant === '*' ? (first ? '*' : 'default') : of.tenant, expires_in: '' });
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const change = (some: Partial<typeof order>): void => { setOrder({ ...order, ...some }); setFailure(null); };
  const submit = (e: Event): void => {
    e.preventDefault();
    setBusy(true);
    const { expires_in, ...rest } = order;
    post<Made>('/api/v1/admin/tokens', expires_in.trim() ? { ...rest, expires_in: expires_in.trim() } : rest)
      .then(done, (x: Failure) => setFailure(x)).finally(() => setBusy(false));
  };
  return (
    <form class="filters" aria-label="Make a token" onSubmit={submit}>
      <label><span class="name">Name</span><input class="field" name="name" required maxLength={63} pattern="[A-Za-z0-9_\-][A-Za-z0-9_.\-]*" title="Letters, digits and _ . -" autocomplete="off" value={order.name} onInput={(e) => change({ name: e.currentTarget.value })} /></label>
      <label><span class="name">Role</span><select class="field" name="role" value={order.role} disabled={first} onChange={(e) => change({ role: e.currentTarget.value })}>{roles.map((r) => <option key={r} value={r}>{r}</option>)}</select></label>
      <label><span class="name">Tenant (* is any)</span><input class="field" name="tenant" required autocomplete="off" value={order.tenant} disabled={first || of.tenant !== '*'} onInput={(e) => change({ tenant: e.currentTarget.value })} /></label>
      <label><span class="name">Ends after</span><input class="field" name="expires" placeholder="never, or 90d" autocomplete="off" value={order.expires_in} onInput={(e) => change({ expires_in: e.currentTarget.value })} /></label>
      <button class="button main" disabled={busy}>{busy ? 'Making …' : 'Make the token'}</button>
      <p class="muted wide">{order.role} may {may[order.role as Token['role']]}.</p>
      {failure && <div class="all"><FailureNote failure={failure} /></div>}
    </form>
  );
}

function Row({ of, fixed, done }: { of: Answered['tokens'][number]; fixed: boolean; done: () => void }) {
  const [sure, setSure] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const revoke = (): void => {
    setSure(false);
    post(`/api/v1/admin/tokens/${encodeURIComponent(of.name)}/revoke`).then(done, (e: Failure) => setFailure(e));
  };
  return (
    <>
      <tr>
        <th scope="row" class="what">{of.name}{of.is_own && <span class="tag"> yours</span>}{of.is_expired && <span class="tag warn"> ended</span>}</th>
        <td>{of.role}</td>
        <td>{of.tenant}</td>
        <td><Moment at={of.created} none="" /></td>
        <td><Moment at={of.expires} none="never" /></td>
        <td><Moment at={of.last_used} none="not since the start" /></td>
        <td class="num">
          {fixed ? null : sure ? (
            <span class="group">
              <button class="button danger" autofocus onClick={revoke}>Revoke {of.name}{of.is_own ? ', and log out' : ''}</button>
              <button class="button" onClick={() => setSure(false)}>Keep</button>
            </span>
          ) : <button class="button" aria-label={`Revoke ${of.name}`} onClick={() => { setFailure(null); setSure(true); }}>Revoke</button>}
        </td>
      </tr>
      {failure && <tr><td colSpan={7}><FailureNote failure={failure} /></td></tr>}
    </>
  );
}

function List({ of, done }: { of: Answered; done: () => void }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Tokens">
      <table class="table">
        <thead><tr><th>Name</th><th>Role</th><th>Tenant</th><th>Made</th><th>Ends</th><th>Last used</th><th><span class="sr">Revoke</span></th></tr></thead>
        <tbody>{of.tokens.map((t) => <Row key={t.id} of={t} fixed={of.source !== 'file'} done={done} />)}</tbody>
      </table>
    </div>
  );
}

export function Tokens() {
  const asked = useQuestion<Answered>('/api/v1/admin/tokens');
  const [made, setMade] = useState<{ made: Made; first: boolean } | null>(null);
  if (made) return <MadeNote {...made} close={() => { setMade(null); asked.again(); }} />;
  return (
    <Permitted asked={asked} wait="Asking for the tokens" role="admin" what="tokens">
      {(t) => (
        <>
          {!t.required && <Empty title="There are no tokens">Everything is open to this machine, and to it alone. The first token is one of an admin; from then on everybody needs one, this page and those who send, too. Make tokens of role ingest for these right afterwards.</Empty>}
          {t.required && <List of={t} done={asked.again} />}
          {t.tenant !== '*' && <p class="muted">These are the tokens of tenant {t.tenant}; a token of tenant * sees all.</p>}
          {t.source === 'environment' ? <p class="muted">They stand in CLEW_TOKENS: change them there, and restart clew.</p> : (
            <section>
              <h2>{t.required ? 'Make a token' : 'Make the first token'}</h2>
              <Making of={t} key={String(t.required)} done={(m) => setMade({ made: m, first: !t.required })} />
            </section>
          )}
          <p class="muted">Only a hash of a token is kept. A revoked one, and the sessions begun with it, end at once; each change is a line of the audit log. On the server's machine <code>clew token</code> does the same.</p>
        </>
      )}
    </Permitted>
  );
}
