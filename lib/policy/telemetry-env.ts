/**
 * The environment that makes clients report to this gateway. Laid under every policy's own
 * `env`, so that a policy may overrule each variable. Pure.
 */
import type { JsonObject } from './policy.ts'

/** The part of `telemetry` that clients are told about. */
export interface PushedTelemetry {
  readonly forward_to: readonly {
    readonly metrics: boolean
    readonly logs: boolean
    readonly traces: boolean
  }[]
  readonly resource_attributes: Readonly<Record<string, string>>
}

/** Null when nothing is pushed: without a destination, or without an address to report to. */
export function telemetryEnv(
  telemetry: PushedTelemetry | undefined,
  publicUrl: string | undefined,
): JsonObject | null {
  if (telemetry === undefined || telemetry.forward_to.length === 0) return null
  if (publicUrl === undefined) return null
  const exporter = (signal: 'metrics' | 'logs' | 'traces'): string =>
    telemetry.forward_to.some((destination) => destination[signal]) ? 'otlp' : 'none'
  const attributes = Object.entries(telemetry.resource_attributes)
  return {
    CLAUDE_CODE_ENABLE_TELEMETRY: '1',
    OTEL_METRICS_EXPORTER: exporter('metrics'),
    OTEL_LOGS_EXPORTER: exporter('logs'),
    OTEL_TRACES_EXPORTER: exporter('traces'),
    OTEL_EXPORTER_OTLP_ENDPOINT: publicUrl,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    // Labels are checked at boot to need no escaping here.
    ...(attributes.length === 0
      ? {}
      : { OTEL_RESOURCE_ATTRIBUTES: attributes.map((pair) => pair.join('=')).join(',') }),
  }
}
