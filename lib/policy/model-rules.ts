/**
 * What an entry of `availableModels` or `deniedModels` says about a model id. Pure, and the same
 * rules the clients apply, so that a model a developer can pick is a model the gateway lets pass.
 */
import { type ModelVersion, modelVersion, withoutContextMark } from '../catalogue/recognise.ts'

/** Tells whether a list covers a model; the model is given as `modelKey` makes it. */
export type ModelRule = (model: string) => boolean

/** Words that stand for every model of a family. */
const families = ['opus', 'sonnet', 'haiku', 'fable']

/** Longest id compared. Anything longer names no model and is covered by no entry. */
const idMax = 512

/** A model id as rules compare it: no case, no surrounding space, no long-context mark. */
export function modelKey(id: string): string {
  return id.length > idMax ? '' : withoutContextMark(id.trim().toLowerCase())
}

/**
 * Which models `availableModels` admits. A family word admits its family, unless the list also
 * names a model of that family, which then narrows it. Any other entry admits the id it spells
 * and the longer ids that continue it after a dash; `claude-` in front may be left out. With
 * `exact`, longer ids must name the same version: a date may follow, another digit may not.
 */
export function createAllowRule(entries: readonly string[], exact: boolean): ModelRule {
  const keys = entries.map(modelKey)
  const names = keys.filter((key) => key !== '' && !families.includes(key))
  const words = families.filter(
    (family) => keys.includes(family) && !names.some((name) => namesFamily(name, family)),
  )
  const spelled = names.flatMap((name) =>
    name.startsWith('claude-') ? [name] : [name, `claude-${name}`],
  )
  return (model) =>
    words.some((family) => holdsWord(model, family)) ||
    spelled.some((name) => model === name || (model !== '' && continues(model, name, exact)))
}

/** An entry of this shape is as specific as versions get, so whatever follows is a variant. */
const complete = new RegExp(
  `^claude-(?:${families.join('|')}|(?:${families.join('|')})-\\d+-\\d+|\\d+-\\d+-(?:${families.join('|')}))$`,
)
const date = /^\d{8}$/

function continues(model: string, name: string, exact: boolean): boolean {
  if (!model.startsWith(`${name}-`)) return false
  return !exact || complete.test(name) || date.test(model.slice(name.length + 1))
}

/**
 * Which models `deniedModels` covers, given every name the model goes by: a denied model is
 * denied in every spelling and behind every alias. Entries with a version cover its later minor
 * versions when they name none; other entries cover what they spell.
 */
export function createDenyRule(entries: readonly string[]): ModelRule {
  const keys = entries.map(modelKey).filter((key) => key !== '')
  const words = families.filter((family) => keys.includes(family))
  const spelled = new Set(keys)
  const versions = keys.flatMap((key) => modelVersion(key) ?? modelVersion(`claude-${key}`) ?? [])
  return (model) => {
    if (spelled.has(model) || words.some((family) => holdsWord(model, family))) return true
    const version = modelVersion(model)
    return version !== undefined && versions.some((denied) => includes(denied, version))
  }
}

function includes(denied: ModelVersion, { family, major, minor }: ModelVersion): boolean {
  const same = denied.family === family && denied.major === major
  return same && (denied.minor === undefined || denied.minor === minor)
}

/** `opus` in `claude-opus-5`, not in `opusplan`. */
function holdsWord(id: string, word: string): boolean {
  return id.split(/[^a-z0-9]/).includes(word)
}

/** As `holdsWord`, for what narrows a family word: dots join, they do not part. */
function namesFamily(id: string, word: string): boolean {
  return id.split(/[^a-z0-9.]/).includes(word)
}
