/**
 * Replays every recorded boot of the reference: what booted there boots here, what was refused
 * is refused. Differences are listed with their reason, and a row that is no difference fails.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { formatProblems, formatWarning, loadConfig, type LoadedConfig } from '../../lib/config.ts'
import { readRecordedCases, type RecordedCase } from './recorded-cases.ts'

const cases = readRecordedCases()

/** Booted on the reference and is refused here, because it cannot work or is unsafe. */
const refusedHere: Readonly<Record<string, string>> = {
  'public_url-path': 'B005: a path breaks every address put together from it',
  'public_url-query': 'B005: a query breaks every address put together from it',
  'public_url-ftp': 'B005: no client speaks it',
  'ttl-0': 'B006: every token would be dead when it is made',
  'ttl-neg': 'B006: every token would be dead when it is made',
  'admin-dup-key': 'B007: a read key equal to a write key writes',
  'admin-groups-blank': 'B007: nobody is in a group without a name',
  'pol-groups-blank': 'B007: nobody is in a group without a name',
  'vertex-badregion': 'spec 01: no host name can be made of it',
  'tel-hdr-bad': 'spec 01: no header can have such a name',
}

/** Refused by the reference after it read the file, so that the file itself is fine. */
const refusedLater: Readonly<Record<string, string>> = {
  'host-badname': 'the name is resolved when the gateway listens',
  'issuer-down': 'the provider is asked at boot',
  'pg-nodb': 'the database is asked at boot',
  'pg-down': 'the database is asked at boot',
  'pg-connect-timeout-1': 'the database is asked at boot',
  'pg-username': 'the database is asked at boot',
  'tel-http-localhost-noenv': 'the provider is asked at boot',
}

/** What the reference warned of, by the start of the fact; null: not said by the file alone. */
const warningPatterns: readonly (readonly [fact: string, pattern: RegExp | null])[] = [
  [
    'telemetry set without listen.public_url',
    /telemetry\.forward_to: is set without listen\.public_url/,
  ],
  ['use_proxy without a proxy variable', /oidc\.use_proxy: .*reached directly/],
  ['proxy variable set, use_proxy unset', /oidc\.issuer: is reached directly although HTTPS_PROXY/],
  ['cri block inert', /cri: does nothing while/],
  ['multiplier above 1', /pricing\.multiplier: is above 1/],
  ['pricing row matches no requestable model', /nobody can ask for/],
  ['forward_user_identity sends user identity', /forward_user_identity: sends .* to 127\.0\.0\.1/],
  ['upstream models entry routes nothing', /upstreams\.0\.models\.0: routes nothing/],
  ['Sonnet 4.5/4 have no 1M context on Vertex', /Sonnet 4\.5 and 4 have no context of 1M/],
  ['no policy has desktop', /desktop/],
  ['catch-all policy not last', /managed\.policies\.\d+\S*: /],
  ['availableModels leaves out the client default model', /availableModels/],
  ['empty availableModels rejects every request', /availableModels/],
  ['conditions under which a code block reaches', /\.code: /],
  ['cli settings do not reach a bootstrapped Desktop', /\.cli: /],
  ['serve_to_desktop false ignored beside code', /serve_to_desktop: /],
  ['unknown desktop key, sent as written', /desktop\.zzz: /],
  ['managedMcpServers entry without transport', /desktop\.managedMcpServers\.0/],
  ['resource_attributes without forward_to', /resource_attributes: has no effect/],
  // What the provider offers is known once it was asked.
  ['no offline_access though the IdP offers it', null],
  ['Postgres connect attempt', null],
  ['attempt 2 of 3 failed', null],
  ['no list price: unknown tier', /spend meter has no exact rates for m \(anthropic: x\)/],
]

function load({ name, text, environment }: RecordedCase): LoadedConfig {
  const path = `/etc/claude/${name}.yaml`
  const readFile = (file: string): Uint8Array =>
    file === path ? Buffer.from(text ?? '') : readFileSync(file)
  return loadConfig({ path, environment, now: Date.parse('2026-11-23T10:00:00Z'), readFile })
}

const files = cases.filter(({ text }) => text !== null)

test('replay: the table holds 422 cases, one of which is no file', () => {
  assert.equal(cases.length, 422)
  assert.deepEqual(
    cases.filter(({ text }) => text === null).map(({ name }) => name),
    ['port-in-use'],
  )
})

test('replay: every verdict is the recorded one, but for the listed differences', () => {
  const differences = files.flatMap((recorded) => {
    const loaded = load(recorded)
    const started = loaded.kind === 'ok'
    if (started === recorded.started) return []
    const detail = started ? '' : formatProblems(loaded.problems)
    return [`${recorded.name} ${started ? 'boots' : 'is refused'} here: ${detail}`]
  })
  const unexplained = differences.filter((line) => {
    const [name = '', verdict] = line.split(' ')
    return !Object.hasOwn(verdict === 'is' ? refusedHere : refusedLater, name)
  })
  assert.deepEqual(unexplained, [])
  const unused = Object.keys({ ...refusedHere, ...refusedLater }).filter(
    (name) => !differences.some((line) => line.startsWith(`${name} `)),
  )
  assert.deepEqual(unused, [], 'listed as different, but no longer so')
})

test('replay: every warning of the reference is given here too', () => {
  const missing = files
    .filter(({ name, started }) => started && !Object.hasOwn(refusedHere, name))
    .flatMap((recorded) => {
      const said = load(recorded).warnings.map(formatWarning)
      return recorded.warnings.flatMap((fact) => {
        const row = warningPatterns.find(([start]) => fact.startsWith(start))
        assert.ok(row, `the fact has no row: ${fact}`)
        const [, pattern] = row
        const given = pattern === null || said.some((line) => pattern.test(line))
        return given ? [] : [`${recorded.name}: ${fact} (said: ${said.join(' | ')})`]
      })
    })
  assert.deepEqual(missing, [])
})

test('replay: every refusal names a place and a key', () => {
  for (const recorded of files) {
    const loaded = load(recorded)
    if (loaded.kind === 'ok') continue
    for (const problem of loaded.problems) {
      assert.ok(problem.line >= 1 && problem.column >= 1, recorded.name)
      assert.notEqual(problem.expected, '', recorded.name)
      assert.notEqual(problem.found, '', recorded.name)
    }
  }
})
