/**
 * What is measured, and how much of it: one row per scenario. `rounds.ts` runs the load rows,
 * `boot.ts` the start. Counts are chosen so that the floor burns about half a second of CPU per
 * round, fifty of the kernel's ticks; goals are those of the project, as ratios to the floor.
 */
import type { Script } from './reply.ts'

/** The most a figure may be. */
export interface Bound {
  /** Missing it makes the bench fail. */
  readonly goal: number
  /** Where the project wants to get; shown beside the goal. */
  readonly target?: number
}

export interface Goals {
  /** CPU per stream, ratio to the floor. */
  readonly cpuRatio?: Bound
  /** Time to first byte, median, above the floor's, milliseconds. */
  readonly addedFirstByteMs?: Bound
  /** Time between two events of a stream, p99, ratio to the floor's. */
  readonly gapRatio?: Bound
  /** Growth of resident memory per open stream, ratio to the floor's. */
  readonly memoryRatio?: Bound
}

/** What else passes through the process meanwhile; nothing of it is in the times measured. */
export interface Beside {
  readonly requestBytes: number
  /** Between the starts of two requests. */
  readonly everyMs: number
}

export interface Scenario {
  readonly name: string
  readonly about: string
  readonly script: Script
  readonly concurrency: number
  readonly requests: number
  readonly requestBytes: number
  readonly rampMs: number
  readonly timeoutMs: number
  /** All streams must be open at one moment, on processes that were idle before. */
  readonly measuresMemory: boolean
  readonly beside?: Beside
  readonly goals: Goals
}

const burst: Script = {
  provider: 'anthropic',
  kind: 'stream',
  events: 20,
  gapMs: 0,
  chunks: 'each',
  together: 0,
}
const paced: Script = { ...burst, events: 100, gapMs: 10 }
const slow: Script = { ...burst, events: 11, gapMs: 1_000 }

/** A prompt of a few lines. What Claude Code sends has a scenario of its own. */
const base = {
  script: burst,
  concurrency: 20,
  requestBytes: 1_000,
  rampMs: 0,
  // Ten times what a scenario takes on two busy cores.
  timeoutMs: 120_000,
  measuresMemory: false,
  goals: {},
} as const

export const scenarios: readonly Scenario[] = [
  {
    ...base,
    name: 'burst-20',
    about: '20 events in one tick, 20 connections',
    requests: 6_000,
    goals: { cpuRatio: { goal: 1.1, target: 1 } },
  },
  {
    ...base,
    name: 'latency',
    about: '20 events in one tick, one connection',
    concurrency: 1,
    requests: 800,
    goals: { addedFirstByteMs: { goal: 0.3, target: 0.25 } },
  },
  {
    ...base,
    name: 'paced',
    about: '100 events 10 ms apart, 50 connections',
    script: paced,
    concurrency: 50,
    requests: 300,
    // Streams that start together stay together and share every wake-up; real ones don't.
    rampMs: 990,
    goals: { cpuRatio: { goal: 1.2, target: 1.15 } },
  },
  {
    ...base,
    name: 'burst-1000',
    about: '1,000 events in one tick, 10 connections',
    script: { ...burst, events: 1_000 },
    concurrency: 10,
    requests: 400,
    goals: { cpuRatio: { goal: 0.5, target: 0.4 } },
  },
  {
    ...base,
    name: 'body-1mb',
    about: '1 MB prompt, 20 events in one tick, 10 connections',
    concurrency: 10,
    requests: 400,
    requestBytes: 1_000_000,
    goals: { cpuRatio: { goal: 1.3, target: 1.2 } },
  },
  {
    ...base,
    name: 'body-95kb',
    about: '95 kB prompt (what Claude Code sends), 20 events in one tick, 20 connections',
    requests: 3_000,
    requestBytes: 95_000,
  },
  {
    ...base,
    name: 'joined-20',
    about: '20 events as one HTTP chunk, 20 connections',
    script: { ...burst, chunks: 'joined' },
    requests: 6_000,
  },
  {
    ...base,
    name: 'json',
    about: 'one JSON document, 20 connections',
    script: { ...burst, kind: 'json' },
    requests: 6_000,
  },
  {
    ...base,
    name: 'slow-2000',
    about: '2,000 open streams, an event a second each',
    script: { ...slow, together: 2_000 },
    concurrency: 2_000,
    requests: 2_000,
    rampMs: 4_000,
    measuresMemory: true,
    goals: { memoryRatio: { goal: 1.3 } },
  },
  {
    ...base,
    name: 'slow-5000',
    about: '5,000 open streams, an event in four seconds each',
    // Streams are what is measured: at an event a second they would need all of two cores.
    script: { ...slow, events: 7, gapMs: 4_000, together: 5_000 },
    concurrency: 5_000,
    requests: 5_000,
    // Connections come as fast as in slow-2000.
    rampMs: 10_000,
    timeoutMs: 300_000,
    measuresMemory: true,
    goals: { memoryRatio: { goal: 1.2 } },
  },
  {
    ...base,
    name: 'interference',
    about: '100 events 10 ms apart, 50 connections, beside eight 2 MB prompts a second',
    script: paced,
    concurrency: 50,
    requests: 300,
    rampMs: 990,
    beside: { requestBytes: 2_000_000, everyMs: 125 },
    goals: { gapRatio: { goal: 2 } },
  },
  {
    ...base,
    name: 'bedrock-burst-20',
    about: '20 events of Bedrock in one tick, 20 connections',
    script: { ...burst, provider: 'bedrock' },
    requests: 6_000,
    goals: { cpuRatio: { goal: 1.6 } },
  },
  {
    ...base,
    name: 'bedrock-paced',
    about: '100 events of Bedrock 10 ms apart, 50 connections',
    script: { ...paced, provider: 'bedrock' },
    concurrency: 50,
    requests: 300,
    rampMs: 990,
    goals: { cpuRatio: { goal: 1.5 } },
  },
  {
    ...base,
    name: 'bedrock-latency',
    about: '20 events of Bedrock in one tick, one connection',
    script: { ...burst, provider: 'bedrock' },
    concurrency: 1,
    requests: 800,
    goals: { addedFirstByteMs: { goal: 0.5 } },
  },
]

/**
 * What a process has served before its memory is measured: code is compiled, pages of the binary
 * are read and the heap has its working size, which is no stream's cost. It weighs about the same
 * in the floor, and would pull a ratio towards 1.
 */
export const warmUp: Scenario = {
  ...base,
  name: 'warm-up',
  about: 'ordinary requests',
  requests: 400,
}

/** The other figures of the project, measured by `boot.ts`. */
export const bootScenario = {
  name: 'boot',
  about: 'start of the bundle on a warm database',
  goals: { listeningSeconds: { goal: 0.8 }, idleMegabytes: { goal: 110 } },
} as const

/** With caps and spend on; a goal of its own where the project has one, else the common one. */
export function withSpendGoals(scenario: Scenario): Scenario {
  switch (scenario.name) {
    case 'burst-20':
      return { ...scenario, goals: { cpuRatio: { goal: 1.15 } } }
    case 'latency':
      return { ...scenario, goals: { addedFirstByteMs: { goal: 0.35 } } }
    default:
      return scenario
  }
}

/** The scenario for less patient people: a fifth of the load and three rounds. */
export function shorten(scenario: Scenario): Scenario {
  const requests = Math.max(scenario.concurrency, Math.round(scenario.requests / 5))
  return scenario.measuresMemory ? scenario : { ...scenario, requests }
}
