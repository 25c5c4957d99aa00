// Real senders of remote write: Debian's Prometheus and vmagent. What they scraped is what clew answers with.
import test from 'node:test';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { startClew, startSecured, until } from './clew.mjs';
import {
  PROTOBUF_EXPOSITION, freePort, labelsText, nativeFamily, prometheusOf, query, samplesOf, startPrometheus, startTarget, startVmagent,
} from './prometheus.mjs';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** A target whose numbers go on with each scrape; exemplars and units where OpenMetrics is asked for. */
function countingTarget() {
  let n = 0;
  return startTarget((accept) => {
    n++;
    const open = accept.includes('openmetrics');
    const lines = [
      '# TYPE e2e_requests counter', '# HELP e2e_requests Requests of the "test", \\\\ and more.',
      `e2e_requests_total{path="/ä/\\"q\\"",code="200"} ${n * 3}${open ? ` # {trace_id="${String(n).padStart(32, '0')}"} ${n}` : ''}`,
      `e2e_requests_total{path="/b",code="500"} ${n}`,
      '# TYPE e2e_wait_seconds histogram', `e2e_wait_seconds_bucket{le="0.1"} ${n}`, `e2e_wait_seconds_bucket{le="1"} ${2 * n}`,
      `e2e_wait_seconds_bucket{le="+Inf"} ${3 * n}`, `e2e_wait_seconds_sum ${n * 1.5}`, `e2e_wait_seconds_count ${3 * n}`,
      '# TYPE e2e_odd gauge', 'e2e_odd{is="nan"} NaN', 'e2e_odd{is="inf"} +Inf', 'e2e_odd{is="tiny"} 5e-324', `e2e_odd{is="wave"} ${Math.sin(n)}`,
    ];
    // the text format has no _total in the name of a counter's family
    const text = open ? [...lines, '# EOF'] : lines.map((l) => l.replace(/^# (TYPE|HELP) e2e_requests/, '# $1 e2e_requests_total'));
    return { type: open ? OPENMETRICS : 'text/plain; version=0.0.4', body: `${text.join('\n')}\n` };
  });
}

/** All samples of the window are the same on both sides, and there are enough of them. */
async function assertSame(sender, clew, selector, time, seconds, least, who) {
  const sent = await samplesOf(sender, selector, time, seconds);
  const got = await until(() => samplesOf(prometheusOf(clew), selector, time, seconds, who), (g) => [...sent].every(([k, v]) =>
    g.get(k)?.values.length === v.values.length && g.get(k)?.histograms.length === v.histograms.length), 30);
  let samples = 0;
  for (const [labels, series] of sent) {
    assert.deepEqual(got.get(labels), series, labels);
    samples += series.values.length + series.histograms.length;
  }
  assert.equal(got.size, sent.size);
  assert.ok(samples >= least, `${samples} samples in ${sent.size} series`);
  return { series: sent.size, samples };
}

/** The sender scrapes from about its fifth second on. */
const scrapedTimes = (sender, selector, least) => until(() => samplesOf(sender, selector, Date.now() / 1000, 60),
  (found) => [...found.values()].some((s) => s.values.length + s.histograms.length >= least), 40);

/** A time at which every sender has been asked about everything before it. */
async function settledTime() {
  const time = Date.now() / 1000;
  await pause(2500);
  return time;
}

test('what Prometheus scraped is what clew has: samples, stale markers, metadata, exemplars', { timeout: 120000 }, async () => {
  const clew = await startClew(), target = await countingTarget(), port = await freePort();
  const sender = await startPrometheus({ targets: [target.address, `127.0.0.1:${port}`], url: `${clew.api}/prometheus/api/v1/write`, port });
  try {
    await scrapedTimes(sender.url, 'up', 8);
    const time = await settledTime();
    const { series } = await assertSame(sender.url, clew, '{job="e2e"}', time, 6, 1000);
    assert.ok(series > 300, `${series} series`);
    const metadata = await until(async () => (await fetch(`${prometheusOf(clew)}/api/v1/metadata?metric=e2e_requests`)).json(), (a) => a.data?.e2e_requests);
    assert.deepEqual(metadata.data.e2e_requests, [{ type: 'counter', help: 'Requests of the "test", \\ and more.', unit: '' }]);
    const exemplars = async (from) => (await (await fetch(`${from}/api/v1/query_exemplars?query=e2e_requests_total&start=${time - 6}&end=${time}`)).json()).data;
    const sent = await exemplars(sender.url);
    const got = await until(() => exemplars(prometheusOf(clew)), (e) => e[0]?.exemplars.length >= sent[0].exemplars.length);
    assert.ok(sent[0].exemplars.length >= 4);
    assert.deepEqual(got, sent);
    await target.stop(); // its series end with a stale marker
    const ended = await until(() => query(prometheusOf(clew), 'e2e_requests_total'), (r) => r.length === 0);
    assert.deepEqual(ended, []);
    assert.equal((await query(prometheusOf(clew), `e2e_requests_total @ ${time}`)).length, 2);
    assert.doesNotMatch(sender.log(), /level=(error|warn).*remote/);
  } finally {
    await sender.stop();
    assert.deepEqual(await clew.stop(), { code: 0, signal: null });
  }
});

test('native histograms that Prometheus scraped arrive bucket by bucket', { timeout: 60000 }, async () => {
  const clew = await startClew(), port = await freePort();
  let n = 0;
  const target = await startTarget(() => {
    n++;
    const fine = { schema: 8, count: 300 * n, sum: n, offset: -20, deltas: [n, ...Array(299).fill(0)] }; // every bound that there is
    return { type: PROTOBUF_EXPOSITION, body: Buffer.concat([
      nativeFamily('e2e_native', { count: 6 * n, sum: 12.5 * n, offset: -2, deltas: [n, n, -n, n] }), nativeFamily('e2e_native_fine', fine)]) };
  });
  const sender = await startPrometheus({ targets: [target.address], url: `${clew.api}/prometheus/api/v1/write`, port });
  try {
    await scrapedTimes(sender.url, 'e2e_native', 5);
    const time = await settledTime();
    await assertSame(sender.url, clew, '{__name__=~"e2e_native.*"}', time, 5, 8);
    const [sum] = await query(prometheusOf(clew), 'histogram_sum(e2e_native) / histogram_count(e2e_native)', time);
    assert.equal(Number(sum.value[1]), 12.5 / 6);
  } finally {
    await sender.stop();
    await target.stop();
    await clew.stop();
  }
});

test('vmagent sends, too', { timeout: 60000 }, async () => {
  const clew = await startClew(), target = await countingTarget(), port = await freePort();
  const sender = await startVmagent({ targets: [target.address, `127.0.0.1:${port}`], url: `${clew.api}/prometheus/api/v1/write`, port });
  try {
    const counters = await until(() => query(prometheusOf(clew), 'e2e_requests_total'), (r) => r.length === 2, 30);
    const paths = counters.map((c) => labelsText(c.metric));
    assert.ok(paths.includes(labelsText({ __name__: 'e2e_requests_total', path: '/ä/"q"', code: '200', job: 'e2e', instance: target.address })), paths.join());
    await pause(4000);
    const time = await settledTime();
    const window = await samplesOf(prometheusOf(clew), '{__name__=~"e2e_requests_total"}', time, 5);
    for (const { values } of window.values()) {
      assert.ok(values.length >= 4);
      const steps = values.slice(1).map(([, v], i) => v - values[i][1]);
      assert.ok(steps.every((s) => s === steps[0] && s > 0), `none is lost or doubled: ${JSON.stringify(values)}`);
    }
    const [up] = await query(prometheusOf(clew), `up{instance="${target.address}"}`, time);
    assert.equal(up.value[1], '1');
    assert.ok((await query(prometheusOf(clew), 'count({instance="127.0.0.1:' + port + '"})', time))[0].value[1] > 100, 'its own figures');
    const refused = await query(prometheusOf(clew), 'sum(vmagent_remotewrite_requests_total{status_code!="2XX"})', time);
    assert.ok(!refused.length || Number(refused[0].value[1]) === 0);
  } finally {
    await sender.stop();
    await target.stop();
    await clew.stop();
  }
});

test('both send by TLS with a token', { timeout: 60000 }, async () => {
  const clew = await startSecured(), target = await countingTarget();
  const access = { token: clew.sends, caFile: join(clew.dir, 'certificate.pem') }, url = `${clew.api}/prometheus/api/v1/write`;
  const prometheus = await startPrometheus({ targets: [target.address], url, port: await freePort(), access });
  const vmagent = await startVmagent({ targets: [target.address.replace('127.0.0.1', 'localhost')], url, port: await freePort(), access });
  try {
    await until(() => query(prometheusOf(clew), 'count by (instance) (e2e_requests_total)', undefined, clew), (r) => r.length === 2, 30);
  } finally {
    await prometheus.stop();
    await vmagent.stop();
    await target.stop();
    await clew.stop();
  }
});

test('killed while Prometheus sends, and started again: nothing acknowledged is lost, what waited comes', { timeout: 120000 }, async () => {
  const apiPort = await freePort(), options = ['--listen', `127.0.0.1:${apiPort}`];
  let clew = await startClew(options);
  const target = await countingTarget(), port = await freePort();
  const sender = await startPrometheus({ targets: [target.address], url: `${clew.api}/prometheus/api/v1/write`, port });
  try {
    await scrapedTimes(sender.url, 'up', 1);
    for (let round = 0; round < 3; round++) {
      await pause(2500);
      await clew.stop({ signal: 'SIGKILL', keep: true });
      await pause(1000);
      clew = await startClew(options, clew.dir);
    }
    await pause(2000);
    const time = await settledTime();
    await assertSame(sender.url, clew, '{job="e2e"}', time, 10, 100);
  } finally {
    await sender.stop();
    await target.stop();
    await clew.stop();
  }
});
