// A process that takes a lock and keeps it: hold.js <folder>
import { withLock } from '../../../services/embedded/lock.js'

const directory = process.argv[2]
if (directory === undefined) throw new Error('usage: a folder')

await withLock(directory, async () => {
  console.log('held')
  await new Promise(() => setInterval(() => {}, 60_000))
})
