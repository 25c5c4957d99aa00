// What the sections of the settings share.
import type { ComponentChildren } from 'preact';
import { bytes, exactBytes } from '../../lib/admin';
import type { Asked } from '../../lib/api';
import { grouped, percent } from '../../lib/format';
import { usePrefs } from '../../lib/prefs';
import { parseMs, showTime } from '../../lib/time';
import { copy } from '../chips';
import { Answer, Empty } from '../states';

export const Bytes = ({ of }: { of: number }) => <span title={exactBytes(of)}>{bytes(of)}</span>;
export const Whole = ({ of }: { of: number }) => <span title={grouped(of)}>{grouped(of)}</span>;

/** A share as a bar; the number beside it says the same. */
export function Bar({ part, of, warn }: { part: number; of: number; warn?: boolean }) {
  const share = of > 0 ? Math.min(1, part / of) : 0;
  return <span class="meter" aria-hidden="true"><i class={warn ? 'warn' : undefined} style={{ width: `${share * 100}%` }} /></span>;
}
export const Share = ({ part, of }: { part: number; of: number }) => <>{of > 0 ? percent(part / of) : '–'}</>;

export function Moment({ at, none }: { at: string | null | undefined; none: string }) {
  const { zone } = usePrefs();
  return at ? <time dateTime={at} title={at}>{showTime(parseMs(at), zone)}</time> : <span class="muted">{none}</span>;
}

export function Snippet({ text, label }: { text: string; label: string }) {
  return (
    <div class="snippet">
      <pre tabIndex={0} role="region" aria-label={label}>{text}</pre>
      <button type="button" class="button" onClick={() => copy(text)}>Copy</button>
    </div>
  );
}

/** What the role does not allow is said, and by whom it could be done. */
export function Permitted<T>({ asked, wait, role, what, children }: { asked: Asked<T>; wait: string; role: string; what: string; children: (data: T) => ComponentChildren }) {
  if (asked.failure?.status === 403) {
    return <Empty title={`Your token may not see ${what}`}>That needs the role {role}{role === 'operate' && ' or admin'}. Ask whoever administers this clew, or log in with another token.</Empty>;
  }
  return <Answer asked={asked} wait={wait}>{children}</Answer>;
}
