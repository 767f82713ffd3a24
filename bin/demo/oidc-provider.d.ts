/** The part of `oidc-provider` (which ships no types) that the demo's provider and specs use. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  export interface Account {
    accountId: string
    claims(use: string, scope: string): Promise<Record<string, unknown>>
  }

  export class Grant {
    constructor(of: { clientId: string; accountId: string })
    addOIDCScope(scopes: string): void
    save(): Promise<string>
  }

  export interface OidcContext {
    readonly client: { readonly clientId: string; readonly redirectUris: readonly string[] }
    readonly session: { readonly accountId: string }
    readonly result?: { readonly login?: unknown }
  }

  export interface Context {
    readonly oidc: OidcContext
    type: string
    body: string
  }

  export interface Interaction {
    readonly uid: string
    readonly params: Readonly<Record<string, unknown>>
  }

  export class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>)
    readonly Grant: typeof Grant
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: Record<string, unknown>,
      options?: { mergeWithLastSubmission?: boolean },
    ): Promise<void>
    on(event: string, listener: (...details: never[]) => void): this
  }

  export namespace interactionPolicy {
    class Check {
      constructor(
        reason: string,
        description: string,
        error: string,
        check: (context: Context) => boolean,
      )
      static readonly REQUEST_PROMPT: boolean
      static readonly NO_NEED_TO_PROMPT: boolean
    }
    interface Prompt {
      readonly checks: { add(check: Check): void }
    }
    interface Policy {
      get(name: string): Prompt
      remove(name: string): void
    }
    function base(): Policy
  }
}
