/**
 * The rule about hosts that no URL of a configuration may name. Called by the checks of every
 * section with a URL in it; names are judged by themselves, addresses behind them at run time.
 */
import type { ConfigReport, KeyPath } from '../kernel/report.ts'
import type { ConfigFacts } from '../schema/facts.ts'
import { refuseHost } from './address.ts'

export interface HostRules {
  /** `localhost` passes; what it resolves to is refused when it is connected to. */
  readonly localhostPasses?: true
}

/** Reports `text` at `path` when its host is forbidden. Anything but a URL was reported before. */
export function checkHost(
  text: string | undefined,
  path: KeyPath,
  { allowLoopback }: Pick<ConfigFacts, 'allowLoopback'>,
  report: ConfigReport,
  { localhostPasses }: HostRules = {},
): void {
  const url = text === undefined ? null : URL.parse(text)
  if (url === null) return
  const refusal =
    refuseHost(url.hostname, { allowLoopback }) ??
    (isLocalhost(url.hostname) && !allowLoopback && !localhostPasses ? 'a loopback name' : null)
  if (refusal === null) return
  const hint = refusal.includes('loopback')
    ? ' (CLAUDE_GATEWAY_ALLOW_LOOPBACK=1 allows loopback, for trying things out)'
    : ''
  report.error(path, {
    expected: `a host that may be connected to${hint}`,
    found: `${url.hostname}, ${refusal}`,
  })
}

/** RFC 6761: `localhost` and every name under it mean the machine itself. */
export function isLocalhost(hostname: string): boolean {
  return /(?:^|\.)localhost\.?$/i.test(hostname)
}
