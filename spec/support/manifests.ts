/**
 * Kubernetes manifests against the schemas of the API, as the packages `kubernetes-models` and its
 * siblings carry them. Their validators, like the API's schemas, let unknown fields pass, which is
 * how a misspelt one gets lost: here a field that no validator has looked at is a problem too.
 */
import {
  ExternalSecret,
  type IExternalSecret,
} from '@kubernetes-models/external-secrets/external-secrets.io/v1'
import {
  type IService as IKnativeService,
  Service as KnativeService,
} from '@kubernetes-models/knative/serving.knative.dev/v1'
import { validate as deployment } from 'kubernetes-models/_schemas/IoK8sApiAppsV1Deployment'
import { validate as autoscaler } from 'kubernetes-models/_schemas/IoK8sApiAutoscalingV2HorizontalPodAutoscaler'
import { validate as configMap } from 'kubernetes-models/_schemas/IoK8sApiCoreV1ConfigMap'
import { validate as namespace } from 'kubernetes-models/_schemas/IoK8sApiCoreV1Namespace'
import { validate as service } from 'kubernetes-models/_schemas/IoK8sApiCoreV1Service'
import { validate as serviceAccount } from 'kubernetes-models/_schemas/IoK8sApiCoreV1ServiceAccount'
import { validate as ingress } from 'kubernetes-models/_schemas/IoK8sApiNetworkingV1Ingress'
import { validate as networkPolicy } from 'kubernetes-models/_schemas/IoK8sApiNetworkingV1NetworkPolicy'
import { validate as disruptionBudget } from 'kubernetes-models/_schemas/IoK8sApiPolicyV1PodDisruptionBudget'
import { parseAllDocuments } from 'yaml'

export type Manifest = Readonly<Record<string, unknown>>

type Validate = (data: unknown) => boolean

/** These packages export their schemas within models only; what is no such model is told by it. */
const externalSecret: Validate = (data) => isSound(new ExternalSecret(data as IExternalSecret))
const knativeService: Validate = (data) => isSound(new KnativeService(data as IKnativeService))

function isSound(model: { validate(): void }): boolean {
  model.validate() // throws with all that is wrong
  return true
}

const validators: Readonly<Record<string, Validate>> = {
  'apps/v1 Deployment': deployment,
  'autoscaling/v2 HorizontalPodAutoscaler': autoscaler,
  'external-secrets.io/v1 ExternalSecret': externalSecret,
  'networking.k8s.io/v1 Ingress': ingress,
  'networking.k8s.io/v1 NetworkPolicy': networkPolicy,
  'policy/v1 PodDisruptionBudget': disruptionBudget,
  'serving.knative.dev/v1 Service': knativeService,
  'v1 ConfigMap': configMap,
  'v1 Namespace': namespace,
  'v1 Service': service,
  'v1 ServiceAccount': serviceAccount,
}

/** Kinds whose schema no package of a reasonable size has; read by eye. */
const unchecked: ReadonlySet<string> = new Set(['cloud.google.com/v1 BackendConfig'])

/** Every document of a YAML text; throws with the place of what is no YAML. */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text, { uniqueKeys: true }).flatMap((document) => {
    const [error] = document.errors
    if (error !== undefined) throw error
    const value: unknown = document.toJS()
    return isMap(value) ? [value] : []
  })
}

/** What is wrong with a manifest, each as `path: problem`; empty: nothing. */
export function findProblems(manifest: Manifest): string[] {
  const kind = nameOfKind(manifest)
  if (unchecked.has(kind)) return []
  const validate = validators[kind]
  if (validate === undefined) return [`no schema for ${kind}`]
  const seen = new Set<string>()
  const valid = validate(watch(manifest, '', seen))
  const errors: unknown = 'errors' in validate ? validate.errors : null
  return [...(valid ? [] : [JSON.stringify(errors)]), ...findUnread(manifest, '', seen)]
}

export function nameOfKind(manifest: Manifest): string {
  return `${String(manifest['apiVersion'])} ${String(manifest['kind'])}`
}

/** The value at a path of keys and indexes; undefined where there is none. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let here = value
  for (const key of path) {
    if (Array.isArray(here)) here = here[Number(key)]
    else if (isMap(here)) here = here[key]
    else return undefined
  }
  return here
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A copy that notes the path of everything that is read of it. */
function watch<T>(value: T, path: string, seen: Set<string>): T {
  if (typeof value !== 'object' || value === null) return value
  return new Proxy(value, {
    get(target, key, receiver) {
      const found: unknown = Reflect.get(target, key, receiver)
      if (typeof key !== 'string') return found
      seen.add(`${path}/${key}`)
      return watch(found, `${path}/${key}`, seen)
    },
  })
}

function findUnread(value: unknown, path: string, seen: ReadonlySet<string>): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = `${path}/${key}`
    if (!seen.has(here)) return [`${here}: no such field`]
    return findUnread(inner, here, seen)
  })
}
