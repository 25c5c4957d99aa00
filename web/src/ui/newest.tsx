// The newest of something, one line each, with the way to it.
import type { TraceSummary } from '../lib/api';
import { duration, plural } from '../lib/format';
import { usePrefs } from '../lib/prefs';
import { traceLink } from '../lib/screens';
import { parseMs, showClock } from '../lib/time';

export function NewestTraces({ of, none }: { of: TraceSummary[]; none: string }) {
  const { zone } = usePrefs();
  if (of.length === 0) return <p class="muted">{none}</p>;
  return (
    <ul class="newest">
      {of.map((t) => (
        <li key={t.trace_id}>
          <span class="muted">{showClock(parseMs(t.start), zone, Date.now())}</span>
          <a class="cut" href={traceLink(t.trace_id)}>{t.root.service}: {t.root.operation}</a>
          <span>{t.error_count > 0 && <span class="tag error">{plural(t.error_count, 'error')}</span>} {duration(t.duration_ns)}</span>
        </li>
      ))}
    </ul>
  );
}
