/** Several replicas against the naive model, in simulated time; the long run is `replicas.soak.ts`. */
import { type TestContext, test } from 'node:test'
import { createRandom } from '../support/random.ts'
import { simulate, type SimulationOptions } from './replicas/simulation.ts'

async function run(t: TestContext, options: SimulationOptions): Promise<void> {
  const random = createRandom()
  t.diagnostic(`seed ${random.seed}`)
  try {
    t.diagnostic(JSON.stringify(await simulate(t, random, options)))
  } catch (cause) {
    throw new Error(`failed with GATEWAY_TEST_SEED=${random.seed}`, { cause })
  }
}

test('replicas: under crashes, bad networks and changes of limits money is counted once and limits hold', (t) =>
  run(t, { reserve: false, replicas: 3, seconds: 20 }))

test('replicas: with reservations a limit is overrun by one call at most', (t) =>
  run(t, { reserve: true, replicas: 3, seconds: 20 }))
