/**
 * `/protocol`: what a client may ask of this gateway and what it answers, for people who write
 * one. In our own words; it describes behaviour and is no contract of anybody else's.
 */
import type { Handler } from '../http/exchange.ts'
import { productName } from './document.ts'

export function createProtocolPage(): Handler {
  return () => ({
    status: 200,
    headers: [['Content-Type', 'text/markdown; charset=utf-8']],
    body: text,
  })
}

const text = `# ${productName}: the protocol

${productName} is an independent, open implementation of the gateway protocol that Claude Code
speaks. It is neither made nor endorsed by Anthropic. Version 1 of the protocol is described here;
a gateway names its version in the discovery document.

All requests go to one origin. JSON answers are UTF-8. There are no redirects on the paths below
except in the browser part of sign-in, and no cross-origin headers.

## Discovery

\`GET /.well-known/oauth-authorization-server\` needs no authentication. It answers with
\`issuer\`, \`device_authorization_endpoint\`, \`token_endpoint\`, \`grant_types_supported\`,
\`scopes_supported\` and \`gateway_protocol_version\`. Use only endpoints on the origin you asked,
and ignore fields you do not know.

## Sign-in

Sign-in is the OAuth 2.0 device grant (RFC 8628).

1. \`POST /oauth/device_authorization\`, empty or with any form. The answer holds
   \`device_code\`, \`user_code\`, \`verification_uri\`, \`verification_uri_complete\`,
   \`expires_in\` (600), \`interval\` (5) and, when the operator set one, \`login_notice\`, a text
   to show to the person.
2. Show the code and open \`verification_uri_complete\`. The person compares the code, approves and
   signs in at the organisation's identity provider. Tell people to approve only what they started.
3. Poll \`POST /oauth/token\` as a form with
   \`grant_type=urn:ietf:params:oauth:grant-type:device_code\` and \`device_code\`, at most once per
   interval.

| Answer to a poll | Meaning |
| --- | --- |
| 200 \`access_token\`, \`token_type\`, \`expires_in\`, and where known \`refresh_token\`, \`email\` | signed in; given once |
| 400 \`authorization_pending\` | poll again after the interval |
| 429 \`slow_down\` | polled too soon; wait as long as \`Retry-After\` says |
| 400 \`access_denied\` | the person or the organisation said no |
| 400 \`expired_token\` | unknown, used or over; start again |
| 503 \`temporarily_unavailable\` | try again after \`Retry-After\` |

\`POST /oauth/token\` with \`grant_type=refresh_token\` and \`refresh_token\` gives a new session and
perhaps a new refresh token: store the one you got last. 401 \`invalid_grant\` means the person has
to sign in again. 503 \`temporarily_unavailable\` means the identity provider could not be asked:
keep the token and try later. Refresh when less than five minutes are left.

\`POST /oauth/revoke\` (RFC 7009) as a form with \`token\` signs out: first the session, then in a
second request the refresh token. 200 means that it is over, on every replica within a second, or
that it never was; 503 \`temporarily_unavailable\` means that nothing was ended. The endpoint is
there when the discovery document names it.

Errors of these endpoints are JSON objects with \`error\`, sometimes with \`error_description\`.

## Authentication

Everything under "Inference", "Settings" and "Telemetry" needs
\`Authorization: Bearer <access_token>\`, spelled like this and with one space. Without a valid
session the answer is 401 with \`x-should-retry: false\`:

\`\`\`json
{"type":"error","request_id":"…","error":{"type":"authentication_error","message":"invalid token"}}
\`\`\`

The same 401 answers unknown paths, so that strangers cannot list what exists; with a session an
unknown path is 404.

## Inference

| Request | Answer |
| --- | --- |
| \`POST /v1/messages\` | the Messages API, streamed when the body says \`"stream": true\` |
| \`POST /v1/messages/count_tokens\` | the token count of a request |
| \`GET /v1/models\` | the models the caller may use |

Bodies need a \`Content-Length\`; chunked request bodies are refused with 411, too long ones with
413. The gateway chooses the upstream by \`model\` and passes the rest on. Credentials of upstreams
never reach a client.

- \`x-request-id\` is on every answer. A client may choose it for inference with
  \`x-client-request-id\` (letters, digits, \`.\`, \`_\`, \`-\`, at most 64).
- A stream that breaks after it began ends with an SSE \`error\` event. A stream cut without one was
  cut by the network.
- Obey \`x-should-retry\` and \`Retry-After\` where they are present.

## Spending limits

Where the operator set a limit, answers of \`/v1/messages\` carry the state of the limit that is
nearest to its end:

| Header | Value |
| --- | --- |
| \`anthropic-ratelimit-unified-status\` | \`allowed\`, \`allowed_warning\` or \`rejected\` |
| \`anthropic-ratelimit-unified-reset\`, \`…-overage-reset\` | when the period ends, Unix seconds |
| \`…-overage-utilization\` | share that is spent, \`0.82\` for 82 % |
| \`…-overage-surpassed-threshold\` | \`0.75\` or \`0.95\` once passed |
| \`…-representative-claim\` | \`overage\` |
| \`…-overage-status\` | as the status |

Over the limit the answer is 429 with \`x-should-retry: false\`, \`retry-after\`, the headers above and
\`…-overage-period\` (\`daily\`, \`weekly\`, \`monthly\`) and \`…-overage-disabled-reason\`
(\`org_spend_cap_reached\`). The utilization is then 1 or more, and the threshold \`1\`:

\`\`\`json
{"type":"error","error":{"type":"billing_error","message":"spend limit reached · resets Nov 23"}}
\`\`\`

Show the message as it is; the operator may have added whom to ask. A shared budget of a group adds
\`…-overage-scope: group_pool\`. Where the operator wants calls refused while limits cannot be
checked, the same 429 says \`spend limit unavailable\`, and of the headers above it has
\`…-overage-disabled-reason\` (\`fetch_error\`) alone: try later. \`GET /api/oauth/usage\` tells the caller's spending of the day,
the week and the month.

## Settings

| Request | Answer |
| --- | --- |
| \`GET /managed/settings\` | \`uuid\`, \`checksum\` and \`settings\` of the caller's policy; 304 for a matching \`If-None-Match\`; 404 when there is none |
| \`GET /user/bootstrap\` | the settings of Claude Desktop, or 404 |

## Telemetry

\`POST /v1/metrics\`, \`/v1/logs\` and \`/v1/traces\` take OTLP over HTTP and answer 200 with an empty
body at once, whatever becomes of the data.

## Health

\`GET /healthz\` answers \`ok\` while the process lives. \`GET /readyz\` answers \`ready\`, or 503 while
the database cannot be reached.
`
