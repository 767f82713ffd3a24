import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authorizeSigned, authorizeWith } from '../../lib/upstream/aws-cloud.ts'
import type { AwsIdentity } from '../../lib/upstream/aws-credentials.ts'
import { createAsk } from '../support/ask.ts'
import { withCloud } from '../support/cloud.ts'
import { verifySignature } from '../support/sigv4.ts'

const request = {
  url: new URL('https://aws.example'),
  target: '/p',
  headers: ['x-own', '1'],
  body: Buffer.from('{}'),
}

test('authorize: a fixed credential is one more header of the same request', async () => {
  assert.deepEqual(await authorizeWith('x-api-key', 'k')(request, createAsk()), {
    ...request,
    headers: ['x-own', '1', 'x-api-key', 'k'],
  })
})

test('authorize: each request is signed with the keys of its caller, at its time', async () => {
  await withCloud(async ({ deps }) => {
    const asked: string[] = []
    const identity: AwsIdentity = ({ sub }) => {
      asked.push(sub)
      return Promise.resolve({ accessKeyId: 'AKID', secretAccessKey: 's' })
    }
    const authorize = authorizeSigned(deps, 'svc', 'eu-west-1', identity)
    const { headers, url, target, body } = await authorize(request, createAsk())
    assert.deepEqual(asked, ['u-alice'])
    assert.deepEqual({ url, target, body }, { url: request.url, target: '/p', body: request.body })
    const rawHeaders = [...headers, 'host', 'aws.example']
    const sent = { method: 'POST', url: '/p', rawHeaders, body: request.body }
    assert.equal(verifySignature(sent, 's').matches, true)
  })
})

test('authorize: keys that cannot be had fail the request', async () => {
  await withCloud(async ({ deps }) => {
    const identity: AwsIdentity = () => Promise.reject(new Error('no keys'))
    const authorize = authorizeSigned(deps, 'svc', 'eu-west-1', identity)
    await assert.rejects(authorize(request, createAsk()), /no keys/)
  })
})
