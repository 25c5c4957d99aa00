// A few bytes of OTLP protobuf by hand: what an SDK would refuse to send.
const varint = (n) => { const out = []; let v = BigInt(n); do { out.push(Number(v & 127n) | (v > 127n ? 128 : 0)); v >>= 7n; } while (v); return Buffer.from(out); };
export const bytes = (field, value) => { const b = Buffer.from(value); return Buffer.concat([varint(field << 3 | 2), varint(b.length), b]); };
export const number = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);
export const fixed64 = (field, value) => { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(value)); return Buffer.concat([varint(field << 3 | 1), b]); };
export const message = (field, ...parts) => bytes(field, Buffer.concat(parts));
export const attribute = (field, key, any) => message(field, bytes(1, key), bytes(2, any));
export const text = (field, key, value) => attribute(field, key, bytes(1, value));

export const now = () => BigInt(Date.now()) * 1000000n;
export const hex = (s) => Buffer.from(s, 'hex');

/** A span; every part may be replaced: {trace, id, start, end, name, extra}. */
export function span({ trace = '11'.repeat(16), id = '22'.repeat(8), parent, start = now(), end, name = 'work', extra = [] } = {}) {
  return message(2, bytes(1, hex(trace)), bytes(2, hex(id)), ...(parent ? [bytes(4, hex(parent))] : []), bytes(5, name), number(6, 1),
    fixed64(7, start), fixed64(8, end ?? start + 1000000n), ...extra);
}
export const traces = (spans, service = 'raw') => message(1, message(1, text(1, 'service.name', service)), message(2, ...spans));
export function log({ time = now(), body = 'hello', extra = [] } = {}) {
  return message(2, fixed64(1, time), number(2, 9), message(5, bytes(1, body)), ...extra);
}
export const logs = (records, service = 'raw') => message(1, message(1, text(1, 'service.name', service)), message(2, ...records));

export async function post(url, body, headers = {}) {
  const answer = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/x-protobuf', ...headers }, body });
  const data = Buffer.from(await answer.arrayBuffer());
  return { status: answer.status, type: answer.headers.get('content-type'), headers: answer.headers, data, text: data.toString('latin1') };
}
