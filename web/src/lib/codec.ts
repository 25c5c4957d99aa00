// The state of a screen ↔ the query string of its URL. A field that has its default is left out, so that addresses stay short and
// two that mean the same are the same.

export interface Field<T> {
  read(values: string[]): T;
  /** [] where the value is the default. */
  write(value: T): string[];
}

export interface Codec<S> {
  read(query: string): S;
  /** "" or "?a=b…", fields in the order of the codec. */
  write(state: S): string;
}

export const text = (initial = ''): Field<string> => ({
  read: (v) => v[0] ?? initial,
  write: (s) => (s === initial ? [] : [s]),
});

export const flag = (): Field<boolean> => ({
  read: (v) => v[0] === 'true',
  write: (b) => (b ? ['true'] : []),
});

/** One of a set; anything else is the first. */
export const choice = <T extends string>(...of: [T, ...T[]]): Field<T> => ({
  read: (v) => of.find((o) => o === v[0]) ?? of[0],
  write: (s) => (s === of[0] ? [] : [s]),
});

/** A parameter that may come several times, at most `most` times; none: `initial`. */
export const list = (most = 32, initial: string[] = []): Field<string[]> => ({
  read: (v) => {
    const given = [...new Set(v.filter((s) => s !== ''))].slice(0, most);
    return given.length ? given : initial;
  },
  write: (v) => (v.join('\0') === initial.join('\0') ? [] : v),
});

export function codec<S>(fields: { [K in keyof S]: Field<S[K]> }): Codec<S> {
  const names = Object.keys(fields) as (keyof S & string)[];
  return {
    read(query) {
      const params = new URLSearchParams(query);
      return Object.fromEntries(names.map((n) => [n, fields[n].read(params.getAll(n))])) as S;
    },
    write(state) {
      const params = new URLSearchParams();
      for (const n of names) for (const v of fields[n].write(state[n])) params.append(n, v);
      const query = params.toString();
      return query ? `?${query}` : '';
    },
  };
}
