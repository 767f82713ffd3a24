/**
 * Which models a caller's policy lets pass. The one part of a policy that the gateway enforces
 * itself; asked by inference before anything is resolved, and by the lists of models.
 */
import { shownModel } from '../catalogue/shown-model.ts'
import type { Caller } from '../kernel/caller.ts'
import { effectiveSettings } from './effective.ts'
import { createPolicyMatcher } from './match.ts'
import { createAllowRule, createDenyRule, modelKey } from './model-rules.ts'
import type { JsonObject, Policy } from './policy.ts'

export interface ModelAccess {
  /** True when the caller's policy lets `model` pass; no policy, no restriction. */
  admits(caller: Caller, model: string): boolean
  /** Why `model` may not pass, as the client is told; null when it may. */
  refusal(caller: Caller, model: string): string | null
}

/** The names a model goes by besides the one it was asked for. */
export interface ModelNames {
  namesOf(model: string): readonly string[]
}

type Verdict = 'admitted' | 'not-available' | 'denied'

/**
 * Verdicts remembered per policy. Developers use a dozen models; the rest is room for typing
 * errors, and a full memory is simply begun again.
 */
const verdictsMax = 256

/** Longest model name remembered. */
const modelMax = 512

export function createModelAccess(policies: readonly Policy[], catalogue: ModelNames): ModelAccess {
  const match = createPolicyMatcher(policies)
  const judges = effectiveSettings(policies).map((settings) =>
    remember(createJudge(settings, catalogue)),
  )
  const judge = (caller: Caller, model: string): Verdict =>
    judges[match(caller)]?.(model) ?? 'admitted'
  return {
    admits: (caller, model) => judge(caller, model) === 'admitted',
    refusal(caller, model) {
      const sent = shownModel(model)
      switch (judge(caller, model)) {
        case 'admitted':
          return null
        case 'not-available':
          return `model ${sent} is not in your role's availableModels allowlist`
        case 'denied':
          return `model ${sent} is blocked by your role's deniedModels denylist`
      }
    },
  }
}

type Judge = (model: string) => Verdict

function createJudge(settings: JsonObject, catalogue: ModelNames): Judge {
  const available = strings(settings['availableModels'])
  const denied = strings(settings['deniedModels'])
  const exact = settings['availableModelsMatch'] === 'exact'
  const allows = available === undefined ? () => true : createAllowRule(available, exact)
  const denies = denied === undefined ? () => false : createDenyRule(denied)
  return (model) => {
    if ([model, ...catalogue.namesOf(model)].some((name) => denies(modelKey(name)))) return 'denied'
    return allows(modelKey(model)) ? 'admitted' : 'not-available'
  }
}

function remember(judge: Judge): Judge {
  const verdicts = new Map<string, Verdict>()
  return (model) => {
    const known = verdicts.get(model)
    if (known !== undefined) return known
    const verdict = judge(model)
    if (model.length > modelMax) return verdict
    if (verdicts.size >= verdictsMax) verdicts.clear()
    verdicts.set(model, verdict)
    return verdict
  }
}

/** A list of the document, or undefined when the policy says nothing. Checked at boot. */
function strings(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : undefined
}
