/**
 * What the folders' checks speak to: they name paths and facts, and the report adds the place and
 * what stands there. Says nothing twice, and shows no value that may be a secret.
 */
import type { ConfigReport, KeyPath } from '../kernel/report.ts'
import { describePlace, isSecretName } from './describe.ts'
import { type Findings, isWithin } from './findings.ts'
import { offsetOf, offsetOfKey, type Place, placeAt } from './place.ts'
import type { Shape } from './shape.ts'
import { shapeAt } from './validate.ts'

export function createReport(root: Place, shape: Shape, findings: Findings): ConfigReport {
  const before = findings.paths()
  return {
    error(path, { expected, found, nearest = [] }) {
      // The value was complained about already: what a rule says of it now is no news.
      if (before.some((earlier) => isWithin(path, earlier))) return
      const place = placeAt(root, path)
      const hide = isSecretAt(path)
      // Words about a key say nothing of its value, and point at the key itself.
      const isAboutKey = found?.startsWith('unknown key') === true
      const own = found !== undefined && (isAboutKey || (!hide && !isReference(place)))
      findings.error(isAboutKey ? offsetOfKey(root, path) : offsetOf(root, path), {
        path,
        expected,
        found: own ? found : describePlace(place, hide),
        nearest,
      })
    },
    warn: (path, text) => findings.warn(offsetOf(root, path), path, text),
  }

  /** Inside open blocks no schema tells, so the name of the key has to. */
  function isSecretAt(path: KeyPath): boolean {
    const facts = shapeAt(shape, root, path)
    return facts === undefined ? isSecretName(String(path.at(-1) ?? '')) : facts.secret
  }
}

function isReference(place: Place | undefined): boolean {
  return place !== undefined && place.references.length > 0
}
