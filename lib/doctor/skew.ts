/**
 * How far the clock of this machine is from another's. Pure. Sessions, id_tokens, signatures of
 * AWS and assertions are all refused by a clock that is wrong.
 */
import { failed, ok, warned, type Finding } from './finding.ts'

export interface SkewBounds {
  readonly warnMs: number
  readonly failMs: number
  /** What the bound comes from. */
  readonly key: string
}

/** `Date` headers have whole seconds, and the answer took its time. */
const noiseMs = 2_000

/** `other` is null when the other side did not say. */
export function judgeSkew(
  check: string,
  other: number | null,
  now: number,
  { warnMs, failMs, key }: SkewBounds,
): Finding {
  if (other === null || Number.isNaN(other))
    return ok(check, 'the other side does not tell its time')
  const skewMs = now - other
  const size = Math.abs(skewMs)
  const seen = `this machine is ${(size / 1000).toFixed(1)} s ${skewMs < 0 ? 'behind' : 'ahead'}`
  if (size <= noiseMs + warnMs) return ok(check, seen)
  const fix = `synchronise the clock of this machine (NTP: timedatectl, chronyc tracking), and look at the other side's; ${key} allows ${failMs / 1000} s`
  return size > noiseMs + failMs ? failed(check, seen, fix) : warned(check, seen, fix)
}
