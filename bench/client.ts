/** The load client's process: runs one plan after another and reports. See `load.ts`. */
import { serveParent } from './child.ts'
import { runLoad } from './load.ts'
import type { LoadPlan } from './load.ts'

let stopping = new AbortController()

serveParent((question) => {
  // Asked by rounds.ts only, which builds these objects itself.
  const asked = question as { kind: 'port' } | { kind: 'run'; plan: LoadPlan } | { kind: 'stop' }
  if (asked.kind === 'run') {
    stopping = new AbortController()
    return runLoad(asked.plan, stopping.signal)
  }
  if (asked.kind === 'stop') stopping.abort()
  return 0
})
