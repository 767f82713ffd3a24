/**
 * Whom AWS takes the gateway for, asked of STS (GetCallerIdentity), which every identity may do
 * and which costs nothing: it tells wrong keys from missing permissions.
 */
import { describeFailure } from '../egress/describe-failure.ts'
import { headerPairs } from '../egress/fetch.ts'
import { createAwsIdentity } from '../upstream/aws-credentials.ts'
import { createAwsSigner } from '../upstream/aws-signer.ts'
import type { UpstreamConfig } from '../upstream/config.ts'
import { stsElement } from '../upstream/sts-element.ts'
import { failed, ok, type Finding } from './finding.ts'
import { bounded, createMemoryLog, doctor, type DoctorParts } from './parts.ts'

/** Finding the keys may take ten seconds, STS answers in one. */
const askMs = 15_000

/** Nothing for upstreams that do not sign with keys of AWS. */
export async function checkAwsIdentity(
  entry: UpstreamConfig,
  { config, settings, egresses, clock }: DoctorParts,
): Promise<readonly Finding[]> {
  const signs =
    ((entry.provider === 'bedrock' || entry.provider === 'mantle') &&
      entry.auth.aws_bearer_token === undefined) ||
    (entry.provider === 'anthropicAws' && entry.auth.api_key === undefined)
  if (!signs) return []
  const check = `AWS identity of ${entry.name}`
  const { log } = createMemoryLog()
  const deps = {
    egress: egresses.cloud,
    clock,
    log,
    upstream_ttfb_ms: config.timeouts.upstream_ttfb_ms,
    whole_ttfb_ms: config.timeouts.upstream_ttfb_ms,
  }
  const url = new URL(settings.stsUrl ?? `https://sts.${entry.region}.amazonaws.com`)
  const sign = createAwsSigner('sts', entry.region)
  try {
    const text = await bounded(clock, 'asking STS', askMs, async (signal) => {
      const keys = await createAwsIdentity(deps, entry.name, entry.auth)(doctor, signal)
      const body = Buffer.from('Action=GetCallerIdentity&Version=2011-06-15')
      const plain = ['content-type', 'application/x-www-form-urlencoded; charset=utf-8']
      const headers = sign({ url, target: url.pathname, headers: plain, body }, keys, clock.now())
      const response = await egresses.cloud.fetch(url, {
        method: 'POST',
        headers: headerPairs(headers),
        body,
        signal,
      })
      return response.text()
    })
    const arn = stsElement(text, 'Arn')
    if (arn !== null) return [ok(check, arn)]
    return [failed(check, `STS: ${stsElement(text, 'Code') ?? 'no identity'}`, fix)]
  } catch (error) {
    return [failed(check, describeFailure(error), fix)]
  }
}

const fix =
  'give auth valid keys, or bind a role to the workload (IRSA, task role, instance profile) and leave auth: {}'
