// What to paste to send something to this clew: by its own address, with a token where it wants one.

export interface Snippet {
  name: string;
  lines: string;
}

/** 32 or 16 hex digits, never all zero. */
export function randomHex(bytes: number): string {
  const v = crypto.getRandomValues(new Uint8Array(bytes));
  v[0] |= 1;
  return Array.from(v, (b) => b.toString(16).padStart(2, '0')).join('');
}

function curlBody(traceId: string, spanId: string): string {
  const span = `{"traceId":"${traceId}","spanId":"${spanId}","name":"hello clew","kind":2,"startTimeUnixNano":"'$(date +%s)'000000000","endTimeUnixNano":"'$(date +%s)'042000000"}`;
  return `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"curl"}}]},"scopeSpans":[{"spans":[${span}]}]}]}`;
}

/** `origin`: of this page, whose port takes OTLP below /otlp and gRPC at its root. */
export function snippets(origin: string, needsToken: boolean, traceId: string, spanId: string): Snippet[] {
  const endpoint = `${origin}/otlp`;
  const env = [`export OTEL_EXPORTER_OTLP_ENDPOINT=${endpoint}`, 'export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf', 'export OTEL_SERVICE_NAME=my-service',
    'export OTEL_LOGS_EXPORTER=otlp OTEL_METRICS_EXPORTER=otlp', ...(needsToken ? ['export OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20$CLEW_TOKEN"'] : [])].join('\n');
  const header = needsToken ? `  -H "Authorization: Bearer $CLEW_TOKEN" \\\n` : '';
  const collector = `exporters:
  otlphttp/clew:
    endpoint: ${endpoint}${needsToken ? '\n    headers:\n      authorization: "Bearer ${env:CLEW_TOKEN}"' : ''}
service:
  pipelines:
    traces: { receivers: [otlp], exporters: [otlphttp/clew] }
    logs: { receivers: [otlp], exporters: [otlphttp/clew] }
    metrics: { receivers: [otlp], exporters: [otlphttp/clew] }`;
  const prometheus = `# prometheus.yml
remote_write:
  - url: ${origin}/prometheus/api/v1/write
    send_exemplars: true${needsToken ? '\n    authorization: { credentials: "…" } # what CLEW_TOKEN holds' : ''}`;
  return [
    { name: 'curl', lines: `curl -i ${endpoint}/v1/traces \\\n  -H 'Content-Type: application/json' \\\n${header}  -d '${curlBody(traceId, spanId)}'` },
    { name: 'curl a metric', lines: `echo 'hello_clew{job="curl"} 42' |\n  curl -i ${origin}/api/v1/import -H 'Content-Type: text/plain' \\\n${header}  --data-binary @-` },
    { name: 'Node.js', lines: `npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node\n${env}\nnode --require @opentelemetry/auto-instrumentations-node/register app.js` },
    { name: 'Python', lines: `pip install opentelemetry-distro opentelemetry-exporter-otlp\nopentelemetry-bootstrap -a install\n${env}\nopentelemetry-instrument python app.py` },
    { name: 'Java', lines: `curl -LO https://github.com/open-telemetry/opentelemetry-java-instrumentation/releases/latest/download/opentelemetry-javaagent.jar\n${env}\njava -javaagent:opentelemetry-javaagent.jar -jar app.jar` },
    { name: 'Any SDK', lines: env },
    { name: 'Collector', lines: collector },
    { name: 'Prometheus', lines: prometheus },
  ];
}
