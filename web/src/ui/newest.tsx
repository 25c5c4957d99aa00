// The newest of something, one line each, with the way to it.
import type { TraceSummary } from '../lib/api';
import { shownId, type Correlation } from '../lib/correlation';
import { duration, plural } from '../lib/format';
import { usePrefs } from '../lib/prefs';
import { correlationLink, traceLink } from '../lib/screens';
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

export function NewestCorrelations({ of, none }: { of: Correlation[]; none: string }) {
  const { zone } = usePrefs();
  if (of.length === 0) return <p class="muted">{none}</p>;
  return (
    <ul class="newest">
      {of.map((c) => (
        <li key={c.correlation_id}>
          <span class="muted">{showClock(parseMs(c.first_seen), zone, Date.now())}</span>
          <span class="cut"><a class="mono" href={correlationLink(c.correlation_id, c.correlation_id_encoded)}>{shownId(c.correlation_id)}</a> <span class="muted">{c.root_service} {c.root_operation}</span></span>
          <span>{c.error_count > 0 && <span class="tag error">{plural(c.error_count, 'error')}</span>} {plural(c.service_count, 'service')}</span>
        </li>
      ))}
    </ul>
  );
}
