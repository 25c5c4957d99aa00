/* What mends lost context, by what is lost and in which language: OpenTelemetry's own APIs, as their documentation has them. */
#include "insight/propagation.h"

enum topic { TOPIC_SEND, TOPIC_TAKE, TOPIC_ID, TOPIC_LOGS, TOPIC_LOG_ID, TOPIC_PARENTS, TOPICS };
enum language { JAVASCRIPT, PYTHON, JAVA, GO, DOTNET, OTHER, LANGUAGES };
static const char *const language_names[LANGUAGES] = {"javascript", "python", "java", "go", "dotnet", "other"};

/* telemetry.sdk.language → a column below. */
static const struct {
    const char *sdk;
    enum language language;
} sdks[] = {{"nodejs", JAVASCRIPT}, {"webjs", JAVASCRIPT}, {"python", PYTHON}, {"java", JAVA}, {"go", GO},
            {"dotnet", DOTNET}};

static const char *const titles[TOPICS] = {
    [TOPIC_SEND] = "Send the trace context with the call",
    [TOPIC_TAKE] = "Take the trace context out of the request",
    [TOPIC_ID] = "Pass the correlation id on as baggage, and set it on spans",
    [TOPIC_LOGS] = "Write log records within the span's context",
    [TOPIC_LOG_ID] = "Add the correlation id to log records",
    [TOPIC_PARENTS] = "Export all spans of a trace, or none",
};

static const char *const snippets[TOPICS][LANGUAGES] = {
    [TOPIC_SEND] =
        {
            "const { context, propagation } = require('@opentelemetry/api');\n"
            "const headers = {};\n"
            "propagation.inject(context.active(), headers);\n"
            "await fetch(url, { headers });\n",
            "from opentelemetry.propagate import inject\n"
            "headers = {}\n"
            "inject(headers)\n"
            "requests.get(url, headers=headers)\n",
            "HttpRequest.Builder request = HttpRequest.newBuilder(uri);\n"
            "GlobalOpenTelemetry.getPropagators().getTextMapPropagator()\n"
            "    .inject(Context.current(), request, HttpRequest.Builder::header);\n",
            "req, _ := http.NewRequestWithContext(ctx, \"GET\", url, nil)\n"
            "client := http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}\n"
            "resp, err := client.Do(req)\n",
            "builder.Services.AddOpenTelemetry().WithTracing(t => t\n"
            "    .AddHttpClientInstrumentation()\n"
            "    .AddOtlpExporter());\n",
            "Send the header of W3C Trace Context with each call:\n"
            "traceparent: 00-<trace id, 32 digits>-<span id of the call, 16 digits>-01\n",
        },
    [TOPIC_TAKE] =
        {
            "const { context, propagation } = require('@opentelemetry/api');\n"
            "const parent = propagation.extract(context.active(), request.headers);\n"
            "context.with(parent, () => tracer.startActiveSpan('handle', handle));\n",
            "from opentelemetry.propagate import extract\n"
            "with tracer.start_as_current_span(\"handle\", context=extract(request.headers), kind=SpanKind.SERVER):\n"
            "    handle(request)\n",
            "Context parent = GlobalOpenTelemetry.getPropagators().getTextMapPropagator()\n"
            "    .extract(Context.current(), request, getter);\n"
            "Span span = tracer.spanBuilder(\"handle\").setParent(parent).setSpanKind(SpanKind.SERVER).startSpan();\n",
            "otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(\n"
            "    propagation.TraceContext{}, propagation.Baggage{}))\n"
            "http.Handle(\"/\", otelhttp.NewHandler(handler, \"handle\"))\n",
            "builder.Services.AddOpenTelemetry().WithTracing(t => t\n"
            "    .AddAspNetCoreInstrumentation()\n"
            "    .AddOtlpExporter());\n",
            "Read the header traceparent of the request: its trace id becomes that of the span, its span id the "
            "parent.\n"
            "Proxies and queues between must pass the header on.\n",
        },
    [TOPIC_ID] =
        {
            "const { context, propagation, trace } = require('@opentelemetry/api');\n"
            "// where the request comes in\n"
            "const bag = propagation.createBaggage({ correlation_id: { value: id } });\n"
            "context.with(propagation.setBaggage(context.active(), bag), handle);\n"
            "// in each service\n"
            "const entry = propagation.getActiveBaggage()?.getEntry('correlation_id');\n"
            "if (entry) trace.getActiveSpan()?.setAttribute('correlation_id', entry.value);\n",
            "from opentelemetry import baggage, context, trace\n"
            "# where the request comes in\n"
            "token = context.attach(baggage.set_baggage(\"correlation_id\", id))\n"
            "# in each service\n"
            "if value := baggage.get_baggage(\"correlation_id\"):\n"
            "    trace.get_current_span().set_attribute(\"correlation_id\", value)\n",
            "// where the request comes in\n"
            "Baggage.current().toBuilder().put(\"correlation_id\", id).build().makeCurrent();\n"
            "// in each service\n"
            "String value = Baggage.current().getEntryValue(\"correlation_id\");\n"
            "if (value != null) Span.current().setAttribute(\"correlation_id\", value);\n",
            "// where the request comes in\n"
            "member, _ := baggage.NewMember(\"correlation_id\", id)\n"
            "bag, _ := baggage.New(member)\n"
            "ctx = baggage.ContextWithBaggage(ctx, bag)\n"
            "// in each service\n"
            "if v := baggage.FromContext(ctx).Member(\"correlation_id\").Value(); v != \"\" {\n"
            "    trace.SpanFromContext(ctx).SetAttributes(attribute.String(\"correlation_id\", v))\n"
            "}\n",
            "// where the request comes in\n"
            "Baggage.SetBaggage(\"correlation_id\", id);\n"
            "// in each service\n"
            "var value = Baggage.GetBaggage(\"correlation_id\");\n"
            "if (value is not null) Activity.Current?.SetTag(\"correlation_id\", value);\n",
            "Send the header of W3C Baggage with each call, and set the attribute correlation_id on spans:\n"
            "baggage: correlation_id=<id>\n",
        },
    [TOPIC_LOGS] =
        {
            "// before the logger is required\n"
            "const { getNodeAutoInstrumentations } = require('@opentelemetry/auto-instrumentations-node');\n"
            "new NodeSDK({ instrumentations: [getNodeAutoInstrumentations()] }).start(); // pino, winston, bunyan\n",
            "from opentelemetry.instrumentation.logging import LoggingInstrumentor\n"
            "LoggingInstrumentor().instrument(set_logging_format=True)\n",
            "java -javaagent:opentelemetry-javaagent.jar -Dotel.logs.exporter=otlp -jar app.jar\n",
            "logger := otelslog.NewLogger(\"app\")\n"
            "logger.InfoContext(ctx, \"order placed\") // with the context, not Info\n",
            "builder.Logging.AddOpenTelemetry(o => {\n"
            "    o.IncludeScopes = true;\n"
            "    o.AddOtlpExporter();\n"
            "});\n",
            "Set trace_id and span_id of the log record from the span that is active when it is written.\n"
            "Records outside of any request have none, and need none.\n",
        },
    [TOPIC_LOG_ID] =
        {
            "const id = propagation.getActiveBaggage()?.getEntry('correlation_id')?.value;\n"
            "logger.child({ correlation_id: id }).info('order placed');\n",
            "logger.info(\"order placed\", extra={\"correlation_id\": baggage.get_baggage(\"correlation_id\")})\n",
            "MDC.put(\"correlation_id\", Baggage.current().getEntryValue(\"correlation_id\"));\n",
            "logger.InfoContext(ctx, \"order placed\", \"correlation_id\",\n"
            "    baggage.FromContext(ctx).Member(\"correlation_id\").Value())\n",
            "using (logger.BeginScope(new Dictionary<string, object?> {\n"
            "    [\"correlation_id\"] = Baggage.GetBaggage(\"correlation_id\") }))\n"
            "    logger.LogInformation(\"order placed\");\n",
            "Add the attribute correlation_id to the log record, or to its JSON body.\n",
        },
    [TOPIC_PARENTS] =
        {
            "OTEL_TRACES_SAMPLER=parentbased_always_on   # the same in all services of a trace\n"
            "process.on('SIGTERM', () => sdk.shutdown());  // sends what is still waiting\n",
            "OTEL_TRACES_SAMPLER=parentbased_always_on   # the same in all services of a trace\n"
            "trace.get_tracer_provider().shutdown()      # at exit: sends what is still waiting\n",
            "-Dotel.traces.sampler=parentbased_always_on  the same in all services of a trace\n",
            "sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample()))\n"
            "defer provider.Shutdown(ctx) // sends what is still waiting\n",
            "tracing.SetSampler(new ParentBasedSampler(new AlwaysOnSampler()));\n",
            "Let all services of a trace follow the sampling flag of traceparent, export to one place, and send what "
            "waits "
            "before they end.\nA proxy that makes spans of its own must export them, or pass traceparent on "
            "unchanged.\n",
        },
};

static enum language language_of(struct str sdk) {
    for (size_t i = 0; i < LENGTH(sdks); i++)
        if (str_equal(sdk, str_of(sdks[i].sdk))) return sdks[i].language;
    return OTHER;
}

static struct propagation_advice advice(enum topic topic, struct str service, struct str sdk) {
    enum language language = language_of(sdk);
    return (struct propagation_advice){service, language_names[language], titles[topic], snippets[topic][language]};
}

uint32_t propagation_advise(const struct propagation_finding *f,
                            struct propagation_advice out[PROPAGATION_ADVICE_MAX]) {
    switch (f->kind) {
    case PROPAGATION_LOST_TRACE:
        out[0] = advice(TOPIC_SEND, f->caller, f->caller_language);
        out[1] = advice(TOPIC_TAKE, f->service, f->language);
        return 2;
    case PROPAGATION_LOST_ID:
        out[0] = advice(TOPIC_ID, f->caller, f->caller_language);
        out[1] = advice(TOPIC_ID, f->service, f->language);
        return out[0].snippet == out[1].snippet ? 1 : 2;
    case PROPAGATION_LOG_WITHOUT_TRACE: out[0] = advice(TOPIC_LOGS, f->service, f->language); return 1;
    case PROPAGATION_LOG_WITHOUT_ID: out[0] = advice(TOPIC_LOG_ID, f->service, f->language); return 1;
    case PROPAGATION_MISSING_PARENT: out[0] = advice(TOPIC_PARENTS, f->service, f->language); return 1;
    case PROPAGATION_KINDS: break;
    }
    return 0;
}
