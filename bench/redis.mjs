import { Redis } from 'ioredis'

/** @param keep leave the server's settings alone: it is not ours */
export async function openRedis (url, { keep }) {
  const redis = new Redis(url)
  redis.on('error', (error) => console.error(`Redis: ${error.message}`))
  if (!keep) await redis.config('SET', 'appendonly', 'no')
  return redis
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

/** Keys by hundreds. */
export async function * keysOf (redis, prefix) {
  for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 2_000 })) {
    if (keys.length > 0) yield keys
  }
}

export async function removeKeys (redis, prefix) {
  for await (const keys of keysOf(redis, prefix)) await redis.unlink(...keys)
}

/** Records go, the generation stays: without it the plugin would take Redis for one that has lost its data, and ask Postgres for every new key. */
export async function removeRecords (redis, prefix) {
  for await (const keys of keysOf(redis, prefix)) {
    const records = keys.filter((key) => !key.endsWith(':generation') && !key.endsWith(':recovery'))
    if (records.length > 0) await redis.unlink(...records)
  }
}
