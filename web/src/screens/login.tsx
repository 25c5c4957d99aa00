// A token for a session. Afterwards back to where it was asked for.
import { useState } from 'preact/hooks';
import { Failure, post } from '../lib/api';
import { afterLogin, useScreen } from '../lib/nav';
import { setPrefs } from '../lib/prefs';
import { login } from '../lib/screens';

export default function Login() {
  const [{ to }] = useScreen(login);
  const [token, setToken] = useState('');
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (e: Event): Promise<void> => {
    e.preventDefault();
    setBusy(true);
    try {
      const { name } = await post<{ name: string }>('/api/v1/login', { token: token.trim() });
      setPrefs({ user: name });
      afterLogin(to);
    } catch (x) {
      const f = x as Failure;
      setFailure(f);
      setBusy(false);
    }
  };
  const open = failure?.status === 409;
  return (
    <form class="login" onSubmit={(e) => void submit(e)}>
      <h1>Log in</h1>
      <p class="muted">This clew asks who you are. Paste a token with the role read or more; <code>clew token new NAME --role read</code> makes one.</p>
      <label>
        <span class="name">Token</span>
        <input class="field mono" type="password" name="password" autocomplete="current-password" autofocus required value={token} placeholder="clew_…"
          aria-invalid={failure !== null} aria-describedby="login-wrong" onInput={(e) => { setToken(e.currentTarget.value); setFailure(null); }} />
      </label>
      <div id="login-wrong" role="alert">
        {failure && (open ? <p>There are no tokens: everything is open to this machine. <a href="/">Go on</a></p> : <p class="wrong">{failure.message}{failure.hint && `: ${failure.hint}`}</p>)}
      </div>
      <button class="button main" disabled={busy || token.trim() === ''}>{busy ? 'Logging in …' : 'Log in'}</button>
    </form>
  );
}
