/**
 * What `extensions.metrics` and `extensions.audit` need of the machine: a port of their own and a
 * file to append to. Nothing is written and nothing created.
 */
import { access, constants } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describeFailure, failureCode } from '../egress/describe-failure.ts'
import { failed, ok, orFailed, warned, type Finding } from './finding.ts'
import { bind } from './listener.ts'
import type { DoctorParts } from './parts.ts'

export async function checkOperations({ config }: DoctorParts): Promise<readonly Finding[]> {
  const { metrics, audit } = config.extensions
  return Promise.all([
    ...(metrics === undefined ? [] : [checkMetricsPort(metrics)]),
    ...(audit === undefined ? [] : [checkWritable(audit.file)]),
    ...(audit?.sign_key_file === undefined ? [] : [checkReadable(audit.sign_key_file)]),
  ])
}

async function checkMetricsPort({
  host,
  port,
}: {
  readonly host: string
  readonly port: number
}): Promise<Finding> {
  const check = 'metrics port'
  try {
    await bind(host, port)
    return ok(check, `${host}:${port} is free`)
  } catch (error) {
    if (failureCode(error) === 'EADDRINUSE') {
      return warned(
        check,
        `${host}:${port} is taken`,
        `that is right while a gateway runs here; otherwise set extensions.metrics.port to another port (ss -ltnp shows who has ${port})`,
      )
    }
    return failed(
      check,
      describeFailure(error),
      'set extensions.metrics.host to an address of this machine, and port to 1024 or above',
    )
  }
}

/** The file itself, or the folder that it is to be made in. */
async function checkWritable(file: string): Promise<Finding> {
  const check = 'audit file'
  try {
    await access(file, constants.W_OK)
    return ok(check, `${file} can be appended to`)
  } catch (error) {
    const fix = `let the account of the gateway write ${file}, or its folder when the file is not there`
    if (failureCode(error) !== 'ENOENT') return failed(check, describeFailure(error), fix)
    const inFolder = access(dirname(file), constants.W_OK)
    return orFailed(
      check,
      fix,
      inFolder.then(() => ok(check, `${file} is made at the first start`)),
    )
  }
}

function checkReadable(file: string): Promise<Finding> {
  const check = 'audit signing key'
  return orFailed(
    check,
    `let the account of the gateway read ${file}, and nobody write it`,
    access(file, constants.R_OK).then(() => ok(check, `${file} is readable`)),
  )
}
