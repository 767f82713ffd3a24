/**
 * The labels a Claude Desktop puts on the telemetry it sends for a person. Values that the
 * OTEL_RESOURCE_ATTRIBUTES syntax cannot carry are left out rather than escaped, because
 * receivers disagree about escapes. Pure.
 */
import type { Caller } from '../kernel/caller.ts'

/** Longest value after percent-encoding that collectors are known to keep. */
const encodedMax = 255

export function resourceAttributes(
  labels: Readonly<Record<string, string>>,
  { sub, email, groups }: Caller,
): Readonly<Record<string, string>> {
  const joined = groups.join(',')
  const groupsFit = groups.length > 0 && !groups.some((group) => /[,=]/.test(group)) && fits(joined)
  return {
    ...labels,
    'enduser.id': email ?? sub,
    ...(email === undefined ? {} : { 'user.email': email }),
    ...(groupsFit ? { 'user.groups': joined } : {}),
    ...(/^[\x21-\x7E]+$/.test(sub) && !/[,;=\\"%]/.test(sub) && fits(sub)
      ? { 'enduser.sub': sub }
      : {}),
  }
}

function fits(value: string): boolean {
  return value.isWellFormed() && encodeURIComponent(value).length <= encodedMax
}
