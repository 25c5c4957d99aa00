// The frame of the page: navigation, looks, keys, and the screen that the address names.
import { render, type ComponentType } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { post } from './lib/api';
import { listenForKeys, useKeys } from './lib/keys';
import { followLinks, go, setScreenTitle, useAddress } from './lib/nav';
import { applyTheme, isDark, setPrefs, usePrefs } from './lib/prefs';
import { correlationsLink, dashboardsLink, errorsLink, homeLink, loginLink, logsLink, mapLink, metricsLink, placeOf, propagationLink, rulesLink, settingsLink, targetsLink, tracesLink, type ScreenName } from './lib/screens';
import Home from './screens/home';
import { copy } from './ui/chips';
import { Help, Palette } from './ui/palette';
import { Empty } from './ui/states';

type Screen = ComponentType<{ id: string }>;
const load: Record<Exclude<ScreenName, 'home'>, () => Promise<{ default: Screen }>> = {
  map: () => import('./screens/map'),
  service: () => import('./screens/service'),
  errors: () => import('./screens/errors'),
  traces: () => import('./screens/traces'),
  trace: () => import('./screens/trace'),
  compare: () => import('./screens/compare'),
  correlations: () => import('./screens/correlations'),
  propagation: () => import('./screens/propagation'),
  logs: () => import('./screens/logs'),
  metrics: () => import('./screens/metrics'),
  cardinality: () => import('./screens/cardinality'),
  targets: () => import('./screens/targets'),
  rules: () => import('./screens/rules'),
  dashboards: () => import('./screens/dashboards'),
  dashboard: () => import('./screens/dashboard'),
  start: () => import('./screens/start'),
  settings: () => import('./screens/settings'),
  login: () => import('./screens/login'),
};
const loaded: Partial<Record<ScreenName, Screen>> = { home: Home }; // the first that is seen, so it comes with the frame
const titles: Record<ScreenName, string> = { home: 'Overview', map: 'Service map', service: 'Service', errors: 'Errors', traces: 'Traces', trace: 'Trace', compare: 'Two traces', correlations: 'Correlations', propagation: 'Correlation health', logs: 'Logs', metrics: 'Metrics', cardinality: 'Cardinality', targets: 'Targets', rules: 'Rules', dashboards: 'Dashboards', dashboard: 'Dashboard', start: 'Getting started', settings: 'Settings', login: 'Log in' };

/** icon.svg once more: as an image it is a document of its own, which takes as long to make as the frame. */
const Mark = () => <svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" /><path d="M7 10h13M10 16h15M13 22h8" /></svg>;

function Navigation({ at }: { at: ScreenName | undefined }) {
  const links: [string, string, ScreenName[]][] = [['Overview', homeLink(), ['home', 'service']], ['Map', mapLink(), ['map']], ['Errors', errorsLink(), ['errors']], ['Traces', tracesLink(), ['traces', 'trace', 'compare']], ['Correlations', correlationsLink(), ['correlations', 'propagation']], ['Logs', logsLink(), ['logs']], ['Metrics', metricsLink(), ['metrics', 'cardinality', 'targets']], ['Dashboards', dashboardsLink(), ['dashboards', 'dashboard']], ['Rules', rulesLink(), ['rules']], ['Getting started', '/start', ['start']], ['Settings', settingsLink(), ['settings']]];
  const nav = useRef<HTMLElement>(null);
  useLayoutEffect(() => { // where they do not all fit
    const n = nav.current, here = n?.querySelector<HTMLElement>('[aria-current]');
    if (n && here) n.scrollLeft = Math.max(0, here.offsetLeft - n.offsetLeft - (n.clientWidth - here.offsetWidth) / 2);
  }, [at]);
  return (
    <nav class="nav" aria-label="Screens" ref={nav}>
      {links.map(([name, href, of]) => <a key={name} href={href} aria-current={at && of.includes(at) ? 'page' : undefined}>{name}</a>)}
    </nav>
  );
}

function Tools({ palette, help }: { palette: () => void; help: () => void }) {
  const prefs = usePrefs();
  const dark = isDark();
  const logout = (): void => void post('/api/v1/logout').finally(() => { setPrefs({ user: '' }); go(loginLink()); });
  return (
    <div class="tools">
      <button class="button quiet" onClick={palette} title="Commands (Ctrl K)"><span class="hide-small">Find</span> <kbd>Ctrl K</kbd></button>
      <button class="button quiet icon" aria-label={dark ? 'Light theme' : 'Dark theme'} title={dark ? 'Light theme' : 'Dark theme'} onClick={() => setPrefs({ theme: dark ? 'light' : 'dark' })}>{dark ? '☀' : '☾'}</button>
      <button class="button quiet icon" aria-label="Keys" title="Keys (?)" onClick={help}>?</button>
      {prefs.user && <button class="button quiet" title={`Logged in as ${prefs.user}`} onClick={logout}>Log out</button>}
    </div>
  );
}

function useScreenOf(name: ScreenName | undefined): [Screen | null, string] {
  const [, again] = useState(0);
  const [failed, setFailed] = useState('');
  useLayoutEffect(() => { // before the frame is painted: the file is on its way meanwhile
    setFailed('');
    if (!name || name === 'home' || loaded[name]) return;
    load[name]().then((m) => { loaded[name] = m.default; again((n) => n + 1); }, () => setFailed(name));
  }, [name]);
  return [name ? (loaded[name] ?? null) : null, failed];
}

function Page() {
  useAddress();
  const place = placeOf(location.pathname);
  const [Screen, failed] = useScreenOf(place?.screen);
  const [dialog, setDialog] = useState<'' | 'palette' | 'help'>('');
  useKeys({
    'ctrl+k': () => setDialog(dialog === 'palette' ? '' : 'palette'), '?': () => setDialog('help'), 'g h': () => go(homeLink()), 'g v': () => go(mapLink()), 'g e': () => go(errorsLink()), 'g t': () => go(tracesLink()),
    'g c': () => go(correlationsLink()), 'g p': () => go(propagationLink()), 'g l': () => go(logsLink()), 'g m': () => go(metricsLink()), 'g a': () => go(targetsLink()), 'g d': () => go(dashboardsLink()), 'g r': () => go(rulesLink()), 'g s': () => go('/start'), 'g ,': () => go(settingsLink()), y: () => copy(location.href), '/': () => document.querySelector<HTMLElement>('[data-search]')?.focus(),
  });
  useLayoutEffect(() => setScreenTitle(place ? titles[place.screen] : ''), [place?.screen]); // before what is on it says better
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById('main')?.focus(); }}>Skip to the content</a>
      <header class="bar">
        <a class="brand" href="/"><Mark />clew</a>
        {place?.screen !== 'login' && <Navigation at={place?.screen} />}
        <Tools palette={() => setDialog('palette')} help={() => setDialog('help')} />
      </header>
      <main id="main" tabIndex={-1}>
        {Screen && place ? <Screen id={place.id} key={place.screen + place.id} />
          : failed ? <Empty whole title="This screen could not be loaded" actions={<button class="button main" onClick={() => location.reload()}>Load the page anew</button>}>clew may have been updated, or does not answer.</Empty>
          : place ? <p class="muted">Loading …</p>
          : <Empty whole title="There is no such screen" actions={<a class="button main" href="/">To the overview</a>}>The address {location.pathname} leads nowhere. A trace's id has 32 hexadecimal digits.</Empty>}
      </main>
      <div id="say" class="note" role="status" hidden />
      {dialog === 'palette' && <Palette close={() => setDialog('')} help={() => setDialog('help')} />}
      {dialog === 'help' && <Help close={() => setDialog('')} />}
    </>
  );
}

applyTheme();
followLinks();
listenForKeys();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => setPrefs({}));
const root = document.getElementById('root')!;
root.textContent = '';
render(<Page />, root);
