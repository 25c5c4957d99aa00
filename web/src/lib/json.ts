// JSON of the API. Integers beyond 2⁵³ are numbers there; here they become text, so that what is shown is what was sent.
const long = /[[:,]-?\d{16,}/;
const pieces = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g;

export function parseJson(text: string): unknown {
  if (!long.test(text)) return JSON.parse(text);
  return JSON.parse(text.replace(pieces, (p) => (p[0] === '"' || Number.isSafeInteger(Number(p)) ? p : `"${p}"`)));
}
