/**
 * Puts the session's identity into an OTLP report in JSON. Readers differ in the spellings of
 * field names they take, so attributes are looked for wherever they may stand instead of where
 * they should. Called by `verify.ts`.
 */
import { identityName, type Person, stampedNames } from './person.ts'

/** Deepest nesting read: a report has about a dozen levels, attribute values some more. */
const depthMax = 64

/** `attributes` of most messages, those of exemplars and of a metric. */
const attributeLists = /^(?:attributes|filtered_?attributes|metadata)$/i

const resourceLists = /^resource_?(?:metrics|logs|spans)$/i

/** The report with the person's attributes. Throws when it is no report in JSON. */
export function stampJson(text: string, person: Person): string {
  const report: unknown = JSON.parse(text)
  if (!isRecord(report)) throw new SyntaxError('not a report')
  return JSON.stringify(rewrite(report, person, 0))
}

function rewrite(value: unknown, person: Person, depth: number): unknown {
  if (depth > depthMax) throw new RangeError('nested too deeply')
  if (Array.isArray(value)) return value.map((entry) => rewrite(entry, person, depth + 1))
  if (!isRecord(value)) return value
  const entries = Object.entries(value).map(([name, inner]): [string, unknown] => {
    if (attributeLists.test(name)) return [name, replace(inner, person)]
    const rewritten = rewrite(inner, person, depth + 1)
    if (resourceLists.test(name) && Array.isArray(rewritten)) {
      return [name, rewritten.map((entry) => stampResource(entry, person))]
    }
    return [name, rewritten]
  })
  return Object.fromEntries(entries)
}

/** An attribute list with the person's values for the names it has. */
function replace(list: unknown, person: Person): unknown {
  if (!Array.isArray(list)) return list
  const found = new Set<string>()
  const kept = list.filter((entry: unknown) => {
    const names = identitiesIn(entry)
    for (const name of names) found.add(name)
    return names.length === 0
  })
  return [...kept, ...attributesOf([...found], person)]
}

/** Runs behind the replacement inside: what is stamped is there already, or is added. */
function stampResource(entry: unknown, person: Person): unknown {
  if (!isRecord(entry)) return entry
  const resource = isRecord(entry['resource']) ? entry['resource'] : {}
  const list = Array.isArray(resource['attributes']) ? resource['attributes'] : []
  const others = list.filter(
    (one) => !identitiesIn(one).some((name) => stampedNames.includes(name)),
  )
  const attributes = [...others, ...attributesOf(stampedNames, person)]
  return { ...entry, resource: { ...resource, attributes } }
}

/** What an attribute claims to say of a person, however `key` is spelled. */
function identitiesIn(entry: unknown): string[] {
  if (!isRecord(entry)) return []
  return Object.entries(entry).flatMap(([field, name]) =>
    field.toLowerCase() === 'key' && typeof name === 'string' ? (identityName(name) ?? []) : [],
  )
}

function attributesOf(names: readonly string[], person: Person): object[] {
  return names.flatMap((key) => {
    const stringValue = person.get(key)
    return typeof stringValue === 'string' ? [{ key, value: { stringValue } }] : []
  })
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
