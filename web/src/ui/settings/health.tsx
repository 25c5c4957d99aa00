// How clew is: what /ready checks, what it takes, what it took in and refused. Asked anew every five seconds while it is looked at.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { perSecond, reasons, type Ingest, type Status } from '../../lib/admin';
import { useQuestion } from '../../lib/api';
import { duration, grouped, rate } from '../../lib/format';
import { parseMs } from '../../lib/time';
import { Bar, Bytes, Moment, Permitted, Share, Whole } from './parts';

/** The answer, and the one before it. */
function useStatus() {
  const asked = useQuestion<Status>('/api/v1/admin/status');
  const seen = useRef<{ now: Status | null; before: Status | null }>({ now: null, before: null });
  if (asked.data && asked.data !== seen.current.now) seen.current = { now: asked.data, before: seen.current.now };
  const again = useRef(asked.again);
  again.current = asked.again;
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && again.current(), 5000);
    return () => clearInterval(timer);
  }, []);
  return { asked, before: seen.current.before };
}

function Checks({ of }: { of: Status }) {
  const bad = Object.entries(of.checks).filter(([, is]) => is !== 'healthy');
  return (
    <div class={of.ready && !bad.length ? 'note' : of.ready ? 'note warn' : 'note error'}>
      <b>{of.ready ? '✓ Ready' : '✗ Not ready'}</b>
      <span class="grow">{bad.length ? bad.map(([name, is]) => `${name}: ${is}`).join('; ') : `${Object.keys(of.checks).join(', ')}: healthy`}</span>
      <span class="muted">clew {of.version}, up {duration(of.uptime_ns)}</span>
    </div>
  );
}

function Figure({ title, children, note }: { title: string; children: ComponentChildren; note: ComponentChildren }) {
  return (
    <section class="figure" aria-label={title}>
      <h2>{title}</h2>
      {children}
      <p class="muted">{note}</p>
    </section>
  );
}

function Machine({ of }: { of: Status }) {
  const { memory: m, disk: d, store: s } = of;
  if (!m || !d || !s) return null;
  const own = d.part_bytes + d.log_bytes;
  const limit = d.total_bytes / 100 * d.use_max_percent;
  const short = d.total_bytes > 0 && d.free_bytes < d.total_bytes / 100 * d.free_min_percent;
  return (
    <div class="figures">
      <Figure title="Memory" note={<>at most <Bytes of={m.peak_bytes} /> so far; refused over the limit: <Whole of={m.refused} />. A part is held ready for flushes and merges; resident <Bytes of={m.resident_bytes} /></>}>
        <p><b class="now"><Bytes of={m.used_bytes} /></b> of <Bytes of={m.limit_bytes} /> (<Share part={m.used_bytes} of={m.limit_bytes} />)</p>
        <Bar part={m.used_bytes} of={m.limit_bytes} warn={m.used_bytes > 0.9 * m.limit_bytes} />
      </Figure>
      <Figure title="Disk" note={d.total_bytes ? <>{short && <b class="wrong">Too little is free: the oldest day goes. </b>}free <Bytes of={d.free_bytes} /> of <Bytes of={d.total_bytes} />; over {d.use_max_percent} % of it, or with under {d.free_min_percent} % free, the oldest day goes</> : 'the size of the file system is not known'}>
        <p><b class="now"><Bytes of={own} /></b> of <Bytes of={Math.round(limit)} /> that clew may take (<Share part={own} of={limit} />)</p>
        <Bar part={own} of={limit} warn={own > 0.9 * limit || short} />
      </Figure>
      <Figure title="Store" note={<><Whole of={s.memory_rows} /> rows in memory (<Bytes of={s.memory_bytes} />); flushes {grouped(s.flushes)}, merges {grouped(s.merges)}, parts dropped {grouped(s.parts_dropped)}, deletes pending {grouped(s.deletes_pending)}{s.bad_blocks + s.syncs_failed > 0 && <b class="wrong">; bad blocks {grouped(s.bad_blocks)}, failed syncs {grouped(s.syncs_failed)}: run clew check</b>}</>}>
        <p><b class="now"><Whole of={s.part_rows} /></b> rows in {grouped(s.parts)} parts</p>
        <p>Parts <Bytes of={d.part_bytes} />, log <Bytes of={d.log_bytes} /></p>
      </Figure>
      <Figure title="Last backup" note={<>Since clew started, of all tenants; <code>clew backup DIR</code> makes one.</>}>
        <p><b class="now"><Moment at={of.last_backup} none="none since the start" /></b></p>
      </Figure>
    </div>
  );
}

function IngestRow({ of, before, seconds }: { of: Ingest; before: Ingest | undefined; seconds: number }) {
  const rows = perSecond(of.rows, before?.rows, seconds);
  return (
    <tr>
      <th scope="row">{of.signal}</th>
      <td class="num">{rows === null ? '–' : rate(rows)}</td>
      <td class="num"><Whole of={of.rows} /></td>
      {of.bytes !== undefined && <td class="num"><Bytes of={of.bytes} /></td>}
      <td>{reasons(of.refused_rows, of.refused_bodies)}</td>
    </tr>
  );
}

function Taken({ of, before }: { of: Status; before: Status | null }) {
  const seconds = before ? (parseMs(of.time) - parseMs(before.time)) / 1000 : 0;
  return (
    <section>
      <h2>Taken in</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="Taken in">
        <table class="table">
          <thead><tr><th>Signal</th><th class="num">Rows a second</th><th class="num">Rows since the start</th>{of.memory && <th class="num">Bytes sent</th>}<th>Refused, by reason</th></tr></thead>
          <tbody>{of.ingest.map((i) => <IngestRow key={i.signal} of={i} before={before?.ingest.find((b) => b.signal === i.signal)} seconds={seconds} />)}</tbody>
        </table>
      </div>
    </section>
  );
}

function Tenants({ of }: { of: Status }) {
  if (of.tenants.length < 2) return null;
  return (
    <section>
      <h2>Tenants since the start</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="Tenants">
        <table class="table">
          <thead><tr><th>Tenant</th><th class="num">Rows</th><th class="num">Bytes sent</th><th class="num">Questions</th><th>Over a limit</th></tr></thead>
          <tbody>
            {of.tenants.map((t) => <tr key={t.tenant}><th scope="row">{t.tenant}</th><td class="num"><Whole of={t.rows} /></td><td class="num"><Bytes of={t.ingest_bytes} /></td><td class="num">{grouped(t.queries)}</td><td>{reasons(t.over_limit)}</td></tr>)}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Traffic({ of }: { of: Status }) {
  const { http, access, queries } = of;
  return (
    <section>
      <h2>Traffic</h2>
      <dl class="pairs">
        <dt>Questions running</dt><dd>{grouped(queries.running)} of {grouped(queries.begun)} since the start{queries.waiting !== undefined && `; waiting ${grouped(queries.waiting)}, refused ${grouped(queries.refused ?? 0)}, given up by who asked ${grouped(queries.abandoned ?? 0)}`}</dd>
        {http && <><dt>Open connections</dt><dd>{grouped(http.connections)}; <Whole of={http.requests} /> requests, received <Bytes of={http.received_bytes} />, sent <Bytes of={http.sent_bytes} />; refused {grouped(http.refused)}</dd></>}
        {http?.certificate_expires && <><dt>Certificate ends</dt><dd><Moment at={http.certificate_expires} none="" /></dd></>}
        {access && <><dt>Access</dt><dd>{access.required ? `${grouped(access.tokens)} tokens, ${grouped(access.sessions)} sessions` : 'open to this machine: there are no tokens'}; refused: {reasons(access.refused)}</dd></>}
      </dl>
    </section>
  );
}

export function Health() {
  const { asked, before } = useStatus();
  return (
    <Permitted asked={asked} wait="Asking how clew is" role="operate" what="how clew is">
      {(s) => (
        <>
          <Checks of={s} />
          {s.tenant !== '*' && <p class="muted">These are the figures of tenant {s.tenant}. Memory, disk and network are the whole program's: a token of tenant * with the role operate sees them.</p>}
          <Machine of={s} />
          <Taken of={s} before={before} />
          <Traffic of={s} />
          <Tenants of={s} />
        </>
      )}
    </Permitted>
  );
}
