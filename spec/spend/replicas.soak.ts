/**
 * The simulation of `replicas.spec.ts` for SOAK_MINUTES (ten), one seed after the other, with more
 * replicas and longer lives.
 */
import { test } from 'node:test'
import { createRandom } from '../support/random.ts'
import { simulate } from './replicas/simulation.ts'

const minutes = Number(process.env['SOAK_MINUTES'] ?? 10)

test('replicas soak: whatever the seed, money is counted once and limits hold', async (t) => {
  const end = performance.now() + minutes * 60_000
  const totals: Record<string, number> = {}
  for (let round = 0; performance.now() < end; round++) {
    const random = createRandom()
    const options = { reserve: round % 2 === 0, replicas: 3 + (round % 3), seconds: 60 }
    try {
      const figures = await simulate(t, random, options)
      for (const [name, count] of Object.entries(figures)) {
        totals[name] = (totals[name] ?? 0) + count
      }
    } catch (cause) {
      const what = `${JSON.stringify(options)} GATEWAY_TEST_SEED=${random.seed}`
      throw new Error(`failed with ${what}`, { cause })
    }
    totals['rounds'] = round + 1
  }
  console.log(`  ${JSON.stringify(totals)}`)
})
