/**
 * Which model an id means: by spelling where it must be exact, by family and version where an
 * operator wrote a deployment name, an ARN or another geography's id. Pure; routing never uses
 * the loose half, only lists, prices and deny lists do.
 */
import { builtInModels } from './models.ts'
import type { Model } from './models.ts'

/** What a Claude model id says of itself. */
export interface ModelVersion {
  /** `opus`, `sonnet`, … */
  readonly family: string
  readonly major: string
  /** Absent for `claude-opus-5`. */
  readonly minor: string | undefined
}

const family = '(opus|sonnet|haiku|fable|mythos)'
/** `claude-opus-4-8…`, with the date of a dated id left out of the version. */
const current = new RegExp(`claude-${family}-(\\d{1,2})(?!\\d)(?:-(\\d{1,2})(?!\\d))?`)
/** `claude-3-5-sonnet…`: the order of the third generation. */
const third = new RegExp(`claude-(\\d)-(?:(\\d)-)?${family}(?![a-z0-9])`)

/** Longest id looked at; ARNs are about 150 characters, anything longer is no model id. */
const idMax = 512

/** Reads family and version out of any text that holds a Claude model id, in any case. */
export function modelVersion(text: string): ModelVersion | undefined {
  if (text.length > idMax) return undefined
  const id = text.toLowerCase()
  const named = current.exec(id)
  if (named?.[1] !== undefined && named[2] !== undefined) {
    return { family: named[1], major: named[2], minor: named[3] }
  }
  const numbered = third.exec(id)
  if (numbered?.[1] !== undefined && numbered[3] !== undefined) {
    return { family: numbered[3], major: numbered[1], minor: numbered[2] }
  }
  return undefined
}

/** The id without the client's long-context mark, which is no part of a model's name. */
export function withoutContextMark(id: string): string {
  return /\[1m\]$/i.test(id) ? id.slice(0, -'[1m]'.length) : id
}

/** Every spelling of a model that clients may send, lower case. */
export function spellingsOf(model: Model): Set<string> {
  return new Set([model.name, ...Object.values(model.forms)].map((id) => id.toLowerCase()))
}

/** Exact recognition: the model one of whose spellings `id` is, in any case. */
export type Recogniser = (id: string) => Model | undefined

/** Looks through `models`, the first row winning a spelling that two rows claim. */
export function createRecogniser(models: readonly Model[]): Recogniser {
  const bySpelling = new Map<string, Model>()
  for (const model of models) {
    for (const spelling of spellingsOf(model)) {
      if (!bySpelling.has(spelling)) bySpelling.set(spelling, model)
    }
  }
  return (id) => (id.length > idMax ? undefined : bySpelling.get(id.toLowerCase()))
}

const byVersion = new Map(
  builtInModels.map((model) => [versionKey(modelVersion(model.name)), model]),
)

/** Loose recognition of a built-in by family and version alone. */
export function modelOfVersion(text: string): Model | undefined {
  const version = modelVersion(text)
  return version === undefined ? undefined : byVersion.get(versionKey(version))
}

function versionKey(version: ModelVersion | undefined): string {
  return version === undefined ? '' : `${version.family}-${version.major}-${version.minor ?? ''}`
}
