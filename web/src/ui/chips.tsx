// Values that do something: attributes that can become conditions, and what can be copied.
import type { Attributes } from '../lib/api';
import { condition } from '../lib/where';

export function copy(text: string): void {
  void navigator.clipboard?.writeText(text);
  say('Copied');
}

/** Says a short sentence, also to screen readers. */
export function say(text: string): void {
  const place = document.getElementById('say');
  if (!place) return;
  place.textContent = text;
  place.hidden = false;
  setTimeout(() => (place.hidden = true), 1600);
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

/** Attributes as a table; on each value: filter, exclude, copy. `onFilter` gets a condition. */
export function Values({ of, prefix, label, onFilter }: { of: Attributes; prefix: string; label: string; onFilter?: (where: string) => void }) {
  const names = Object.keys(of);
  if (names.length === 0) return <p class="muted">None.</p>;
  return (
    <table class="values" aria-label={label}>
      <tbody>
        {names.map((name) => {
          const is = condition(prefix, name, '=', of[name]), not = condition(prefix, name, '!=', of[name]);
          return (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>
                {show(of[name])}
                <span class="acts">
                  {onFilter && is && <button title="Filter by this" aria-label={`Filter by ${name}`} onClick={() => onFilter(is)}>=</button>}
                  {onFilter && not && <button title="Exclude this" aria-label={`Exclude this ${name}`} onClick={() => onFilter(not)}>≠</button>}
                  <CopyButton what={name} text={show(of[name])} />
                </span>
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
