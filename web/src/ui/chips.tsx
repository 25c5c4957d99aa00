// Values that do something: attributes that can become conditions, and what can be copied.
import type { Attributes } from '../lib/api';
import { attributeKey, condition } from '../lib/where';

/** Copies by what is selected, as browsers do where a page is served without TLS and has no clipboard; false: they do not. */
function copyBySelection(text: string): boolean {
  const field = document.createElement('textarea'), before = document.activeElement as HTMLElement | null;
  field.value = text;
  field.className = 'sr';
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  before?.focus();
  return done;
}

export function copy(text: string): void {
  const bySelection = (): void => say(copyBySelection(text) ? 'Copied' : 'Not copied: the browser lets no page copy here');
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => say('Copied'), bySelection);
  else bySelection();
}

let sayTimer = 0;

/** Says a short sentence, also to screen readers. */
export function say(text: string): void {
  const place = document.getElementById('say');
  if (!place) return;
  place.textContent = text;
  place.hidden = false;
  clearTimeout(sayTimer);
  sayTimer = window.setTimeout(() => (place.hidden = true), 1600);
}

/** A button that copies. */
export function CopyButton({ what, text, big }: { what: string; text: string; big?: boolean }) {
  return (
    <button type="button" class={big ? 'button quiet icon' : 'copy'} title="Copy" aria-label={`Copy ${what}`} onClick={() => copy(text)}>
      <svg viewBox="0 0 16 16" width="13" height="13" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.5"><rect x="5.5" y="5.5" width="8" height="8" rx="1.5" /><path d="M10.5 3.5v-1h-8v8h1" /></svg>
    </button>
  );
}

const show = (v: unknown): string => (typeof v === 'string' ? v : JSON.stringify(v));

const icons = {
  group: 'M2.5 3.5h11M2.5 8h7M2.5 12.5h4',
  column: 'M2.5 2.5h11v11h-11zM8 2.5v11',
  all: 'M6 10l4-4M7.5 4.5L9 3a2.8 2.8 0 014 4l-1.5 1.5M8.5 11.5L7 13a2.8 2.8 0 01-4-4l1.5-1.5',
};
function Icon({ of }: { of: keyof typeof icons }) {
  return <svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.5"><path d={icons[of]} /></svg>;
}

/** What can be done with a value, the same wherever one stands: filter, exclude, group, show as a column, copy, see elsewhere, take it as the id that
 * ties spans and records together. */
export function Acts({ name, text, filter, exclude, group, column, pivot, all }: {
  name: string; text: string; filter?: (() => void) | null; exclude?: (() => void) | null; group?: (() => void) | null; column?: (() => void) | null; pivot?: { href: string; text: string } | null; all?: string | null;
}) {
  return (
    <span class="acts">
      {filter && <button title="Filter by this" aria-label={`Filter by ${name}`} onClick={filter}>=</button>}
      {exclude && <button title="Exclude this" aria-label={`Exclude this ${name}`} onClick={exclude}>≠</button>}
      {group && <button title={`Group by ${name}`} aria-label={`Group by ${name}`} onClick={group}><Icon of="group" /></button>}
      {column && <button title={`${name} as a column`} aria-label={`Column ${name}`} onClick={column}><Icon of="column" /></button>}
      <CopyButton what={name} text={text} />
      {all && <a href={all} title="Everything with this, across traces and logs" aria-label={`Everything with this ${name}`}><Icon of="all" /></a>}
      {pivot && <a href={pivot.href} title={pivot.text} aria-label={`${pivot.text}: ${name}`}>→</a>}
    </span>
  );
}

const idLongest = 256; // bytes of what an id may be, as the server has it

/** Attributes as a table, each value with what can be done with it. `onFilter` gets a condition, `onGroup` and `onColumn` a key, `all` a key and a value. */
export function Values({ of, prefix, label, onFilter, onGroup, onColumn, pivot, all }: {
  of: Attributes; prefix: string; label: string; onFilter?: (where: string) => void; onGroup?: (key: string) => void; onColumn?: (key: string) => void;
  pivot?: { text: string; link: (where: string) => string }; all?: (key: string, value: string) => string;
}) {
  const names = Object.keys(of);
  if (names.length === 0) return <p class="muted">None.</p>;
  return (
    <table class="values" aria-label={label}>
      <tbody>
        {names.map((name) => {
          const is = condition(prefix, name, '=', of[name]), not = condition(prefix, name, '!=', of[name]), key = attributeKey(prefix, name);
          return (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>
                {show(of[name])}
                <Acts name={name} text={show(of[name])} filter={onFilter && is ? () => onFilter(is) : null} exclude={onFilter && not ? () => onFilter(not) : null}
                  group={onGroup ? () => onGroup(key) : null} column={onColumn ? () => onColumn(key) : null} pivot={pivot && is ? { href: pivot.link(is), text: pivot.text } : null}
                  all={all && is && show(of[name]) && new TextEncoder().encode(show(of[name])).length <= idLongest ? all(key, show(of[name])) : null} />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** The tone of a service: by its name, so that it is the same on every screen; of two that would share one, the later takes the next. */
const tones = new Map<string, number>();
export function serviceColour(name: string): string {
  let tone = tones.get(name);
  if (tone === undefined) {
    let hash = 2166136261;
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619);
    tone = (hash >>> 8) % 8;
    const taken = new Set(tones.values());
    for (let k = 0; k < 8 && taken.has(tone); k++) tone = (tone + 1) % 8;
    tones.set(name, tone);
  }
  return `service-${tone}`;
}
export function Dot({ service }: { service: string }) {
  return <i class="dot" style={{ background: `var(--${serviceColour(service)})` }} aria-hidden="true" />;
}

const longName = 36; // letters; what is longer is cut, and told when it is pointed at
/** A service by its name, with its tone: as a link where `href` leads somewhere. A name of any length takes a column's width at most. */
export function Who({ service, href, strong }: { service: string; href?: string; strong?: boolean }) {
  return <span class="who" title={service.length > longName ? service : undefined}><Dot service={service} />{href ? <a class={strong ? 'strong' : undefined} href={href}>{service}</a> : service}</span>;
}
