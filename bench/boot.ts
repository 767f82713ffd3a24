/**
 * How long the gateway takes from spawn to listening on a database it has seen before, and what
 * it weighs when nothing happens. `main.ts` calls it with a site whose database is migrated.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Site } from './gateway.ts'
import { readUsage } from './proc.ts'
import { toFigure } from './report.ts'
import type { Figure } from './report.ts'
import { bootScenario } from './scenarios.ts'

/** Time for start-up work after listening: pollers, timers, a first collection. */
const idleMs = 3_000

export async function measureBoot(site: Site, rounds: number): Promise<Figure[]> {
  // The first start migrates the database and fills the system's file cache; it is not counted.
  await (await site.start('anthropic')).stop()
  const listening: number[] = []
  const idle: number[] = []
  for (let round = 0; round < rounds; round++) {
    const gateway = await site.start('anthropic')
    await sleep(idleMs)
    listening.push(gateway.listeningSeconds)
    idle.push(readUsage(gateway.pid).residentBytes / 1e6)
    await gateway.stop()
  }
  const { listeningSeconds, idleMegabytes } = bootScenario.goals
  return [
    toFigure('spawn to listening, s', listening, listeningSeconds),
    toFigure('idle RSS, MB', idle, idleMegabytes),
  ]
}
