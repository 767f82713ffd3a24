/**
 * The demo's `gateway.yaml`: written once, with comments, then the reader's to change. What differs
 * between two starts (ports, the database's password) comes from the environment.
 */

/** `anthropic` when there is a key to use it with; nothing else reaches the internet. */
export type DemoUpstream = 'anthropic' | 'canned'

export function demoConfiguration(upstream: DemoUpstream): string {
  return `# The demo's configuration. Change it, stop the demo with Ctrl-C and start it again.
# \${NAME} is replaced by the environment variable NAME; \${file:/path} by the contents of a file.
# Every key is described in docs/configuration.md.

listen:
  host: 127.0.0.1            # loopback only; a real gateway binds 0.0.0.0 behind your network
  port: \${DEMO_PORT}
  # What developers enter in their client. Everything that leads back here is built from it.
  public_url: http://localhost:\${DEMO_PORT}

# Who may sign in. Here: the sample provider that the demo starts. Yours: Okta, Entra, Google, …
oidc:
  issuer: \${DEMO_ISSUER}
  client_id: demo-gateway
  client_secret: \${DEMO_CLIENT_SECRET}
  # allowed_email_domains: [example.com]
  # allowed_groups: [engineering]

# Signs the sessions. Put a new secret first to rotate; the old ones go on verifying.
session:
  jwt_secret: \${DEMO_JWT_SECRET}
  ttl_hours: 8

store:
  postgres_url: \${DEMO_POSTGRES_URL}

# Asked in this order; the next one serves when the first can't.
upstreams:
  - provider: anthropic
    auth:
      api_key: ${upstream === 'anthropic' ? '${ANTHROPIC_API_KEY}' : 'no-key-needed-in-load-test-mode'}
${
  upstream === 'anthropic'
    ? ''
    : `
# No provider is asked: every request is built, signed, thrown away, and answered with canned text.
# To talk to a model, set ANTHROPIC_API_KEY, delete this file and start the demo again.
load_test_mode:
  enabled: true
  reply_tokens: 60
  reply_seconds: 2
`
}
# What each group may do; the first policy that matches a person counts, the last is for everybody.
managed:
  policies:
    - match: { groups: [contractors] }
      cli:
        availableModels: [haiku]
    - cli:
        availableModels: [opus, sonnet, haiku, fable]
`
}
