// How long telemetry stays, who said so, what another setting would take away, and how it is set.
import { retentionText, type Retention as Answered, type Setting } from '../../lib/admin';
import { useQuestion } from '../../lib/api';
import { plural } from '../../lib/format';
import { PartialNote } from '../states';
import { Bytes, Moment, Permitted, Snippet, Whole } from './parts';

const origins: Record<Setting['from'], (s: Setting) => string> = {
  default: () => 'the default',
  environment: (s) => `${s.variable} in the environment`,
  flag: (s) => `the flag ${s.flag}`,
};
const origin = (s: Setting): string => origins[s.from](s);

function InForce({ of }: { of: Answered['settings'] }) {
  const { retention_ns: r, disk_use_max_percent: use, disk_free_min_percent: free } = of;
  return (
    <dl class="pairs">
      <dt>Kept</dt><dd><b>{retentionText(r.value)}</b>, by {origin(r)}. A part goes when its newest row is older; older rows in it are no longer shown.</dd>
      <dt>Disk</dt><dd>at most <b>{use.value} %</b> of the file system ({origin(use)}) and <b>{free.value} %</b> of it free ({origin(free)}); beyond that the oldest day goes, whatever the retention.</dd>
    </dl>
  );
}

type Signal = Answered['signals'][number];

function Now({ signals }: { signals: Signal[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="What is kept now">
      <table class="table">
        <thead><tr><th>Signal</th><th>Oldest row</th><th class="num">Rows</th><th class="num">Bytes</th><th class="num">Rows a day</th><th class="num">Bytes a day</th></tr></thead>
        <tbody>
          {signals.map((s) => (
            <tr key={s.signal}>
              <th scope="row">{s.signal}</th>
              <td><Moment at={s.oldest} none="none yet" /></td>
              <td class="num"><Whole of={s.rows + s.memory.rows} /></td>
              <td class="num"><Bytes of={s.bytes} /></td>
              {s.mean_per_day ? <td class="num"><Whole of={s.mean_per_day.rows} /></td> : <td class="num muted">no full day yet</td>}
              {s.mean_per_day ? <td class="num"><Bytes of={s.mean_per_day.bytes} /></td> : <td class="num muted">–</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Preview({ signals, now }: { signals: Signal[]; now: number }) {
  const days = signals[0]?.would_go.map((w) => w.retention_days) ?? [];
  return (
    <section>
      <h2>What would go</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="What would go">
        <table class="table">
          <thead><tr><th>With a retention of</th>{signals.map((s) => <th key={s.signal} class="num">{s.signal}</th>)}<th class="num">Together</th></tr></thead>
          <tbody>
            {days.map((d, i) => (
              <tr key={d}>
                <th scope="row">{d} days{now === d * 86_400e9 && <span class="muted"> (in force)</span>}</th>
                {signals.map((s) => <td key={s.signal} class="num">{s.would_go[i].rows ? <><Bytes of={s.would_go[i].bytes} />, {plural(s.would_go[i].rows, 'row')}</> : <span class="muted">nothing</span>}</td>)}
                <td class="num"><Bytes of={signals.reduce((sum, s) => sum + s.would_go[i].bytes, 0)} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

export function Retention() {
  const asked = useQuestion<Answered>('/api/v1/admin/retention');
  return (
    <Permitted asked={asked} wait="Adding up the days" role="operate" what="how long telemetry stays">
      {(r) => (
        <>
          <PartialNote of={r} />
          <InForce of={r.settings} />
          <section>
            <h2>What is kept now</h2>
            <Now signals={r.signals} />
          </section>
          <Preview signals={r.signals} now={r.settings.retention_ns.value} />
          <section>
            <h2>To change it</h2>
            <p>It is set where clew is started, and holds from its next start on. Of the Debian package that is this line of <code>/etc/default/clew</code>, and <code>systemctl restart clew</code>:</p>
            <Snippet label="Line of /etc/default/clew" text={`${r.settings.retention_ns.variable}=14d`} />
            <p>Started by hand, a flag, which wins over the environment:</p>
            <Snippet label="Command" text={`clew serve ${r.settings.retention_ns.flag} 14d`} />
            <p class="muted">0 keeps everything, as far as the disk goes ({r.settings.disk_use_max_percent.flag}, {r.settings.disk_free_min_percent.flag}). One retention holds for spans and logs of every tenant.</p>
          </section>
        </>
      )}
    </Permitted>
  );
}
