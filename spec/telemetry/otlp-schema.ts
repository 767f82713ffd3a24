/**
 * The messages of OTLP as protobufjs reads them from a schema: an oracle for specs, independent of
 * how the gateway walks the bytes. Field numbers are those of opentelemetry-proto 1.x.
 */
import protobuf from 'protobufjs'

const schema = `
syntax = "proto3";
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; KeyValueList kvlist_value = 6; } }
message KeyValueList { repeated KeyValue values = 1; }
message KeyValue { string key = 1; AnyValue value = 2; }
message Scope { string name = 1; string version = 2; repeated KeyValue attributes = 3; }
message Resource { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }
message Exemplar { repeated KeyValue filtered_attributes = 7; fixed64 time_unix_nano = 2; double as_double = 3; }
message Point { repeated KeyValue attributes = 7; fixed64 time_unix_nano = 3; double as_double = 4; sfixed64 as_int = 6; repeated Exemplar exemplars = 5; }
message HistogramPoint { repeated KeyValue attributes = 9; fixed64 count = 4; repeated fixed64 bucket_counts = 6; repeated Exemplar exemplars = 8; }
message ExpPoint { repeated KeyValue attributes = 1; fixed64 count = 4; repeated Exemplar exemplars = 11; }
message SummaryPoint { repeated KeyValue attributes = 7; fixed64 count = 4; }
message Gauge { repeated Point data_points = 1; }
message Sum { repeated Point data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }
message Histogram { repeated HistogramPoint data_points = 1; int32 aggregation_temporality = 2; }
message ExpHistogram { repeated ExpPoint data_points = 1; int32 aggregation_temporality = 2; }
message Summary { repeated SummaryPoint data_points = 1; }
message Metric { string name = 1; string unit = 3; Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9; ExpHistogram exponential_histogram = 10; Summary summary = 11; repeated KeyValue metadata = 12; }
message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; string schema_url = 3; }
message Metrics { repeated ResourceMetrics resource_metrics = 1; }
message LogRecord { fixed64 time_unix_nano = 1; int32 severity_number = 2; AnyValue body = 5; repeated KeyValue attributes = 6; bytes trace_id = 9; }
message ScopeLogs { Scope scope = 1; repeated LogRecord log_records = 2; }
message ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2; }
message Logs { repeated ResourceLogs resource_logs = 1; }
message Event { fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3; }
message Link { bytes trace_id = 1; repeated KeyValue attributes = 4; }
message Span { bytes trace_id = 1; string name = 5; repeated KeyValue attributes = 9; repeated Event events = 11; repeated Link links = 13; string later = 1000; }
message ScopeSpans { Scope scope = 1; repeated Span spans = 2; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Traces { repeated ResourceSpans resource_spans = 1; }
`
const { root } = protobuf.parse(schema)

type Message = 'Metrics' | 'Logs' | 'Traces'

export function encode(name: Message, value: object): Uint8Array {
  const type = root.lookupType(name)
  return type.encode(type.fromObject(value)).finish()
}

export function decode(name: Message, bytes: Uint8Array): unknown {
  const type = root.lookupType(name)
  return type.toObject(type.decode(bytes), { longs: String, bytes: String })
}

/** An attribute as every format of OTLP writes it. */
export function attribute(key: string, stringValue: string): object {
  return { key, value: { stringValue } }
}
