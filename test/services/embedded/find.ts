// A process that looks for Redis: find.js <cache folder>. Prints what it found as JSON, or the error's message.
import { findRedis } from '../../../services/embedded/redis.js'

const directory = process.argv[2]
if (directory === undefined) throw new Error('usage: a folder')

try {
  console.log(JSON.stringify(await findRedis({ cacheDirectory: directory, log: () => {} })))
} catch (error) {
  console.log(error instanceof Error ? error.message : error)
}
