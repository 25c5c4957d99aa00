// What is shown where there is nothing to show, or where something went wrong.
import type { ComponentChildren } from 'preact';
import type { Asked, Failure } from '../lib/api';

export function Progress({ on, text }: { on: boolean; text: string }) {
  return (
    <div class={on ? 'progress on' : 'progress'}>
      <span class="sr" role="status">{on ? text : ''}</span>
    </div>
  );
}

export function FailureNote({ failure, again }: { failure: Failure; again?: () => void }) {
  if (failure.status === 401) return null; // the login is on its way
  return (
    <div class="note error" role="alert">
      <div class="grow">
        <b>{failure.message}</b>
        {failure.hint && <div class="muted">{failure.hint}</div>}
      </div>
      {again && <button class="button" onClick={again}>Try again</button>}
    </div>
  );
}

export function PartialNote({ of }: { of: { partial: boolean; partial_reason?: string } | null }) {
  if (!of?.partial) return null;
  return <div class="note warn" role="status">This is a partial answer: {of.partial_reason ?? 'something could not be read'}.</div>;
}

/** `whole`: there is no other heading on the screen. */
export function Empty({ title, children, actions, whole }: { title: string; children: ComponentChildren; actions?: ComponentChildren; whole?: boolean }) {
  return (
    <div class="empty">
      {whole ? <h1>{title}</h1> : <h2>{title}</h2>}
      <p>{children}</p>
      {actions && <div class="row">{actions}</div>}
    </div>
  );
}

/** The failure, or while nothing is there yet a line that says what is awaited, or what is made of the answer. */
export function Answer<T>({ asked, wait, children }: { asked: Asked<T>; wait: string; children: (data: T) => ComponentChildren }) {
  if (asked.failure) return <FailureNote failure={asked.failure} again={asked.again} />;
  if (!asked.data) return <p class="muted">{wait} …</p>;
  return <>{children(asked.data)}</>;
}
