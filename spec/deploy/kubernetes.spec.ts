import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  at,
  findProblems,
  type Manifest,
  nameOfKind,
  parseManifests,
} from '../support/manifests.ts'
import { findOptionalTool } from '../support/tools.ts'

const kubernetes = join(import.meta.dirname, '..', '..', 'deploy', 'kubernetes')
const overlays = readdirSync(join(kubernetes, 'overlays')).toSorted()
const kubectl = findOptionalTool('kubectl', 'kustomize', '--help')

const built = new Map<string, readonly Manifest[]>()

/** As `kubectl apply -k` would send it. */
function build(folder: string): readonly Manifest[] {
  const known = built.get(folder)
  if (known !== undefined) return known
  const text = execFileSync('kubectl', ['kustomize', join(kubernetes, folder)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const manifests = parseManifests(text)
  built.set(folder, manifests)
  return manifests
}

function pick(manifests: readonly Manifest[], kind: string): Manifest {
  const found = manifests.filter((manifest) => manifest['kind'] === kind)
  assert.equal(found.length, 1, kind)
  return found[0] ?? {}
}

test('deploy kubernetes: there is an overlay for each cloud and for external secrets', () => {
  assert.deepEqual(overlays, ['aws', 'azure', 'external-secrets', 'gcp'])
})

test('deploy kubernetes: a misspelt field, a wrong type and a missing one are found', () => {
  const service = (spec: object): Manifest => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'x', labels: { any: 'thing' } },
    spec,
  })
  assert.deepEqual(findProblems(service({ ports: [{ port: 80 }] })), [])
  assert.deepEqual(findProblems(service({ prots: [{ port: 80 }] })), ['/spec/prots: no such field'])
  assert.match(findProblems(service({ ports: [{ port: 'eighty' }] })).join(), /integer/)
  assert.match(findProblems(service({ ports: [{ name: 'http' }] })).join(), /required/)
})

test('deploy kubernetes: each file is what its kustomization says, and nothing lies unused', () => {
  for (const folder of [
    'base',
    'components/ingress-nginx',
    ...overlays.map((each) => `overlays/${each}`),
  ]) {
    const path = join(kubernetes, folder)
    const [kustomization] = parseManifests(readFileSync(join(path, 'kustomization.yaml'), 'utf8'))
    const text = JSON.stringify(kustomization)
    for (const file of readdirSync(path)) {
      if (file !== 'kustomization.yaml') assert.ok(text.includes(`"${file}"`), `${folder}/${file}`)
    }
    const named = ['resources', 'components'].flatMap((key) => {
      const list = at(kustomization, key)
      return Array.isArray(list) ? list.map(String) : []
    })
    for (const each of named) assert.ok(existsSync(join(path, each)), `${folder}: ${each}`)
  }
})

for (const folder of ['base', ...overlays.map((overlay) => `overlays/${overlay}`)]) {
  test(
    `deploy kubernetes: ${folder} builds, and every field of it is one that Kubernetes knows`,
    kubectl,
    () => {
      const manifests = build(folder)
      for (const manifest of manifests) {
        const name = `${nameOfKind(manifest)} ${String(at(manifest, 'metadata', 'name'))}`
        assert.deepEqual(findProblems(manifest), [], name)
        const isGlobal = manifest['kind'] === 'Namespace'
        assert.equal(
          at(manifest, 'metadata', 'namespace'),
          isGlobal ? undefined : 'apps-gateway',
          name,
        )
      }
    },
  )

  test(`deploy kubernetes: what ${folder} names is there under that name`, kubectl, () => {
    const manifests = build(folder)
    const deployment = pick(manifests, 'Deployment')
    const pod = at(deployment, 'spec', 'template', 'spec')
    const labels = at(deployment, 'spec', 'template', 'metadata', 'labels')
    const selectors = [
      at(deployment, 'spec', 'selector', 'matchLabels'),
      at(pick(manifests, 'Service'), 'spec', 'selector'),
      at(pick(manifests, 'PodDisruptionBudget'), 'spec', 'selector', 'matchLabels'),
      at(pick(manifests, 'NetworkPolicy'), 'spec', 'podSelector', 'matchLabels'),
    ]
    for (const selector of selectors) {
      assert.ok(typeof selector === 'object' && selector !== null)
      assert.ok(Object.keys(selector).length > 0)
      for (const [key, value] of Object.entries(selector)) assert.equal(at(labels, key), value)
    }
    assert.equal(
      at(pod, 'volumes', 0, 'configMap', 'name'),
      at(pick(manifests, 'ConfigMap'), 'metadata', 'name'),
    )
    assert.equal(
      at(pod, 'serviceAccountName'),
      at(pick(manifests, 'ServiceAccount'), 'metadata', 'name'),
    )
    const target = at(pick(manifests, 'HorizontalPodAutoscaler'), 'spec', 'scaleTargetRef', 'name')
    assert.equal(target, at(deployment, 'metadata', 'name'))
    const ingress = manifests.find(({ kind }) => kind === 'Ingress')
    const backend = at(ingress, 'spec', 'rules', 0, 'http', 'paths', 0, 'backend', 'service')
    if (folder !== 'base') {
      assert.equal(at(backend, 'name'), at(pick(manifests, 'Service'), 'metadata', 'name'))
      assert.equal(
        at(backend, 'port', 'name'),
        at(pick(manifests, 'Service'), 'spec', 'ports', 0, 'name'),
      )
      const config = String(at(pick(manifests, 'ConfigMap'), 'data', 'gateway.yaml'))
      const [parsed] = parseManifests(config)
      assert.equal(
        at(parsed, 'listen', 'public_url'),
        `https://${String(at(ingress, 'spec', 'rules', 0, 'host'))}`,
      )
    }
  })
}

test('deploy kubernetes: the pods run as the image was made for', kubectl, () => {
  const manifests = build('base')
  const pod = at(pick(manifests, 'Deployment'), 'spec', 'template', 'spec')
  const container = at(pod, 'containers', 0)
  assert.deepEqual(at(container, 'securityContext'), {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  })
  assert.equal(at(pod, 'securityContext', 'runAsNonRoot'), true)
  assert.equal(at(pod, 'automountServiceAccountToken'), false)
  assert.equal(at(container, 'readinessProbe', 'httpGet', 'path'), '/readyz')
  assert.equal(at(container, 'livenessProbe', 'httpGet', 'path'), '/healthz')
  assert.equal(at(pick(manifests, 'HorizontalPodAutoscaler'), 'spec', 'minReplicas'), 2)
  const drainMs = Number(at(container, 'env', 0, 'value'))
  const graceSeconds = Number(at(pod, 'terminationGracePeriodSeconds'))
  // Five of them pass before the gateway is told, and five are for its last lines.
  assert.ok(graceSeconds >= drainMs / 1000 + 10)
})

test('deploy kubernetes: a changed configuration is a changed pod', kubectl, () => {
  const name = (folder: string): string =>
    String(at(pick(build(folder), 'ConfigMap'), 'metadata', 'name'))
  assert.match(name('base'), /^gateway-config-\w+$/)
  assert.notEqual(name('base'), name('overlays/aws'))
})

test('deploy kubernetes: workload identity is on the account of the pods', kubectl, () => {
  const annotation = (overlay: string, key: string): unknown =>
    at(pick(build(`overlays/${overlay}`), 'ServiceAccount'), 'metadata', 'annotations', key)
  assert.match(String(annotation('aws', 'eks.amazonaws.com/role-arn')), /^arn:aws:iam::/)
  assert.match(String(annotation('gcp', 'iam.gke.io/gcp-service-account')), /@.*gserviceaccount/)
  assert.match(String(annotation('azure', 'azure.workload.identity/client-id')), /^[0-9a-f-]{36}$/)
  const labels = at(
    pick(build('overlays/azure'), 'Deployment'),
    'spec',
    'template',
    'metadata',
    'labels',
  )
  assert.equal(at(labels, 'azure.workload.identity/use'), 'true')
})

test(
  'deploy kubernetes: an external secret fills every variable that the configuration reads',
  kubectl,
  () => {
    const manifests = build('overlays/external-secrets')
    const data = at(pick(manifests, 'ExternalSecret'), 'spec', 'data')
    assert.ok(Array.isArray(data))
    const filled = data.map((entry) => String(at(entry, 'secretKey')))
    const config = String(at(pick(manifests, 'ConfigMap'), 'data', 'gateway.yaml'))
    const read = [...config.replaceAll(/^\s*#.*$/gm, '').matchAll(/\$\{([A-Z_]+)\}/g)].map(
      ([, name]) => name,
    )
    assert.deepEqual(new Set(filled), new Set(read))
    const secret = at(
      pick(manifests, 'Deployment'),
      'spec',
      'template',
      'spec',
      'containers',
      0,
      'envFrom',
      0,
    )
    assert.equal(
      at(secret, 'secretRef', 'name'),
      at(pick(manifests, 'ExternalSecret'), 'spec', 'target', 'name'),
    )
  },
)
