/**
 * Recognises what a provider's refusal is about, so that a client can leave a feature out and ask
 * again without ever seeing the provider's words. Pure; called by `rejection.ts`. The patterns
 * are as narrow as the wordings that are known: a wrong token makes clients switch off a feature.
 */

const rules: readonly (readonly [token: string, pattern: RegExp])[] = [
  ['prompt_too_long', /prompt is too long|input is too long for requested model/i],
  ['max_tokens_context_overflow', /input length and `max_tokens` exceed context limit/i],
  [
    'image_block',
    /image exceeds|image dimensions exceed|could not process image|messages\.\d+\.content\.\d+\.image\b/i,
  ],
  [
    'document_block',
    /pdf pages may be provided|the pdf specified|could not process pdf|messages\.\d+\.content\.\d+\.document\b/i,
  ],
  ['thinking_type:enabled', /thinking\.type(?:\.|: | )["'`]?enabled["'`]? is not supported/i],
  [
    'thinking_type:adaptive',
    /thinking\.type(?:\.|: | )["'`]?adaptive["'`]? is not supported|adaptive thinking is not supported/i,
  ],
  [
    'thinking_signature',
    /signature`? in `?thinking`? block|data`? in `?redacted_thinking`? block|thinking`? blocks\b.*cannot be modified|\.thinking\.signature: field required/i,
  ],
  ['structured_outputs_unsupported', /output_config\.format: extra inputs are not permitted/i],
  [
    'effort_unsupported',
    /output_config(?:\.effort|\.task_budget)?: extra inputs are not permitted|does not support the effort parameter|effort parameter is not supported/i,
  ],
  [
    'cache_control_field',
    // Behind `system` it is a field of the value, not the whole feature, that is refused.
    /(?<!system\.\d+\.)cache_control: extra inputs are not permitted|^cache_control\.ephemeral\.scope: extra inputs are not permitted/i,
  ],
  [
    'mid_conv_system',
    /messages: unexpected role "system"\. |messages\.\d+\.role: input should be 'user' or 'assistant'|role 'system' is not supported/i,
  ],
]

/**
 * Most that is looked at. Known wordings are some hundred letters; a provider that repeats a
 * request must not make patterns run over it.
 */
const textMaxChars = 4096

/** A client's own beta counts only where the text speaks of betas at all. */
const betaPattern = /anthropic[-_]beta/

/**
 * The token for a provider's text, such as `image_block` or `beta_header:context-1m-2025-08-07`;
 * null when it is about nothing known. `betas` are those the client sent, in its order.
 */
export function recogniseCapability(whole: string, betas: readonly string[]): string | null {
  const text = whole.slice(0, textMaxChars)
  for (const [token, pattern] of rules) if (pattern.test(text)) return token
  if (!betaPattern.test(text)) return null
  const named = betas.find((beta) => namesWhole(text, beta))
  return named === undefined ? null : `beta_header:${named}`
}

/** Whether `value` stands in `text` by itself, not as a part of a longer one. */
function namesWhole(text: string, value: string): boolean {
  for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1)) {
    const before = text.charAt(at - 1)
    const after = text.charAt(at + value.length)
    if (!partOfValue.test(before) && !partOfValue.test(after)) return true
  }
  return false
}

const partOfValue = /[a-z0-9_-]/i
