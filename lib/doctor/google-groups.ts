/**
 * `oidc.google_groups`, tried with the administrator it is configured with: key file, delegation
 * and the Directory API. Asks for one person's groups and keeps nothing of them.
 */
import {
  createGoogleGroups,
  googleEndpoints,
  type GoogleEndpoints,
} from '../identity/google-groups.ts'
import type { ProviderMetadata } from '../identity/provider-metadata.ts'
import { failed, ok, orFailed, type Finding } from './finding.ts'
import { bounded, type DoctorParts } from './parts.ts'

/** A token and one page of groups; a sign-in waits as long. */
const askMs = 10_000

/** Nothing without the key. `endpoints` is for specs. */
export async function checkGoogleGroups(
  { config, egresses, clock }: DoctorParts,
  metadata: ProviderMetadata,
  endpoints: GoogleEndpoints = googleEndpoints,
): Promise<readonly Finding[]> {
  const { google_groups } = config.oidc
  if (google_groups === undefined) return []
  const check = 'Google groups'
  const { admin_email } = google_groups
  const read = createGoogleGroups(google_groups, {
    fetchFrom: egresses.directory.fetch,
    clock,
    endpoints,
  })
  const ask = async (): Promise<Finding> => {
    const found = await bounded(clock, 'asking the Directory API', askMs, (signal) =>
      read(admin_email, { requestId: 'doctor', metadata, signal, step: 'google_groups' }),
    )
    return found.ok
      ? ok(check, `${admin_email} is in ${found.value.length} groups`)
      : failed(check, found.failure.reason, fix)
  }
  return [await orFailed(check, fix, ask())]
}

const fix =
  'enable the Admin SDK API in the project of the service account; in the Admin console allow its client id the scope https://www.googleapis.com/auth/admin.directory.group.readonly (domain-wide delegation); let admin_email be an administrator who may read groups'
