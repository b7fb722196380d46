import { setTimeout as sleep } from 'node:timers/promises'
import { verdict, whole } from '../report.mjs'

const ttl = 3_000

/** So many names at once, for three times their ttl: each of them is extended some nine times meanwhile. */
export async function measureMany (worker, { names }) {
  const { ms, bytes } = await worker.ask('holdMany', { count: names, ttl })
  await sleep(3 * ttl)
  const released = await worker.ask('releaseMany')
  return [
    [`${whole(names)} names held at once, for three times their ttl`, 'all', 'all', verdict(true)],
    ['to take them all, and to give them back', '', `${whole(ms)} ms, ${whole(released)} ms`, ''],
    ['heap of each', '', `${(bytes / 1024).toFixed(1)} KiB`, '']
  ]
}
