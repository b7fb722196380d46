// A process of the tests: stopping.ts <redis URL> <prefix> <close timeout>. It works under two locks, one of them of a request, until it is told `request` and `work`, and stops at SIGTERM.
import { on } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import locks from '../../../plugins/locks/index.js'
import type { Grant } from '../../../plugins/locks/index.js'

const [url = '', prefix = '', closeTimeout = ''] = process.argv.slice(2)
const [redis, app] = [new Redis(url), Fastify()]
await app.register(locks, { redis, prefix, closeTimeout: Number(closeTimeout) })

const input = createInterface({ input: process.stdin })
const said = async (line: string): Promise<void> => { for await (const [next] of on(input, 'line')) if (next === line) return }
const [workDone, requestDone] = [said('work'), said('request')]
async function work ({ signal }: Grant): Promise<void> {
  signal.addEventListener('abort', () => { console.log(`told ${(signal.reason as { code: string }).code}`) })
  await workDone
}
app.get('/', { config: { lock: { key: () => 'route', ttl: 2_000 } } }, async () => {
  await requestDone
  return 'done'
})
await app.listen({ host: '127.0.0.1', port: 0 })

process.once('SIGTERM', () => {
  app.close().then(() => {
    console.log('closed')
    redis.disconnect()
    input.close()
    process.stdin.destroy()
  }, (error: unknown) => { throw error })
})
const code = (error: unknown): string => (error as { code: string }).code
app.locks.using('work', { ttl: 2_000 }, work).then(() => { console.log('worked') }, (error: unknown) => { console.log(`worked ${code(error)}`) })
app.locks.using('work', { wait: 60_000 }, () => {}).then(() => { console.log('it ran') }, (error: unknown) => { console.log(`waited ${code(error)}`) })
console.log((app.server.address() as AddressInfo).port)
