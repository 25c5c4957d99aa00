// Targets for the bench of scraping: COUNT ports on loopback, each of SERIES series as a node exporter has them; prints a prometheus.yml for them, then serves.
// node bench/targets.mjs COUNT SERIES INTERVAL
import http from 'node:http';

const [count, series, interval] = [Number(process.argv[2] ?? 500), Number(process.argv[3] ?? 500), process.argv[4] ?? '15s'];
const modes = ['idle', 'iowait', 'irq', 'nice', 'softirq', 'steal', 'system', 'user'];

/** Half of the values move between scrapes, as those of an exporter do: the body is put together anew each time, from halves that are ready. */
const lines = [];
for (let i = 0; lines.length < series; i++) {
  const family = Math.floor(i / 50);
  lines.push(`node_family_${family}_total{cpu="${i % 8}",device="disk${i % 50}",mode="${modes[i % 8]}"} `);
}
const heads = lines.map((line, i) => (i % 50 === 0 ? `# HELP ${line.split('{')[0]} Seconds that something of a machine took.\n# TYPE ${line.split('{')[0]} counter\n` : ''));
function body(seed) {
  const t = Math.floor(Date.now() / 1000) - 1.7e9;
  let out = '';
  for (let i = 0; i < lines.length; i++) out += `${heads[i]}${lines[i]}${i % 2 ? seed * 1000 + i : (t * (i % 7 + 1) + seed * 100 + i / 4)}\n`;
  return out;
}

const ports = [];
for (let n = 0; n < count; n++) {
  const server = http.createServer((request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' });
    response.end(body(n));
  });
  server.keepAliveTimeout = 120000;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  ports.push(server.address().port);
}
console.log(`global: { scrape_interval: ${interval}, scrape_timeout: 10s }
scrape_configs:
  - job_name: node
    static_configs: [{ targets: [${ports.map((p) => `'127.0.0.1:${p}'`).join(', ')}] }]
    metric_relabel_configs: [{ source_labels: [__name__], regex: 'node_scrape_.*', action: drop }]
# ready`);
