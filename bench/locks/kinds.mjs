import Fastify from 'fastify'
import { Redis } from 'ioredis'
import Redlock from 'redlock'
import locks from '../../dist/plugins/locks/index.js'

/** ms. Long enough that no extension falls into what is measured. */
const ttl = 30_000

/** `using` and `acquire` of the plugin and of redlock. `end` closes what was opened. */
export const kinds = {
  async holdfast ({ redisUrl, prefix }) {
    const app = Fastify()
    const redis = new Redis(redisUrl)
    await app.register(locks, { redis, prefix })
    return {
      using: (name, work) => app.locks.using(name, { ttl }, work),
      acquire: (name, options) => app.locks.acquire(name, { ttl, ...options }),
      async end () {
        await app.close()
        redis.disconnect()
      }
    }
  },
  async redlock ({ redisUrl, prefix }) {
    const redis = new Redis(redisUrl)
    const redlock = new Redlock([redis])
    const acquire = (name) => redlock.acquire([`${prefix}:${name}`], ttl)
    return {
      async using (name, work) {
        const lock = await acquire(name)
        try {
          return await work()
        } finally {
          await lock.release()
        }
      },
      acquire,
      async end () { redis.disconnect() }
    }
  }
}
