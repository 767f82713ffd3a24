/** The load client's process: runs one plan after another and reports. See `load.ts`. */
import { serveParent } from './child.ts'
import { runLoad } from './load.ts'
import type { LoadPlan } from './load.ts'

serveParent((question) => {
  // Asked by rounds.ts only, which builds these objects itself.
  const asked = question as { kind: 'port' } | { kind: 'run'; plan: LoadPlan }
  return asked.kind === 'run' ? runLoad(asked.plan) : 0
})
