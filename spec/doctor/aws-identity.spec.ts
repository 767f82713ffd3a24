import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { askDoctor, assertOk, assertProblem } from '../support/doctor.ts'
import { createFakeSts, ownKeys, refusal } from '../support/fake-sts.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'

const sts = await createFakeSts()
const upstream = await createFakeUpstream()
after(async () => {
  await sts.close()
  await upstream.close()
})
upstream.always({ body: '{"inputTokens":3}' })

const ask = (auth: object) =>
  askDoctor({
    config: {
      upstreams: [{ provider: 'bedrock', region: 'eu-west-1', base_url: upstream.url, auth }],
    },
    environment: { AWS_ENDPOINT_URL_STS: sts.url },
  })
const check = 'AWS identity of bedrock'

test('doctor AWS identity: the keys are named by STS, in a signed request that costs nothing', async () => {
  const findings = await ask(ownKeys)
  // The server has verified the signature.
  assertOk(findings, check, /arn:aws:sts::1:assumed-role\/r\/s/)
  assert.deepEqual(
    sts.calls.map((call) => call.get('Action')),
    ['GetCallerIdentity'],
  )
  assertOk(findings, 'upstream bedrock', /counted tokens/)
})

test('doctor AWS identity: keys that STS refuses fail with its code', async () => {
  sts.next(refusal('InvalidClientTokenId'))
  assertProblem(await ask(ownKeys), check, {
    result: 'fail',
    seen: /InvalidClientTokenId/,
    fix: /bind a role to the workload/,
  })
})

test('doctor AWS identity: an upstream with a bearer of its own signs nothing', async () => {
  const findings = await ask({ aws_bearer_token: 'bearer-1' })
  assert.ok(findings.every((finding) => finding.check !== check))
})
