/**
 * The real gateway with an upstream of every provider, each on a server of its own: for journeys
 * about what holds at all of them. A caller's group decides which provider it is sent to.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ProviderName } from '../../lib/upstream/config.ts'
import { send } from './client.ts'
import { createDatabase } from './database.ts'
import { createFakeUpstream, type FakeUpstream } from './fake-upstream.ts'
import { type GatewayProcess, startGateway } from './gateway.ts'
import { startIdentityProvider } from './identity-provider.ts'
import { sessionToken } from './session-token.ts'

const keys = { aws_access_key_id: 'AKID', aws_secret_access_key: 'the-secret' }
const google = { project_id: 'proj', auth: {} }

/** What a provider needs in the file beside its address. */
const settings: Readonly<Record<ProviderName, object>> = {
  anthropic: { auth: { api_key: 'sk-upstream' } },
  bedrock: { region: 'us-east-1', auth: keys },
  mantle: { region: 'us-east-1', models: ['*haiku*'], auth: keys },
  anthropicAws: { region: 'us-east-1', workspace_id: 'wrkspc_1', auth: { api_key: 'aws-key' } },
  anthropicGoogleCloud: { ...google, workspace_id: 'wrkspc_1' },
  vertex: { ...google, region: 'us-east5' },
  foundry: { resource: 'res', auth: { api_key: 'fnd' } },
}

export const providerNames: readonly string[] = Object.keys(settings)

export interface EveryProvider {
  readonly gateway: GatewayProcess
  /** The server of the provider with this name, which is also the name of the caller's group. */
  readonly server: (name: string) => FakeUpstream
}

/** `after` is the file's: everything lives as long as its tests. */
export async function startEveryProvider(
  after: (action: () => Promise<void>) => void,
  config: Readonly<Record<string, unknown>> = {},
): Promise<EveryProvider> {
  const database = await createDatabase()
  const identities = await startIdentityProvider({ after })
  const metadata = await createFakeUpstream()
  metadata.always({
    headers: ['metadata-flavor', 'Google', 'content-type', 'application/json'],
    body: '{"access_token":"ya29.meta","expires_in":3599,"token_type":"Bearer"}',
  })
  const servers = new Map<string, FakeUpstream>()
  for (const name of providerNames) servers.set(name, await createFakeUpstream())
  after(async () => {
    await Promise.all([metadata, ...servers.values()].map((server) => server.close()))
  })
  const gateway = await startGateway(
    { after },
    {
      postgresUrl: database.url,
      issuer: identities.issuer,
      environment: {
        GCE_METADATA_HOST: metadata.url.replace('http://', ''),
        METADATA_SERVER_DETECTION: 'assume-present',
        HOME: '/nonexistent',
      },
      config: {
        upstreams: Object.entries(settings).map(([provider, rest]) => ({
          provider,
          base_url: servers.get(provider)?.url,
          groups: [provider],
          ...rest,
        })),
        ...config,
      },
    },
  )
  for (const name of ['vertex', 'anthropicGoogleCloud']) await warmUp(gateway.url, name)
  return {
    gateway,
    server(name) {
      const server = servers.get(name)
      if (server === undefined) throw new Error(`no provider is called ${name}`)
      return server
    },
  }
}

/**
 * The first request for a credential of Google loads its library, which on a busy machine, from
 * source, takes longer than a request waits for a credential.
 */
async function warmUp(url: string, name: string): Promise<void> {
  const token = sessionToken(url, { groups: [name] })
  const body = '{"model":"claude-haiku-4-5","max_tokens":1,"messages":[]}'
  for (let turn = 0; turn < 30; turn++) {
    const { status } = await send(`${url}/v1/messages/count_tokens`, { token, body })
    if (status === 200) return
    // A source that failed is left alone for a second.
    await sleep(1100)
  }
  throw new Error(`${name} has no credential after thirty requests`)
}
