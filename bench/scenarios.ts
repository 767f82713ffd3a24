/**
 * What is measured, and how much of it: one row per scenario. `rounds.ts` runs the load rows,
 * `boot.ts` the start. Counts are chosen so that the floor burns about half a second of CPU per
 * round, fifty of the kernel's ticks; goals are those of the project, as ratios to the floor.
 */
import type { Script } from './reply.ts'

export interface Goals {
  /** CPU per stream, ratio to the floor. */
  readonly cpuRatio?: number
  /** Time to first byte, median, above the floor's, milliseconds. */
  readonly addedFirstByteMs?: number
  /** Growth of resident memory per open stream, ratio to the floor's. */
  readonly memoryRatio?: number
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
  readonly goals: Goals
}

const burst: Script = { kind: 'stream', events: 20, gapMs: 0, chunks: 'each' }

/** A prompt of a few lines. What Claude Code sends has a scenario of its own. */
const base = {
  script: burst,
  concurrency: 20,
  requestBytes: 1_000,
  rampMs: 0,
  // Ten times what the slowest scenario takes on two busy cores.
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
    goals: { cpuRatio: 1.1 },
  },
  {
    ...base,
    name: 'latency',
    about: '20 events in one tick, one connection',
    concurrency: 1,
    requests: 800,
    goals: { addedFirstByteMs: 0.3 },
  },
  {
    ...base,
    name: 'paced',
    about: '100 events 10 ms apart, 50 connections',
    script: { ...burst, events: 100, gapMs: 10 },
    concurrency: 50,
    requests: 300,
    // Streams that start together stay together and share every wake-up; real ones don't.
    rampMs: 990,
    goals: { cpuRatio: 1.2 },
  },
  {
    ...base,
    name: 'burst-1000',
    about: '1,000 events in one tick, 10 connections',
    script: { ...burst, events: 1_000 },
    concurrency: 10,
    requests: 400,
    goals: { cpuRatio: 0.5 },
  },
  {
    ...base,
    name: 'body-1mb',
    about: '1 MB prompt, 20 events in one tick, 10 connections',
    concurrency: 10,
    requests: 400,
    requestBytes: 1_000_000,
    goals: { cpuRatio: 1.3 },
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
    script: { ...burst, events: 11, gapMs: 1_000 },
    concurrency: 2_000,
    requests: 2_000,
    rampMs: 4_000,
    measuresMemory: true,
    goals: { memoryRatio: 1.3 },
  },
]

/** The other figures of the project, measured by `boot.ts`. */
export const bootScenario = {
  name: 'boot',
  about: 'start of the bundle on a warm database',
  goals: { listeningSeconds: 0.8, idleMegabytes: 110 },
} as const

/** With caps and spend on; a goal of its own where the project has one, else the common one. */
export function withSpendGoals(scenario: Scenario): Scenario {
  switch (scenario.name) {
    case 'burst-20':
      return { ...scenario, goals: { cpuRatio: 1.15 } }
    case 'latency':
      return { ...scenario, goals: { addedFirstByteMs: 0.35 } }
    default:
      return scenario
  }
}

/** The scenario for less patient people: a fifth of the load and three rounds. */
export function shorten(scenario: Scenario): Scenario {
  const requests = Math.max(scenario.concurrency, Math.round(scenario.requests / 5))
  return scenario.measuresMemory ? scenario : { ...scenario, requests }
}
