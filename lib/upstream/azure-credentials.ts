/**
 * Access tokens of the Azure default credentials: environment, workload identity, managed
 * identity, command line. Behind a token cache only: the library asks its source every time.
 */
import type { TokenCredential } from '@azure/identity'
import type { Token, TokenSource } from './token-cache.ts'

const scope = 'https://cognitiveservices.azure.com/.default'

/**
 * The library is loaded now, in the background: a gateway without Azure never pays for it, and one
 * with it not while streams are waiting.
 */
export function createAzureTokens(): TokenSource<Token> {
  const loading = import('@azure/identity')
  // Whoever asks for a token is told.
  loading.catch(() => {})
  let credential: TokenCredential | null = null
  return async (signal) => {
    const { DefaultAzureCredential } = await loading
    credential ??= new DefaultAzureCredential()
    const token = await credential.getToken(scope, { abortSignal: signal })
    if (token === null) throw new Error('none of the Azure default credentials is available')
    return { value: token.token, expiresAt: token.expiresOnTimestamp }
  }
}
