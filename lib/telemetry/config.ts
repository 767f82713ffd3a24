/**
 * `telemetry` and `extensions.telemetry`: where the clients' telemetry goes. Read by the
 * configuration loader.
 */
import { list, map } from '../schema/collection.ts'
import { block, defaulted, type Keys, optional, required, type Schema } from '../schema/field.ts'
import { flag, form, text, wholeNumber } from '../schema/value.ts'

export interface ForwardConfig {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly metrics: boolean
  readonly logs: boolean
  readonly traces: boolean
}

export interface TelemetryConfig {
  readonly forward_to: readonly ForwardConfig[]
  readonly resource_attributes: Readonly<Record<string, string>>
}

/** `extensions.telemetry`. */
export interface TelemetryExtension {
  readonly queue_bytes?: number | undefined
  readonly retry_seconds: number
  readonly verify_identity: boolean
}

const headerValue = form(/^/, 'text', 'secret')

const forward = block<ForwardConfig>({
  url: required(text(), 'Base URL of an OTLP/HTTP collector; /v1/metrics and so on are appended.'),
  headers: defaulted(map(headerValue), 'Headers sent to the collector.', {}),
  metrics: defaulted(flag, 'Send metrics there.', true),
  logs: defaulted(flag, 'Send logs there.', false),
  traces: defaulted(flag, 'Send traces there.', false),
})

const telemetry = block<TelemetryConfig>({
  forward_to: defaulted(list(forward), 'Collectors that get what the clients report.', []),
  resource_attributes: defaulted(map(text(0)), 'Labels that clients put on what they report.', {}),
})

export const telemetryKeys: Keys<{ readonly telemetry?: TelemetryConfig | undefined }> = {
  telemetry: optional(telemetry, 'Telemetry of the clients, relayed to your collectors.'),
}

export const telemetryExtension: Schema<TelemetryExtension> = block<TelemetryExtension>({
  queue_bytes: optional(
    wholeNumber(1_048_576, 1_073_741_824),
    'Memory for reports that collectors did not take yet, all together, in bytes; left out: none.',
  ),
  retry_seconds: defaulted(
    wholeNumber(1, 3600),
    'How long a report is tried again, in seconds.',
    900,
  ),
  verify_identity: defaulted(
    flag,
    'Overwrite the identity in reports with that of the session.',
    false,
  ),
})
