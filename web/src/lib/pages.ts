// A list that comes page after page, all asked with the same question.
import { useEffect, useState } from 'preact/hooks';
import { get, useQuestion, type Asked, type Failure, type Params } from './api';

interface Page {
  next_cursor: string | null;
}

export function usePages<P extends Page>(path: string, params: Params): { first: Asked<P>; pages: P[]; cursor: string | null; load: () => void; busy: boolean; failure: Failure | null } {
  const first = useQuestion<P>(path, params);
  const [more, setMore] = useState<{ of: P | null; pages: P[]; busy: boolean; failure: Failure | null }>({ of: null, pages: [], busy: false, failure: null });
  useEffect(() => setMore({ of: first.data, pages: [], busy: false, failure: null }), [first.data]);
  const pages = first.data ? [first.data, ...(more.of === first.data ? more.pages : [])] : [], cursor = pages.length ? pages[pages.length - 1].next_cursor : null;
  const load = (): void => {
    if (!cursor || more.busy) return;
    const of = first.data;
    setMore({ ...more, busy: true, failure: null });
    get<P>(path, { ...params, cursor }).then(
      (page) => setMore((m) => (m.of === of ? { of, pages: [...m.pages, page], busy: false, failure: null } : m)),
      (failure: Failure) => setMore((m) => (m.of === of ? { ...m, busy: false, failure } : m)),
    );
  };
  return { first, pages, cursor, load, busy: more.busy, failure: more.failure };
}
