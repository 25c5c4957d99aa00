// The difference to the period before, beside a figure.
import { change } from '../lib/format';

/** `worse`: which direction is bad, so that it may be red; the sign says it too. `share`: the figures are shares, told in points. */
export function Change({ now, before, show, worse, share }: { now: number; before: number | null | undefined; show: (v: number) => string; worse?: 'more'; share?: boolean }) {
  if (before === null || before === undefined || (now === 0 && before === 0)) return null;
  const text = change(now, before, share), bad = worse === 'more' && (text.startsWith('+') || text.startsWith('×') || text === 'new');
  return <small class={bad ? 'change bad' : 'change'} title={`${show(before)} in the period before`}>{text}</small>;
}
