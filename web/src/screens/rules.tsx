// Rules: what fires, the groups of files and of the team, and the editor of a group with its test against the past.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { get, useQuestion } from '../lib/api';
import { duration, plural, short } from '../lib/format';
import { useKeys } from '../lib/keys';
import { go, useScreen } from '../lib/nav';
import type { Envelope } from '../lib/prom';
import { allAlerts, evaluated, healthOf, listGroups, showLabels, type Alert, type Group, type Health, type Listed, type RowHead, type Rule } from '../lib/rules';
import { metricsLink, rules, rulesLink, type RulesState } from '../lib/screens';
import { RuleEditor } from '../ui/ruleeditor';
import { Moment } from '../ui/settings/parts';
import { Answer, Empty, FailureNote, Progress } from '../ui/states';

const againMs = 15_000, rulesShown = 100, groupsShown = 200, alertsShown = 100;
type Set = (some: Partial<RulesState>, replace?: boolean) => void;

const healthText: Record<Health, string> = { bad: 'broken', firing: 'firing', pending: 'pending', waiting: 'not evaluated yet', ok: 'ok' };
const healthClass: Record<Health, string> = { bad: 'tag error', firing: 'tag error', pending: 'tag warn', waiting: 'tag', ok: 'tag' };
const Tag = ({ of }: { of: Health }) => <span class={healthClass[of]}>{healthText[of]}</span>;

/* ---- alerts ---- */

function AlertRow({ alert, name }: { alert: Alert; name: string }) {
  return (
    <tr>
      <td><Tag of={alert.state} /></td>
      <th scope="row" class="strong">{name}<span class="mono labels-of">{showLabels(alert.labels)}</span></th>
      <td class="says">{alert.annotations.summary ?? alert.annotations.description ?? ''}</td>
      <td class="num" title={alert.value}>{short(Number(alert.value.replace(/Inf$/, 'Infinity')))}</td>
      <td><Moment at={alert.activeAt} none="" /></td>
    </tr>
  );
}

function Alerts({ groups }: { groups: readonly Group[] }) {
  const all = useMemo(() => allAlerts(groups), [groups]);
  const [whole, setWhole] = useState(false);
  if (all.length === 0) return <p class="muted">Nothing fires, and nothing is about to.</p>;
  const shown = whole ? all : all.slice(0, alertsShown);
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label="Alerts">
        <table class="table alerts">
          <thead><tr><th>State</th><th>Alert</th><th>Says</th><th class="num">Value</th><th>Since</th></tr></thead>
          <tbody>{shown.map(({ alert, rule, group }) => <AlertRow key={`${group.file} ${group.name} ${showLabels(alert.labels)} ${rule.name}`} alert={alert} name={rule.name} />)}</tbody>
        </table>
      </div>
      {shown.length < all.length && <div class="more"><button class="button" onClick={() => setWhole(true)}>Show all {plural(all.length, 'alert')}</button></div>}
    </>
  );
}

/* ---- groups ---- */

function RuleRow({ rule }: { rule: Rule }) {
  const health: Health = rule.health === 'err' ? 'bad' : rule.health === 'unknown' ? 'waiting' : rule.state === 'firing' || rule.state === 'pending' ? rule.state : 'ok';
  return (
    <tr>
      <td><Tag of={health} /></td>
      <th scope="row" class="strong">{rule.name}<span class="muted kind">{rule.type === 'recording' ? 'records' : rule.duration ? `alerts after ${duration(rule.duration * 1e9)}` : 'alerts'}</span></th>
      <td class="expr">
        <a class="mono cut" href={metricsLink({ query: [rule.query] })} title={rule.query}>{rule.query}</a>
        {rule.lastError && <span class="wrong">{rule.lastError}</span>}
      </td>
      <td class="num">{rule.alerts?.length ? plural(rule.alerts.length, 'alert') : ''}</td>
    </tr>
  );
}

function GroupBox({ of, open }: { of: Listed; open: boolean }) {
  const g = of.group, health = healthOf(of), last = g && evaluated(g.lastEvaluation);
  return (
    <details class="rulegroup" open={open}>
      <summary>
        <span class="strong">{of.name}</span>
        <Tag of={health} />
        <span class="muted grow cut" title={of.row ? undefined : g?.file}>{of.row ? `version ${of.row.version}${of.row.updated_by && ` by ${of.row.updated_by}`}` : g?.file}</span>
        {g && <span class="muted hide-small">{plural(g.rules.length, 'rule')}, each {duration(g.interval * 1e9)}</span>}
        <span class="muted hide-small">{last && <>evaluated <Moment at={last} none="" /></>}</span>
      </summary>
      <div class="row">
        {of.row ? <><a class="button" href={rulesLink({ id: of.row.id })} aria-label={`Edit ${of.name}`}>Edit</a><a class="button" href={`/api/v1/rules/${of.row.id}/file`} download={`${of.row.id}.yml`} aria-label={`Export ${of.name}`}>Export</a></> : <span class="muted">Of a file: change it there, and clew reads it again.</span>}
      </div>
      {g?.error && <p class="wrong">{g.error}</p>}
      {!g && <p class="muted">It is kept, and will be evaluated in a moment.</p>}
      {g && g.rules.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={`Rules of ${of.name}`}>
          <table class="table ruletable">
            <thead><tr><th>State</th><th>Rule</th><th>Expression</th><th class="num">Alerts</th></tr></thead>
            <tbody>{g.rules.slice(0, rulesShown).map((r, i) => <RuleRow key={i} rule={r} />)}</tbody>
          </table>
        </div>
      )}
      {g && g.rules.length > rulesShown && <p class="muted">And {g.rules.length - rulesShown} more.</p>}
    </details>
  );
}

const order: Record<Health, number> = { bad: 0, firing: 1, pending: 2, waiting: 3, ok: 3 };

function Groups({ all, state, set }: { all: Listed[]; state: RulesState; set: Set }) {
  const words = state.find.toLowerCase();
  const found = all.filter((l) => (state.show === 'all' || (state.show === 'bad' ? healthOf(l) === 'bad' : state.show === 'rows' ? l.row !== null : l.row === null))
    && (words === '' || [l.name, l.group?.file ?? '', ...(l.group?.rules.map((r) => r.name) ?? [])].some((t) => t.toLowerCase().includes(words))));
  const sorted = [...found].sort((a, b) => order[healthOf(a)] - order[healthOf(b)]);
  return (
    <>
      <div class="head">
        <h2>Groups</h2>
        <div class="group" role="group" aria-label="Which">{([['all', 'All'], ['rows', 'Kept here'], ['files', 'Of files'], ['bad', 'Broken']] as const).map(([v, name]) => <button key={v} class="button" aria-pressed={state.show === v} onClick={() => set({ show: v })}>{name}</button>)}</div>
        <input class="field short" aria-label="Find a rule or group" data-search="" placeholder="Find a rule or group" value={state.find} spellcheck={false} autocomplete="off" onInput={(e) => set({ find: e.currentTarget.value }, true)} />
        <span class="muted" role="status">{plural(found.length, 'group')}</span>
      </div>
      {found.length === 0 && <p class="muted">None is of that kind.</p>}
      <div class="stack">{sorted.slice(0, groupsShown).map((l) => <GroupBox key={l.key} of={l} open={found.length <= 5 || order[healthOf(l)] < 3} />)}</div>
      {found.length > groupsShown && <p class="muted">And {found.length - groupsShown} more: find them by their names.</p>}
    </>
  );
}

/* ---- the screen ---- */

function List({ state, set }: { state: RulesState; set: Set }) {
  const asked = useQuestion<Envelope<{ groups: Group[] }>>('/prometheus/api/v1/rules'), rows = useQuestion<{ rules: RowHead[] }>('/api/v1/rules');
  const again = (): void => { asked.again(); rows.again(); };
  useKeys({ r: again, n: () => go(rulesLink({ edit: 'new' })) });
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === 'visible' && again(), againMs);
    return () => clearInterval(timer);
  }, []);
  return (
    <>
      <div class="head">
        <h1>Rules</h1>
        <a class="button main" href={rulesLink({ edit: 'new' })}>New group</a>
        <a class="button" href="/api/v1/rules-file" download="rules.yml">Export all</a>
        <button class="button icon" aria-label="Refresh" title="Refresh (r)" onClick={again}>↻</button>
      </div>
      {rows.failure && <FailureNote failure={rows.failure} again={rows.again} />}
      <Answer asked={asked} wait="Asking for the rules">
        {({ data }) => {
          const all = listGroups(data.groups, rows.data?.rules ?? []);
          if (all.length === 0 && rows.data)
            return <Empty title="There are no rules" actions={<a class="button main" href={rulesLink({ edit: 'new' })}>Write the first group</a>}>A rule asks a question in PromQL again and again: it records the answer, or says so when there is one. Write a group here, or start clew with <code>--rules 'rules/*.yml'</code> for files as Prometheus has them.</Empty>;
          return <><h2>Alerts</h2><Alerts groups={data.groups} /><Groups all={all} state={state} set={set} /></>;
        }}
      </Answer>
    </>
  );
}

/** A kept group as a file, with the tag of the revision that it was: the tag is asked for first, so that it is never newer. */
async function readRow(id: string, signal: AbortSignal): Promise<{ text: string; tag: string; name: string }> {
  const { tag, name } = await get<RowHead>(`/api/v1/rules/${encodeURIComponent(id)}`, {}, signal);
  const text = await get<string>(`/api/v1/rules/${encodeURIComponent(id)}/file`, {}, signal, (t) => t);
  return { text, tag, name };
}

function Edit({ id, state, set }: { id: string; state: RulesState; set: Set }) {
  const [row, setRow] = useState<{ text: string; tag: string; name: string } | null>(null);
  const [failed, setFailed] = useState<Error | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setRow(null);
    setFailed(null);
    readRow(id, stop.signal).then(setRow, (e: Error) => !stop.signal.aborted && setFailed(e));
    return () => stop.abort();
  }, [id, turn]);
  if (failed) return <Empty whole title="This group cannot be read" actions={<><button class="button main" onClick={() => setTurn(turn + 1)}>Try again</button><a class="button" href={rulesLink()}>All rules</a></>}>{failed.message}</Empty>;
  if (!row) return <><Progress on text="Reading the group" /><p class="muted">Reading the group …</p></>;
  return <RuleEditor key={`${id} ${row.tag}`} id={id} of={row} state={state} set={set} again={() => setTurn(turn + 1)} />;
}

export default function Rules() {
  const [state, set] = useScreen(rules);
  if (state.edit === 'new') return <RuleEditor key="new" id="" of={null} state={state} set={set} again={() => undefined} />;
  return state.id ? <Edit id={state.id} state={state} set={set} /> : <List state={state} set={set} />;
}
