// Settings: how clew is, what it keeps and what that takes, who may ask. Each section is an address and one question.
import type { ComponentType } from 'preact';
import { useScreen } from '../lib/nav';
import { settings, settingsLink, type SettingsState } from '../lib/screens';
import { Health } from '../ui/settings/health';
import { Retention } from '../ui/settings/retention';
import { StorageUse } from '../ui/settings/storage';
import { Tokens } from '../ui/settings/tokens';

const sections: [SettingsState['section'], string, ComponentType][] = [['health', 'Health', Health], ['storage', 'Storage', StorageUse], ['retention', 'Retention', Retention], ['tokens', 'Tokens', Tokens]];

export default function Settings() {
  const [{ section }] = useScreen(settings);
  const Section = sections.find(([name]) => name === section)![2];
  return (
    <div class="settings">
      <h1>Settings</h1>
      <nav class="tabs" aria-label="Sections">
        {sections.map(([name, title]) => <a key={name} href={settingsLink({ section: name })} aria-current={name === section ? 'page' : undefined}>{title}</a>)}
      </nav>
      <Section key={section} />
    </div>
  );
}
