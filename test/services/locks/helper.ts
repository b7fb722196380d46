import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import type { Cluster } from 'ioredis'
import type { Test } from 'tap'
import type { LockBackend } from '../../../services/locks/backend.js'
import type { Grant } from '../../../services/locks/grant.js'
import { createLocks } from '../../../services/locks/locks.js'
import type { LockService } from '../../../services/locks/locks.js'
import { noObserver } from '../../../services/locks/observer.js'
import { openRedisBackend } from '../../../services/locks/redis/backend.js'
import { silentLog } from '../../../services/log.js'
import { faultProxy } from '../../chaos/fault-proxy.js'
import type { FaultProxy } from '../../chaos/fault-proxy.js'
import { until } from '../../helper.js'
import { ownRedis } from '../../own-servers.js'
import type { OwnServer } from '../../own-servers.js'
import type { Order } from './process.js'

export const keyOf = (name: string): string => `test:{locks}:${name}`

export interface Locked {
  locks: LockService
  backend: LockBackend
  servers: OwnServer[]
  /** A client of the test's own to each server. */
  clients: Redis[]
}

/** Locks over clients, which are disconnected with the test. */
export async function locksOver (t: Test, clients: ReadonlyArray<Redis | Cluster>): Promise<{ locks: LockService, backend: LockBackend }> {
  for (const client of clients) client.on('error', () => {}) // the test ends its servers
  const backend = await openRedisBackend({ redis: clients, prefix: 'test', log: silentLog })
  const locks = createLocks({ backends: [backend], nextToken: null, log: silentLog, observer: noObserver })
  t.teardown(async () => {
    await locks.close(0)
    await backend.close()
    for (const client of clients) client.disconnect()
  })
  return { locks, backend }
}

/** Locks over servers of the test's own. */
export async function locked (t: Test, { nodes = 1, servers }: { nodes?: number, servers?: OwnServer[] } = {}): Promise<Locked> {
  const all = servers ?? await Promise.all(Array.from({ length: nodes }, () => ownRedis(t)))
  const clients = all.map(({ url }) => new Redis(url))
  const { locks, backend } = await locksOver(t, clients)
  t.teardown(() => { for (const server of all) server.signal('SIGCONT') })
  return { locks, backend, servers: all, clients }
}

export interface Proxied extends Locked {
  proxy: FaultProxy
  /** Past the proxy. */
  client: Redis
}

/** Locks whose network can be spoilt. */
export async function proxied (t: Test): Promise<Proxied> {
  const server = await ownRedis(t)
  const proxy = await faultProxy(t, server.url)
  const [client, clients] = [new Redis(server.url), [new Redis(proxy.url)]]
  t.teardown(() => { client.disconnect() })
  const { locks, backend } = await locksOver(t, clients)
  await locks.using('warm', {}, () => {})
  await client.config('RESETSTAT')
  return { locks, backend, servers: [server], clients, proxy, client }
}

export interface Other {
  order: (order: Order) => void
  /** The next message that has the field. */
  told: (field: string) => Promise<unknown>
  pid: number
}

/** Another process with locks over the same servers. */
export async function otherProcess (t: Test, servers: readonly OwnServer[]): Promise<Other> {
  const { PATH = '', HOME = '' } = process.env
  const path = fileURLToPath(new URL('process.js', import.meta.url))
  const child = spawn(process.execPath, [path, servers.map(({ url }) => url).join(',')],
    { env: { PATH, HOME }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const messages: Array<Record<string, unknown>> = []
  child.on('message', (message: Record<string, unknown>) => { messages.push(message) })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const told = async (field: string): Promise<unknown> => await until(`the other process says ${field}`, () => {
    const failed = messages.find((message) => 'failed' in message)
    if (failed !== undefined) throw new Error(String(failed.failed))
    const index = messages.findIndex((message) => field in message)
    return index < 0 ? null : messages.splice(index, 1)[0]?.[field]
  }, 60_000)
  await told('ready')
  return { order: (order) => { child.send(order) }, told, pid: child.pid ?? 0 }
}

/** Waits until a lock was extended so many times. */
export async function untilExtended ({ remaining }: Pick<Grant, 'remaining'>, times: number): Promise<void> {
  for (let extension = 1; extension <= times; extension++) {
    let last = remaining()
    await until(`extension ${extension}`, () => {
      const [before, now] = [last, last = remaining()]
      return now > before
    })
  }
}

export const blockFor = (ms: number): void => {
  const end = performance.now() + ms
  while (performance.now() < end);
}
