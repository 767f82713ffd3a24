/**
 * Runs the schema over the file's values and turns each issue into a complaint in our words. A
 * broken file still yields whatever of it is sound, for the checks between keys.
 */
import * as v from 'valibot'
import type { KeyPath } from '../kernel/report.ts'
import { nearest } from '../kernel/spelling.ts'
import type { Schema } from '../schema/field.ts'
import type { Loose } from '../schema/loose.ts'
import { describePlace } from './describe.ts'
import type { Findings } from './findings.ts'
import { fit } from './fit.ts'
import { offsetOf, type Place, placeAt } from './place.ts'
import type { Shape } from './shape.ts'

export interface Validated<T> {
  /** The values as the schema yields them, or undefined when any was wrong. */
  readonly output: T | undefined
  /** The values that were right. */
  readonly sound: Loose<T>
}

export function validate<T>(
  schema: Schema<T>,
  shape: Shape,
  root: Place,
  findings: Findings,
): Validated<T> {
  hideSecrets(shape, root, findings)
  const fitted = fit(shape, root, [], findings)
  const result = v.safeParse(schema, fitted ?? {})
  const issues = (result.issues ?? []).map((issue) => ({ issue, path: pathOf(issue) }))
  for (const { issue, path } of issues) {
    // Said before: by the reader, or because the value is of another kind altogether.
    if (findings.covers(path)) continue
    if (issue.type === 'union' && findings.coversInside(path)) continue
    const facts = shapeAt(shape, root, path)
    const place = placeAt(root, path)
    findings.error(offsetOf(root, path), {
      path,
      expected: expectedOf(issue, facts),
      found: describePlace(place, facts?.secret ?? false),
      nearest: nearestOf(place, facts),
    })
  }
  const sound = withoutPaths(result.output, [
    ...findings.paths(),
    ...issues.map(({ path }) => path),
  ])
  // Every value that broke its schema is gone, and that is what Loose says.
  return { output: result.success ? result.output : undefined, sound: sound as Loose<T> }
}

/** The shape of what stands at `path`; undefined inside open blocks. */
export function shapeAt(root: Shape, place: Place, path: KeyPath): Shape | undefined {
  let shape: Shape | undefined = root
  let here: Place | undefined = place
  for (const step of path) {
    shape = shape && childShape(shape, here, step)
    here = here && placeAt(here, [step])
  }
  return shape
}

function childShape(
  shape: Shape,
  place: Place | undefined,
  step: string | number,
): Shape | undefined {
  switch (shape.kind) {
    case 'block':
      return shape.keys.get(String(step))?.shape
    case 'list':
    case 'map':
      return shape.item ?? undefined
    case 'variant': {
      const chosen = placeAt(place ?? blankPlace, [shape.discriminator])?.value
      const variant = typeof chosen === 'string' ? shape.variants.get(chosen) : undefined
      if (variant !== undefined) return childShape(variant, place, step)
      return step === shape.discriminator
        ? { ...shape, kind: 'text', ...wordsOf([...shape.variants.keys()]) }
        : undefined
    }
    case 'forms':
      return shape.forms.map((form) => childShape(form, place, step)).find((form) => form)
    case 'number':
    case 'flag':
    case 'text':
    case 'open':
      return undefined
  }
}

const blankPlace: Place = {
  value: null,
  at: 0,
  references: [],
  entries: new Map(),
  items: [],
  size: 1,
}

function wordsOf(words: readonly string[]): Pick<Shape, 'words' | 'expected'> {
  return { words, expected: `one of ${words.join(', ')}` }
}

function expectedOf(issue: v.BaseIssue<unknown>, facts: Shape | undefined): string {
  // Rules about a value as a whole bring their own words; all others speak through the value's.
  const own = issue.type === 'check' && !issue.message.startsWith('Invalid ')
  return own ? issue.message : (facts?.expected ?? 'another value')
}

function nearestOf(place: Place | undefined, facts: Shape | undefined): readonly string[] {
  if (typeof place?.value !== 'string' || place.references.length > 0) return []
  if (facts?.kind === 'flag') return switches.get(place.value.toLowerCase()) ?? []
  return nearest(place.value, facts?.words ?? [])
}

/** What people write for a boolean that YAML 1.2 reads as text. */
const switches: ReadonlyMap<string, readonly string[]> = new Map([
  ['yes', ['true']],
  ['on', ['true']],
  ['true', ['true']],
  ['no', ['false']],
  ['off', ['false']],
  ['false', ['false']],
])

function pathOf(issue: v.BaseIssue<unknown>): KeyPath {
  return (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)))
}

/** A copy in which what stands at `paths` is missing; list entries keep their index. */
function withoutPaths(value: unknown, paths: readonly KeyPath[]): unknown {
  const here = paths.filter((path) => path.length > 0)
  if (here.length === 0) return value
  if (typeof value !== 'object' || value === null) return value
  const dropped = new Set(here.filter((path) => path.length === 1).map((path) => String(path[0])))
  const inside = (name: string): readonly KeyPath[] =>
    here.filter((path) => String(path[0]) === name).map((path) => path.slice(1))
  if (Array.isArray(value)) {
    return value.map((item, index) =>
      dropped.has(String(index)) ? undefined : withoutPaths(item, inside(String(index))),
    )
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !dropped.has(name))
      .map(([name, item]) => [name, withoutPaths(item, inside(name))]),
  )
}

/** Every text that came out of a reference or is a secret by its schema is shown nowhere. */
function hideSecrets(shape: Shape | undefined, place: Place, findings: Findings): void {
  if (typeof place.value === 'string' && (shape?.secret || place.references.length > 0)) {
    findings.hide(place.value)
  }
  for (const [name, entry] of place.entries) {
    hideSecrets(shape && childShape(shape, place, name), entry.place, findings)
  }
  for (const [index, item] of place.items.entries()) {
    hideSecrets(shape && childShape(shape, place, index), item, findings)
  }
}
