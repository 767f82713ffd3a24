/**
 * What the schema of `telemetry` cannot say: which collectors may be named, and which labels
 * clients may be given. Called by the configuration loader.
 */
import { checkHost } from '../egress/config.ts'
import type { ConfigReport, KeyPath } from '../kernel/report.ts'
import { isHttpUrl } from '../schema/address.ts'
import type { ConfigFacts } from '../schema/facts.ts'
import type { Loose } from '../schema/loose.ts'
import type { ForwardConfig, TelemetryConfig } from './config.ts'
import { isFraming } from './framing.ts'

export function checkTelemetry(
  telemetry: Loose<TelemetryConfig>,
  facts: ConfigFacts,
  report: ConfigReport,
): void {
  const destinations = telemetry.forward_to ?? []
  for (const [index, destination] of destinations.entries()) {
    if (destination === undefined) continue
    checkDestination(destination, ['telemetry', 'forward_to', index], facts, report)
  }
  const labels = telemetry.resource_attributes ?? {}
  for (const [name, text] of Object.entries(labels)) checkLabel(name, text, report)
  if (destinations.length === 0 && Object.keys(labels).length > 0) {
    report.warn(
      ['telemetry', 'resource_attributes'],
      'has no effect without forward_to: clients are not told to report anything',
    )
  }
  if (destinations.length > 0 && !facts.isSet(['listen', 'public_url'])) {
    report.warn(
      ['telemetry', 'forward_to'],
      'is set without listen.public_url: clients cannot be told where to report to',
    )
  }
}

function checkDestination(
  { url, headers }: Loose<ForwardConfig>,
  path: KeyPath,
  facts: ConfigFacts,
  report: ConfigReport,
): void {
  const at = [...path, 'url']
  const parsed = url !== undefined && isHttpUrl(url) ? URL.parse(url) : null
  if (url !== undefined && (parsed === null || !isSafe(parsed))) {
    report.error(at, {
      expected: 'an https:// URL, or http:// on loopback: what clients report is confidential',
    })
  } else if (parsed !== null) {
    // `localhost` boots, and is refused when it is connected to (CLAUDE_GATEWAY_ALLOW_LOOPBACK).
    checkHost(url, at, facts, report, { localhostPasses: true })
    if (/[?#]/.test(url ?? '')) {
      report.warn(at, 'has a query or fragment, so the appended path ends up inside it')
    }
  }
  for (const [name, text] of Object.entries(headers ?? {})) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
      report.error([...path, 'headers', name], {
        expected: 'a header name: letters, digits and - only',
      })
    } else if (text !== undefined && !/^[\t\u0020-\u007E\u0080-\u00FF]*$/.test(text)) {
      report.error([...path, 'headers', name], { expected: 'a header value on one line' })
    } else if (isFraming(name)) {
      report.warn([...path, 'headers', name], 'has no effect: the connection says it for itself')
    }
  }
}

function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname)
}

/** Names that clients or the gateway set themselves, and that collectors take as the truth. */
const reservedLabel =
  /^(?:(?:user|enduser|identity)\..*|service\.name|service\.version|claude\.deployment_mode|host\.arch|os\.type|os\.version|wsl\.version)$/i

/** Longest label name, and longest value as it stands in OTEL_RESOURCE_ATTRIBUTES. */
const labelMax = 255

function checkLabel(name: string, text: string | undefined, report: ConfigReport): void {
  const path = ['telemetry', 'resource_attributes', name]
  if (reservedLabel.test(name)) {
    report.error(path, {
      expected: 'a label that neither clients nor the gateway set themselves',
      found: name,
    })
  } else if (!/^[A-Za-z0-9._-]+$/.test(name) || name.length > labelMax) {
    report.error(path, {
      expected: `a label name of letters, digits, . _ - and at most ${labelMax} characters`,
    })
  } else if (
    text !== undefined &&
    (!/^[\u0021-\u007E]+$/.test(text) ||
      /[,;="\\%]/.test(text) ||
      encodeURIComponent(text).length > labelMax)
  ) {
    report.error(path, {
      expected: `printable ASCII without spaces and without , ; = \\ " %, at most ${labelMax} characters percent-encoded`,
    })
  }
}
