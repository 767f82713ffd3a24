/**
 * Where the demo's local OpenID provider keeps its sessions, codes and tokens: in memory, gone
 * with the process. The form is the one `oidc-provider` asks of an adapter.
 */

type Payload = Record<string, unknown>

export interface MemoryAdapter {
  upsert(id: string, payload: Payload, expiresInSeconds?: number): Promise<void>
  find(id: string): Promise<Payload | undefined>
  findByUid(uid: string): Promise<Payload | undefined>
  findByUserCode(userCode: string): Promise<Payload | undefined>
  consume(id: string): Promise<void>
  destroy(id: string): Promise<void>
  revokeByGrantId(grantId: string): Promise<void>
}

/** One store for all kinds of record; `kind` keeps their ids apart. */
export function createMemory(): (kind: string) => MemoryAdapter {
  const records = new Map<string, { payload: Payload; expiresAt: number }>()
  const live = (key: string): Payload | undefined => {
    const record = records.get(key)
    if (record === undefined || record.expiresAt > Date.now()) return record?.payload
    records.delete(key)
    return undefined
  }
  return (kind) => {
    const findBy = (field: string, value: string): Promise<Payload | undefined> => {
      for (const key of records.keys()) {
        if (!key.startsWith(`${kind}:`)) continue
        const payload = live(key)
        if (payload?.[field] === value) return Promise.resolve(payload)
      }
      return Promise.resolve(undefined)
    }
    return {
      async upsert(id, payload, expiresInSeconds = Number.POSITIVE_INFINITY) {
        records.set(`${kind}:${id}`, { payload, expiresAt: Date.now() + expiresInSeconds * 1000 })
      },
      find: (id) => Promise.resolve(live(`${kind}:${id}`)),
      findByUid: (uid) => findBy('uid', uid),
      findByUserCode: (userCode) => findBy('userCode', userCode),
      async consume(id) {
        const payload = live(`${kind}:${id}`)
        if (payload !== undefined) payload['consumed'] = Math.floor(Date.now() / 1000)
      },
      async destroy(id) {
        records.delete(`${kind}:${id}`)
      },
      async revokeByGrantId(grantId) {
        for (const [key, { payload }] of records) {
          if (payload['grantId'] === grantId) records.delete(key)
        }
      },
    }
  }
}
