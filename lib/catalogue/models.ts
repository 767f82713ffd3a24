/**
 * The built-in models: every spelling each provider knows them by, and what lists say of them.
 * Data only; `resolve.ts` turns it into routes. A new model is one row here, or one entry of
 * `extensions.models` in a configuration.
 *
 * Source: the providers' public model pages and answers of gateway 2.1.330, November 2026.
 */
export const providers = [
  'anthropic',
  'bedrock',
  'mantle',
  'anthropicAws',
  'anthropicGoogleCloud',
  'vertex',
  'foundry',
] as const
export type Provider = (typeof providers)[number]

export interface Model {
  /** Undated name; accepted from clients like every form. */
  readonly name: string
  /** The id each provider takes. A provider without one does not offer the model. */
  readonly forms: Readonly<Partial<Record<Provider, string>>>
  /** Shown by `GET /v1/models`, under its anthropic form. Older models route unlisted. */
  readonly listed: boolean
  /** What the list says; null where it says nothing. */
  readonly maxInputTokens: number | null
  /** Offers the one-million-token context. */
  readonly supports1m: boolean
}

type Forms = Model['forms']

const million = 1_000_000

/** A model whose id is the same everywhere but for the prefixes of the two Bedrock endpoints. */
function undated(name: string): Forms {
  return {
    anthropic: name,
    anthropicAws: name,
    anthropicGoogleCloud: name,
    vertex: name,
    foundry: name,
    // One geography for every Bedrock region: `us.` is what the gateway protocol sends.
    bedrock: `us.anthropic.${name}`,
    mantle: `anthropic.${name}`,
  }
}

/** A model released under a dated id. `revision` is the tail of its Bedrock id. */
function dated(name: string, date: string, revision: string): Forms {
  return {
    anthropic: `${name}-${date}`,
    anthropicAws: `${name}-${date}`,
    vertex: `${name}@${date}`,
    foundry: name,
    bedrock: `us.anthropic.${name}-${date}-${revision}`,
  }
}

/** Listed models in the order lists are served in, then those that only route. */
export const builtInModels: readonly Model[] = [
  {
    name: 'claude-opus-4-6',
    forms: without('mantle', {
      ...undated('claude-opus-4-6'),
      bedrock: 'us.anthropic.claude-opus-4-6-v1',
    }),
    listed: true,
    maxInputTokens: null,
    supports1m: true,
  },
  {
    name: 'claude-sonnet-4-5',
    forms: {
      ...dated('claude-sonnet-4-5', '20250929', 'v1:0'),
      anthropicGoogleCloud: 'claude-sonnet-4-5-20250929',
    },
    listed: true,
    maxInputTokens: null,
    supports1m: false,
  },
  {
    name: 'claude-haiku-4-5',
    forms: {
      ...dated('claude-haiku-4-5', '20251001', 'v1:0'),
      anthropicGoogleCloud: 'claude-haiku-4-5-20251001',
      mantle: 'anthropic.claude-haiku-4-5',
    },
    listed: true,
    maxInputTokens: 200_000,
    supports1m: false,
  },
  listed('claude-fable-5-2'),
  listed('claude-fable-5-1'),
  listed('claude-fable-5'),
  listed('claude-opus-5-5'),
  listed('claude-opus-5'),
  listed('claude-opus-4-8'),
  listed('claude-opus-4-7'),
  {
    name: 'claude-opus-4-1',
    forms: dated('claude-opus-4-1', '20250805', 'v1:0'),
    listed: true,
    maxInputTokens: 200_000,
    supports1m: false,
  },
  listed('claude-sonnet-5-5'),
  listed('claude-sonnet-5'),
  {
    name: 'claude-sonnet-4-6',
    forms: without('mantle', undated('claude-sonnet-4-6')),
    listed: true,
    maxInputTokens: null,
    supports1m: true,
  },
  listed('claude-haiku-5-5'),
  unlisted(
    'claude-opus-4-5',
    {
      ...dated('claude-opus-4-5', '20251101', 'v1:0'),
      anthropicGoogleCloud: 'claude-opus-4-5-20251101',
    },
    200_000,
  ),
  unlisted('claude-opus-4', dated('claude-opus-4', '20250514', 'v1:0'), 200_000),
  unlisted('claude-sonnet-4', dated('claude-sonnet-4', '20250514', 'v1:0')),
  unlisted('claude-3-7-sonnet', dated('claude-3-7-sonnet', '20250219', 'v1:0')),
  unlisted('claude-3-5-sonnet', {
    ...dated('claude-3-5-sonnet', '20241022', 'v2:0'),
    vertex: 'claude-3-5-sonnet-v2@20241022',
  }),
  unlisted('claude-3-5-haiku', dated('claude-3-5-haiku', '20241022', 'v1:0')),
]

/** A current model: undated, offered everywhere, one million tokens. */
function listed(name: string): Model {
  return { name, forms: undated(name), listed: true, maxInputTokens: million, supports1m: true }
}

function unlisted(name: string, forms: Forms, maxInputTokens: number | null = null): Model {
  return { name, forms, listed: false, maxInputTokens, supports1m: false }
}

function without(provider: Provider, forms: Forms): Forms {
  return Object.fromEntries(Object.entries(forms).filter(([name]) => name !== provider))
}
