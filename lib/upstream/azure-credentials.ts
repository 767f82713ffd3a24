/**
 * Access tokens of the Azure default credentials: environment, workload identity, managed
 * identity, command line. Behind a token cache only: the library asks its source every time.
 */
import type { TokenCredential } from '@azure/identity'
import type { Token, TokenSource } from './token-cache.ts'

const scope = 'https://cognitiveservices.azure.com/.default'

/** The library is loaded with the first token: a gateway without Azure never pays for it. */
export function createAzureTokens(): TokenSource<Token> {
  let credential: TokenCredential | null = null
  return async (signal) => {
    const { DefaultAzureCredential } = await import('@azure/identity')
    credential ??= new DefaultAzureCredential()
    const token = await credential.getToken(scope, { abortSignal: signal })
    if (token === null) throw new Error('none of the Azure default credentials is available')
    return { value: token.token, expiresAt: token.expiresOnTimestamp }
  }
}
