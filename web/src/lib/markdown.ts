// A small Markdown: headings, paragraphs, lists, quotes, rules, code, bold, italic, links and tables. Never HTML: what looks like it is text.

export type Inline = { kind: 'text' | 'code' | 'bold' | 'italic'; text: string } | { kind: 'link'; text: string; href: string };
export type Block =
  | { kind: 'heading'; level: number; of: Inline[] }
  | { kind: 'paragraph' | 'quote'; of: Inline[] }
  | { kind: 'list'; ordered: boolean; items: Inline[][] }
  | { kind: 'table'; rows: Inline[][][] }
  | { kind: 'code'; text: string }
  | { kind: 'line' };

/** Where a link may lead: to the web, by mail, or within the page. */
export const safeHref = (href: string): string | null => (/^(https?:\/\/|mailto:)[^\s]+$/i.test(href) || /^\/(?![/\\])[^\s]*$/.test(href) || /^#[\w-]*$/.test(href) ? href : null);

const marks = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|__([^_\n]+)__|\*([^*\s][^*\n]*)\*|\b_([^_\n]+)_\b|\[([^\]\n]+)\]\(([^()\s]+)\)/g;

export function inlines(text: string): Inline[] {
  const out: Inline[] = [];
  let at = 0;
  const plain = (to: number): void => { if (to > at) out.push({ kind: 'text', text: text.slice(at, to) }); };
  for (const m of text.matchAll(marks)) {
    const href = m[7] === undefined ? null : safeHref(m[7]);
    if (m[7] !== undefined && href === null) continue; // it stays as it is written
    plain(m.index);
    if (m[1] !== undefined) out.push({ kind: 'code', text: m[1] });
    else if (m[2] !== undefined || m[3] !== undefined) out.push({ kind: 'bold', text: (m[2] ?? m[3])! });
    else if (m[4] !== undefined || m[5] !== undefined) out.push({ kind: 'italic', text: (m[4] ?? m[5])! });
    else out.push({ kind: 'link', text: m[6], href: href! });
    at = m.index + m[0].length;
  }
  plain(text.length);
  return out;
}

const cells = (line: string): string[] => line.trim().replace(/^\||\|$/g, '').split('|').map((c) => c.trim());
const isItem = (line: string): boolean => /^\s*([-*+]|\d+[.)])\s+/.test(line);

export function markdown(text: string): Block[] {
  const lines = text.replace(/\r\n?/g, '\n').split('\n'), out: Block[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i], heading = /^(#{1,4})\s+(.*?)\s*#*$/.exec(line);
    if (line.trim() === '') continue;
    if (/^\s*```/.test(line)) {
      const from = ++i;
      while (i < lines.length && !/^\s*```/.test(lines[i])) i++;
      out.push({ kind: 'code', text: lines.slice(from, i).join('\n') });
    } else if (heading) out.push({ kind: 'heading', level: heading[1].length, of: inlines(heading[2]) });
    else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) out.push({ kind: 'line' });
    else if (isItem(line)) {
      const items: Inline[][] = [], ordered = /^\s*\d/.test(line);
      for (; i < lines.length && isItem(lines[i]); i++) items.push(inlines(lines[i].replace(/^\s*([-*+]|\d+[.)])\s+/, '')));
      i--;
      out.push({ kind: 'list', ordered, items });
    } else if (line.includes('|') && /^[\s|:-]+$/.test(lines[i + 1] ?? '') && (lines[i + 1] ?? '').includes('-')) {
      const rows = [cells(line).map(inlines)];
      for (i += 2; i < lines.length && lines[i].includes('|'); i++) rows.push(cells(lines[i]).map(inlines));
      i--;
      out.push({ kind: 'table', rows });
    } else {
      const quote = /^\s*>/.test(line), part: string[] = [];
      for (; i < lines.length && lines[i].trim() !== '' && !/^\s*(```|#{1,4}\s)/.test(lines[i]) && !isItem(lines[i]) && /^\s*>/.test(lines[i]) === quote; i++) part.push(lines[i].replace(/^\s*>\s?/, '').trim());
      i--;
      out.push({ kind: quote ? 'quote' : 'paragraph', of: inlines(part.join(' ')) });
    }
  }
  return out;
}
