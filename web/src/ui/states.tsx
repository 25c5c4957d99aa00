// What is shown where there is nothing to show, or where something went wrong.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { grouped } from '../lib/format';
import type { Asked, Failure } from '../lib/api';

const longMs = 400; // what takes longer is told, with its time, and can be stopped

export function Progress({ on, text, stop }: { on: boolean; text: string; stop?: () => void }) {
  const [since, setSince] = useState(-1);
  useEffect(() => {
    setSince(-1);
    if (!on) return undefined;
    const began = performance.now(), timer = setInterval(() => setSince(performance.now() - began), longMs);
    return () => clearInterval(timer);
  }, [on]);
  return (
    <div class={on ? 'progress on' : 'progress'}>
      <span class="sr" role="status">{on ? text : ''}</span>
      {on && since >= longMs && stop && (
        <div class="long"><span>{text} … {(since / 1000).toFixed(1)} s</span><button class="button" onClick={stop}>Stop</button></div>
      )}
    </div>
  );
}

/** Why a search found nothing, as far as it can be known: nothing ever came, it was refused, nothing is in the range, or the conditions
 * exclude what is. What the server refused it counts since it started: its figures for this tenant. */
export function useRefused(signal: 'traces' | 'logs', ask: boolean): string {
  const [text, setText] = useState('');
  useEffect(() => {
    if (!ask) return undefined;
    const stop = new AbortController();
    fetch('/metrics', { signal: stop.signal }).then(async (r) => (r.ok ? setText(refusedOf(await r.text(), signal === 'logs' ? 'logs' : 'spans')) : undefined)).catch(() => undefined);
    return () => stop.abort();
  }, [signal, ask]);
  return text;
}

const reasons: Record<string, string> = { too_old: 'older than what is kept', too_new: 'more than a day ahead of the clock', bad_trace_id: 'with a bad trace id', bad_span_id: 'with a bad span id', too_many_attributes: 'with too many attributes' };

/** From Prometheus text: how many rows of a signal were refused, and why where it says. "": none. */
export function refusedOf(metrics: string, signal: string): string {
  const parts: string[] = [];
  let all = 0;
  for (const [, name, labels, value] of metrics.matchAll(/^clew_(ingest|tenant)_rejected_rows_total\{([^}]*)\} (\d+)$/gm)) {
    if (!labels.includes(`signal="${signal}"`) || value === '0') continue;
    const reason = /reason="(\w+)"/.exec(labels)?.[1];
    all += name === 'tenant' ? Number(value) : 0;
    if (reason) parts.push(`${grouped(Number(value))} ${reasons[reason] ?? reason}`);
  }
  return parts.length ? parts.join(', ') : all ? grouped(all) : '';
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
