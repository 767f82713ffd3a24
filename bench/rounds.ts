/**
 * Alternated rounds: the same load against each subject in turn, CPU and memory read off the
 * subject's process, every round checked from three sides. `main.ts` calls it per scenario. A
 * round with one fault throws: half-broken runs make the best figures.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Child } from './child.ts'
import type { LoadPlan, LoadReport } from './load.ts'
import { readUsage } from './proc.ts'
import { framingOf } from './reply.ts'
import type { Beside, Scenario } from './scenarios.ts'

/** A running gateway under test, or the floor. */
export interface Subject {
  readonly name: string
  readonly url: string
  readonly token: string
  /** Absent for a gateway somewhere else: its CPU and memory are then not measured. */
  readonly pid: number | undefined
  /** Clients get server-sent events whatever the upstream sends; a pipe passes on its framing. */
  readonly unpacks: boolean
  /** Inference lines audited since the start; absent where nobody can count them. */
  readonly audited?: () => number
  stop(): Promise<void>
}

export interface Harness {
  readonly upstream: Child
  readonly client: Child
  /** Loads the subject beside the client, so that the client's clock is not held up by it. */
  readonly besideClient: Child
}

export interface Round {
  /** CPU seconds of the subject per 1000 streams; NaN when not measured. */
  readonly cpuSeconds: number
  readonly firstByteMs: number
  readonly firstByteP99Ms: number
  /** p99; NaN unless the script paces its events. */
  readonly gapMs: number
  readonly streamsPerSecond: number
  readonly residentPeakBytes: number
  /** Growth from idle to the peak, per stream; NaN unless the scenario measures memory. */
  readonly bytesPerStream: number
}

/** The gateway's work after a reply (audit lines, batched writes) belongs on its bill. */
const settleMs = 200

/** What start and warm-up leave to do is not the idle state. */
const idleMs = 1_000

/** Finer than any phase of a scenario, coarse enough to cost the machine nothing. */
const samplingMs = 50

/** Audit lines are written in batches; a line that takes longer than this is lost. */
const auditTimeoutMs = 2_000

/** Of the requests by the clock; the last of them may be late when the others end. */
const dueShare = 0.9

export async function runRound(
  harness: Harness,
  subject: Subject,
  scenario: Scenario,
): Promise<Round> {
  const { pid } = subject
  await harness.upstream.ask({ kind: 'script', script: scenario.script })
  if (scenario.measuresMemory) await sleep(idleMs)
  const auditedBefore = subject.audited?.() ?? 0
  const before = pid === undefined ? undefined : readUsage(pid)
  let residentPeakBytes = before?.residentBytes ?? Number.NaN
  const sampler = setInterval(() => {
    if (pid !== undefined) {
      residentPeakBytes = Math.max(residentPeakBytes, readUsage(pid).residentBytes)
    }
  }, samplingMs)
  let reports: Reports
  try {
    reports = await runLoads(harness, subject, scenario)
  } finally {
    clearInterval(sampler)
  }
  const { report, beside } = reports
  const streams = scenario.requests + (beside?.replies ?? 0)
  await sleep(settleMs)
  const after = pid === undefined ? undefined : readUsage(pid)
  const served = await harness.upstream.ask({ kind: 'served' })
  const faults = findFaults(scenario, reports, served)
  if (subject.audited !== undefined && faults.length === 0) {
    faults.push(...(await missingAudit(subject.audited, auditedBefore + streams)))
  }
  if (faults.length > 0) {
    throw new Error(`${scenario.name} against ${subject.name} is void: ${faults.join('; ')}`)
  }
  const cpuSeconds = (after?.cpuSeconds ?? Number.NaN) - (before?.cpuSeconds ?? Number.NaN)
  const growth = residentPeakBytes - (before?.residentBytes ?? Number.NaN)
  return {
    cpuSeconds: (cpuSeconds / streams) * 1000,
    firstByteMs: report.firstByteMs.p50,
    firstByteP99Ms: report.firstByteMs.p99,
    gapMs: report.gapMs.p99,
    streamsPerSecond: report.replies / report.seconds,
    residentPeakBytes,
    bytesPerStream: scenario.measuresMemory ? growth / scenario.concurrency : Number.NaN,
  }
}

/** What makes a round worthless: see the messages. */
export function findFaults(
  scenario: Scenario,
  { report, beside }: Reports,
  served: unknown,
): string[] {
  const faults = [...report.faults, ...(beside?.faults ?? [])]
  if (report.replies !== scenario.requests) {
    faults.push(`${report.replies} whole replies for ${scenario.requests} requests`)
  }
  const sent = scenario.requests + (beside?.replies ?? 0)
  if (served !== sent) {
    faults.push(`the upstream served ${String(served)} of ${sent} requests`)
  }
  if (scenario.beside !== undefined) {
    const due = Math.floor((dueShare * report.seconds * 1000) / scenario.beside.everyMs)
    const got = beside?.replies ?? 0
    if (got < due) faults.push(`only ${got} of ${due} requests beside the others`)
  }
  if (scenario.measuresMemory && report.openPeak < scenario.concurrency) {
    faults.push(`only ${report.openPeak} of ${scenario.concurrency} streams were open at once`)
  }
  return faults
}

/** The load of the scenario, and what passed beside it. */
export interface Reports {
  readonly report: LoadReport
  readonly beside?: LoadReport | undefined
}

async function runLoads(harness: Harness, subject: Subject, scenario: Scenario): Promise<Reports> {
  const plan = planFor(subject, scenario)
  if (scenario.beside === undefined) return { report: await run(harness.client, plan) }
  const main = async (): Promise<LoadReport> => {
    const report = await run(harness.client, plan)
    await harness.besideClient.ask({ kind: 'stop' })
    return report
  }
  const [beside, report] = await Promise.all([
    run(harness.besideClient, planBeside(plan, scenario.beside)),
    main(),
  ])
  return { report, beside }
}

function planFor(subject: Subject, scenario: Scenario): LoadPlan {
  const { script, requestBytes, concurrency, requests, rampMs, timeoutMs } = scenario
  const { url, token, unpacks } = subject
  const framing = unpacks ? 'sse' : framingOf(script)
  return {
    url,
    token,
    script,
    framing,
    requestBytes,
    concurrency,
    requests,
    rampMs,
    timeoutMs,
    everyMs: 0,
  }
}

/** As many as fit into the time the main load has; it is stopped with that. */
function planBeside(plan: LoadPlan, { requestBytes, everyMs }: Beside): LoadPlan {
  const requests = Math.ceil(plan.timeoutMs / everyMs)
  return { ...plan, requestBytes, everyMs, requests, concurrency: requests }
}

async function run(client: Child, plan: LoadPlan): Promise<LoadReport> {
  // client.ts answers `run` with what runLoad returns, and nothing else.
  return (await client.ask({ kind: 'run', plan })) as LoadReport
}

async function missingAudit(audited: () => number, expected: number): Promise<string[]> {
  for (let waitedMs = 0; waitedMs < auditTimeoutMs; waitedMs += samplingMs) {
    if (audited() >= expected) break
    await sleep(samplingMs)
  }
  const lines = audited()
  return lines === expected ? [] : [`${lines} audit lines where ${expected} belong`]
}
