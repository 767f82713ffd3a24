/**
 * Which requests come from a Claude Code that Claude Desktop runs, judged by the User-Agent the
 * client sets: a matter of which settings fit, never of what a caller may do.
 */

/** The version, one space, and a parenthesis whose comma-separated items name the entry point. */
const entryPoints = /^claude-(?:cli|code)\/\S+ \(([^()]*)\)/
const desktop = new Set(['claude-desktop', 'claude-desktop-3p', 'local-agent'])

export function isDesktopSession(userAgent: string | undefined): boolean {
  const items = userAgent === undefined ? undefined : entryPoints.exec(userAgent)?.[1]
  return items?.split(',').some((item) => desktop.has(item.trim())) ?? false
}
