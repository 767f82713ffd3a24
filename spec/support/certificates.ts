/** A certificate authority of a spec's own, made with OpenSSL: chains as operators get them. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Issued {
  readonly cert: string
  readonly key: string
}

export interface Authority {
  /** PEM of the root, which clients trust. */
  readonly root: string
  /** PEM of the intermediate that signs. */
  readonly intermediate: string
  /** A certificate for these names, such as `DNS:gw.example.com`, from today for so many days. */
  issue(names: string, days?: number): Issued
}

export interface Scope {
  after(action: () => void): void
}

export function createAuthority(scope: Scope): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'authority-spec-'))
  scope.after(() => rmSync(folder, { recursive: true }))
  const path = (name: string): string => join(folder, name)
  /** `command` in words; nothing in it holds a blank. */
  const openssl = (command: string): void => {
    execFileSync('openssl', command.trim().split(/\s+/), {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
  }
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
  openssl(
    `req -x509 ${key} -subj /CN=Spec-Root -days 400 -addext basicConstraints=critical,CA:true
     -keyout root.key -out root.crt`,
  )
  const sign = (name: string, subject: string, by: string, days: number, extension: string) => {
    writeFileSync(path('extension'), extension)
    openssl(`req ${key} -subj ${subject} -keyout ${name}.key -out csr`)
    openssl(
      `x509 -req -in csr -CA ${by}.crt -CAkey ${by}.key -CAcreateserial -days ${days}
       -extfile extension -out ${name}.crt`,
    )
  }
  sign('intermediate', '/CN=Spec-Intermediate', 'root', 399, 'basicConstraints=critical,CA:true')
  const read = (name: string): string => readFileSync(path(name), 'utf8')
  let count = 0
  return {
    root: read('root.crt'),
    intermediate: read('intermediate.crt'),
    issue(names, days = 200) {
      const name = `leaf${count++}`
      sign(name, '/CN=spec', 'intermediate', days, `subjectAltName=${names}`)
      return { cert: read(`${name}.crt`), key: read(`${name}.key`) }
    },
  }
}
