import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'

/** Redis of REDIS_URL, or one started for this run without persistence and stopped after it. */
export async function openRedis ({ signal, log }) {
  const url = process.env.REDIS_URL
  if (url) return { url, ...connect(url), release: async () => {} }
  const { acquireServices } = await import('../dist/services/embedded/index.js')
  const directory = fileURLToPath(new URL('.holdfast', import.meta.url))
  const { redisUrl, release } = await acquireServices({ directory, need: { postgres: false, redis: true }, log, signal })
  const opened = { url: redisUrl, ...connect(redisUrl), release }
  await opened.redis.config('SET', 'appendonly', 'no')
  return opened
}

function connect (url) {
  const redis = new Redis(url)
  redis.on('error', (error) => console.error(`Redis: ${error.message}`))
  return { redis }
}

export async function describeRedis (redis) {
  const version = /^redis_version:(\S+)/m.exec(await redis.info('server'))?.[1]
  const [, appendonly] = await redis.config('GET', 'appendonly')
  return `${version} (append-only file: ${appendonly})`
}

/**
 * How many commands with our prefix Redis served while `send` ran, without and within scripts. INFO commandstats would add up both, and those
 * of other clients.
 */
export async function countCommands (redis, prefix, send) {
  const monitor = await redis.monitor()
  const counts = { sent: 0, scripted: 0 }
  const last = `${prefix}:last`
  try {
    const seen = new Promise((resolve) => {
      monitor.on('monitor', (time, args, source) => {
        if (args.includes(last)) resolve()
        else if (args.some((arg) => arg.startsWith(prefix))) counts[source === 'lua' ? 'scripted' : 'sent']++
      })
    })
    await send()
    await redis.exists(last)
    await seen
  } finally {
    monitor.disconnect()
  }
  return counts
}

export async function removeKeys (redis, prefix) {
  for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 2_000 })) {
    if (keys.length > 0) await redis.unlink(...keys)
  }
}
