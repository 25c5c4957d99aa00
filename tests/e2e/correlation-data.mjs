// Requests that go by an id, for tests of the page: of several traces, with records that name no trace, with rows that lost the id; and one of any size. By OTLP/JSON.

const attributes = (of) => Object.entries(of).map(([key, v]) => ({ key, value: typeof v === 'number' ? { intValue: String(v) } : { stringValue: v } }));
const hex = (n, digits) => n.toString(16).padStart(digits, '0');
export const traceOf = (k) => `c0ffee${hex(k, 26)}`;
export const spanOf = (k, i) => hex(0x5a000000 + k * 100 + i, 16);

async function send(url, body) {
  const answer = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  if (answer.status !== 200) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
}
const resource = (service, language = 'nodejs') => ({ attributes: attributes({ 'service.name': service, 'deployment.environment.name': 'prod', 'telemetry.sdk.language': language }) });
const byService = (rows) => [...new Set(rows.map((r) => r.service))].map((service) => [service, rows.filter((r) => r.service === service).map((r) => r.row)]);
const nanos = (ms) => `${Math.round(ms * 1000)}000`;

export async function sendSpans(clew, rows) {
  for (let at = 0; at < rows.length; at += 5000)
    await send(`${clew.otlp}/v1/traces`, { resourceSpans: byService(rows.slice(at, at + 5000)).map(([service, spans]) => ({ resource: resource(service), scopeSpans: [{ scope: { name: 'shop' }, spans }] })) });
}
export async function sendLogs(clew, rows) {
  for (let at = 0; at < rows.length; at += 5000)
    await send(`${clew.otlp}/v1/logs`, { resourceLogs: byService(rows.slice(at, at + 5000)).map(([service, logRecords]) => ({ resource: resource(service), scopeLogs: [{ logRecords }] })) });
}

/** [k, i, parent, service, name, kind, start ms, duration ms, more]: a span as OTLP/JSON. */
export const span = (k, i, parent, service, name, kind, ms, took, { failed = false, ...more } = {}) => ({ service, row: {
  traceId: traceOf(k), spanId: spanOf(k, i), parentSpanId: parent < 0 ? '' : spanOf(k, parent), name, kind, startTimeUnixNano: nanos(ms), endTimeUnixNano: nanos(ms + took), attributes: attributes(more), status: failed ? { code: 2, message: 'card refused' } : {},
} });
export const log = (k, i, service, severityNumber, ms, body, more = {}) => ({ service, row: {
  timeUnixNano: nanos(ms), severityNumber, severityText: severityNumber > 16 ? 'ERROR' : 'INFO', body: { stringValue: body }, ...(k === null ? {} : { traceId: traceOf(k), spanId: spanOf(k, i) }), attributes: attributes(more),
} });

/** `n` orders: each a trace of a checkout, a quarter of an hour later one of a mail by the same id, and a record that names no trace. Every fifth fails. One trace has no id. */
export async function orders(clew, { n = 20, end = Date.now() - 5000 } = {}) {
  const spans = [], logs = [];
  for (let o = 0; o < n; o++) {
    const id = `order-${1000 + o}`, k = o * 2, failed = o % 5 === 0, at = end - 1_000_000 - (n - 1 - o) * 20_000, mail = at + 900_000;
    spans.push(
      span(k, 0, -1, 'gateway', 'POST /api/orders', 2, at, 120, { correlation_id: id, 'order.id': id, 'customer.id': `user-${o % 3}` }),
      span(k, 1, 0, 'gateway', 'HTTP POST', 3, at + 4, 110), span(k, 2, 1, 'orders', 'POST /orders', 2, at + 6, 104, { failed }),
      span(k, 3, 2, 'orders', 'SELECT stock', 3, at + 10, 12, { 'db.system.name': 'postgresql', 'db.namespace': 'orders' }),
      span(k, 4, 2, 'orders', 'HTTP POST', 3, at + 30, 70, { failed }), span(k, 5, 4, 'payment', 'POST /process', 2, at + 33, 60, { failed, correlation_id: id }),
      span(k + 1, 0, -1, 'notification', 'POST /send', 2, mail, 80, { correlation_id: id }), span(k + 1, 1, 0, 'notification', 'send-email', 1, mail + 5, 60),
    );
    logs.push(
      log(k, 0, 'gateway', 9, at + 1, `order received: ${id}`), log(k, 5, 'payment', failed ? 17 : 9, at + 80, failed ? 'card refused: insufficient funds' : 'payment taken'),
      log(null, 0, 'ledger', 9, at + 150, JSON.stringify({ message: 'booked', correlation_id: id })),
    );
  }
  spans.push(span(9000, 0, -1, 'cron', 'nightly', 1, end - 60_000, 40));
  await sendSpans(clew, spans);
  await sendLogs(clew, logs);
}

/** One id on n rows of 40 traces, two of three spans. */
export async function large(clew, id, n, end = Date.now() - 20_000) {
  const spans = [], logs = [];
  for (let i = 0; i < n; i++) {
    const k = 20_000 + (i % 40), at = end - 60_000 + (i / n) * 50_000;
    if (i % 3) spans.push({ service: `service-${i % 9}`, row: { ...span(k, 0, -1, '', `operation ${i % 50}`, 1, at, 5 + (i % 400), { correlation_id: id, failed: i % 300 === 1 }).row, spanId: hex(0x77000000 + i, 16) } });
    else logs.push({ ...log(k, 0, `service-${i % 9}`, i % 600 ? 9 : 17, at, `step ${i} of it`, { correlation_id: id }) });
  }
  await sendSpans(clew, spans);
  await sendLogs(clew, logs);
}
