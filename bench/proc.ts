/**
 * What the kernel says about a process: CPU time and resident memory out of /proc. `rounds.ts`
 * reads it before and after a round. Linux only; a process that is gone is an error, never a zero.
 */
import { readFileSync } from 'node:fs'

/** USER_HZ: fixed at 100 for every program on Linux, whatever the kernel's own tick is. */
const ticksPerSecond = 100

export interface Usage {
  /** User and system time of all threads since the start, seconds, to 10 ms. */
  readonly cpuSeconds: number
  readonly residentBytes: number
}

export function readUsage(pid: number): Usage {
  return {
    cpuSeconds: parseCpuSeconds(readFileSync(`/proc/${pid}/stat`, 'latin1')),
    residentBytes: parseResidentBytes(readFileSync(`/proc/${pid}/status`, 'latin1')),
  }
}

/** Fields 14 and 15 (utime, stime) of /proc/PID/stat, counted from the name's closing bracket. */
export function parseCpuSeconds(stat: string): number {
  // The second field is the program's name in brackets and may itself hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  if (!Number.isInteger(ticks)) throw new Error(`not a /proc/PID/stat line: ${stat.slice(0, 80)}`)
  return ticks / ticksPerSecond
}

/** VmRSS of /proc/PID/status, which the kernel states in kB (1024 bytes). */
export function parseResidentBytes(status: string): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  if (kilobytes === undefined)
    throw new Error('no VmRSS in /proc/PID/status: a zombie, or no process')
  return Number(kilobytes) * 1024
}
