// What telemetry takes on disk, top offenders first, and the rule that drops one.
import { useState } from 'preact/hooks';
import { columnName, dropRule, exactBytes, type Column, type SignalStorage, type Storage as Answered } from '../../lib/admin';
import { post, useQuestion, type Failure } from '../../lib/api';
import { count, grouped, plural } from '../../lib/format';
import { useScreen } from '../../lib/nav';
import { logsLink, settings, tracesLink } from '../../lib/screens';
import { FailureNote, Empty, PartialNote } from '../states';
import { Bar, Bytes, Moment, Permitted, Share, Snippet, Whole } from './parts';

function Flush({ done }: { done: () => void }) {
  const [state, setState] = useState<Failure | 'busy' | null>(null);
  const flush = (): void => {
    setState('busy');
    post('/api/v1/admin/flush').then(() => { setState(null); done(); }, (e: Failure) => setState(e));
  };
  if (state && state !== 'busy') return <FailureNote failure={state} again={flush} />;
  return <button class="button" disabled={state === 'busy'} onClick={flush}>{state === 'busy' ? 'Writing …' : 'Write them to disk now'}</button>;
}

function Totals({ of, again }: { of: SignalStorage; again: () => void }) {
  return (
    <div class="facts">
      <span><b><Bytes of={of.bytes} /></b> on disk</span>
      <span><b><Whole of={of.rows} /></b> rows in {plural(of.parts, 'part')}</span>
      {of.rows > 0 && <span><b>{(of.bytes / of.rows).toFixed(1)}</b> bytes a row</span>}
      <span>oldest <b><Moment at={of.oldest} none="none" /></b></span>
      {of.memory.rows > 0 && <span><b><Whole of={of.memory.rows} /></b> rows still in memory <Flush done={again} /></span>}
    </div>
  );
}

const idOf = (c: Column): string => `${c.set}/${c.type}/${c.name}`;

function Dropping({ of, column, close }: { of: SignalStorage; column: Column; close: () => void }) {
  return (
    <aside class="note block" aria-label={`Dropping ${column.name}`}>
      <h3>Dropping {column.name}</h3>
      <p>Its values take <b title={exactBytes(column.bytes)}><Bytes of={column.bytes} /></b>, <Share part={column.bytes} of={of.bytes} /> of all {of.signal}; texts of it that stand in dictionaries come on top. This rule drops it from what comes in from now on; what is stored stays until it is deleted or old. Add it to the file of <code>clew serve --redact FILE</code> and restart:</p>
      <Snippet text={dropRule(of.signal, column)} label="Rule of redaction" />
      {/[*?]/.test(column.name) && <p class="muted">In a rule, * and ? stand for any letters: this one matches other names, too.</p>}
      <div><button class="button" onClick={close}>Close</button></div>
    </aside>
  );
}

function ColumnRow({ column, of, pick }: { column: Column; of: SignalStorage; pick: () => void }) {
  return (
    <tr>
      <th scope="row" class="what">
        {column.kind === 'attribute' ? <button class="link" title={`${columnName(column)}: what dropping it saves`} onClick={pick}>{columnName(column)}</button> : columnName(column)}
        {column.type && <span class="muted"> {column.type}</span>}
      </th>
      <td class="wide"><Bar part={column.bytes} of={of.columns[0].bytes} /></td>
      <td class="num"><Bytes of={column.bytes} /></td>
      <td class="num"><Share part={column.bytes} of={of.bytes} /></td>
      <td class="num">{column.values === undefined ? '' : <span title={grouped(column.values)}>{count(column.values)}</span>}</td>
      <td class="num">{column.values ? (column.bytes / column.values).toFixed(2) : ''}</td>
      <td class="num">{column.sampled_values === undefined ? '' : <span title={`of ${grouped(column.sampled_values)} values looked at`}>≈ {count(column.distinct_values ?? 0)}</span>}</td>
    </tr>
  );
}

function Columns({ of }: { of: SignalStorage }) {
  const [{ column }, set] = useScreen(settings);
  const picked = of.columns.find((c) => c.kind === 'attribute' && idOf(c) === column);
  return (
    <section>
      <h2>By field and attribute</h2>
      {picked && <Dropping of={of} column={picked} close={() => set({ column: '' })} />}
      <div class="scroll" tabIndex={0} role="region" aria-label="Bytes by field and attribute">
        <table class="table sizes">
          <thead><tr><th>Column</th><th class="wide"><span class="sr">Size as a bar</span></th><th class="num">Bytes</th><th class="num">Share</th><th class="num">Values</th><th class="num">Bytes a value</th><th class="num">Differ</th></tr></thead>
          <tbody>{of.columns.map((c) => <ColumnRow key={c.kind + idOf(c)} column={c} of={of} pick={() => set({ column: idOf(c) })} />)}</tbody>
        </table>
      </div>
      {of.columns_left_out.count > 0 && <p class="muted">and {plural(of.columns_left_out.count, 'smaller column')}, together <Bytes of={of.columns_left_out.bytes} /></p>}
    </section>
  );
}

function Services({ of, method }: { of: SignalStorage; method: string }) {
  const link = (service: string): string => (of.signal === 'spans' ? tracesLink({ service, start: 'now-24h' }) : logsLink({ service, start: 'now-24h' }));
  return (
    <section>
      <h2>By service</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="Bytes by service">
        <table class="table sizes">
          <thead><tr><th>Service</th><th class="wide"><span class="sr">Size as a bar</span></th><th class="num">Bytes</th><th class="num">Share</th><th class="num">Rows</th></tr></thead>
          <tbody>
            {of.services.map((s) => (
              <tr key={s.service}>
                <th scope="row" class="what"><a href={link(s.service)}>{s.service}</a></th>
                <td class="wide"><Bar part={s.bytes} of={of.services[0].bytes} /></td>
                <td class="num"><Bytes of={s.bytes} /></td>
                <td class="num"><Share part={s.bytes} of={of.bytes} /></td>
                <td class="num"><Whole of={s.rows} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {of.services_left_out.count > 0 && <p class="muted">and {plural(of.services_left_out.count, 'smaller service')}, together <Bytes of={of.services_left_out.bytes} /></p>}
      <p class="muted">{method}.</p>
    </section>
  );
}

export function Days({ days }: { days: SignalStorage['days'] }) {
  const most = Math.max(...days.map((d) => d.bytes), 1);
  if (!days.length) return null;
  return (
    <section>
      <h2>By day</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="Bytes by day">
        <table class="table sizes">
          <thead><tr><th>Day (UTC)</th><th class="wide"><span class="sr">Size as a bar</span></th><th class="num">Bytes</th><th class="num">Rows</th><th class="num">Parts</th></tr></thead>
          <tbody>{[...days].reverse().map((d) => <tr key={d.day}><th scope="row">{d.day}</th><td class="wide"><Bar part={d.bytes} of={most} /></td><td class="num"><Bytes of={d.bytes} /></td><td class="num"><Whole of={d.rows} /></td><td class="num">{grouped(d.parts)}</td></tr>)}</tbody>
        </table>
      </div>
    </section>
  );
}

export function StorageUse() {
  const [{ signal }, set] = useScreen(settings);
  const asked = useQuestion<Answered>('/api/v1/admin/storage', { signal, distinct: true, limit: 50 });
  return (
    <>
      <div class="group" role="group" aria-label="Signal">
        {(['spans', 'logs'] as const).map((s) => <button key={s} class="button" aria-pressed={signal === s} onClick={() => set({ signal: s, column: '' })}>{s === 'spans' ? 'Spans' : 'Logs'}</button>)}
      </div>
      <Permitted asked={asked} wait="Adding up what the parts hold" role="operate" what="what telemetry takes">
        {({ signals: [of], method, ...rest }) => of && (
          <>
            <PartialNote of={rest} />
            <Totals of={of} again={asked.again} />
            {of.bytes === 0 ? (
              <Empty title={`No ${of.signal} on disk yet`} actions={<a class="button" href="/start">Getting started</a>}>{of.memory.rows ? 'Rows go to disk about a minute after they came; until then the log keeps them safe.' : `Nothing was sent yet, or retention has taken it.`}</Empty>
            ) : (
              <>
                <Columns of={of} />
                <Services of={of} method={method.services} />
                <Days days={of.days} />
              </>
            )}
          </>
        )}
      </Permitted>
    </>
  );
}
