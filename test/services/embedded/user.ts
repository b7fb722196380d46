// A process that uses the embedded services: user.js <folder>. Prints its log and, as JSON, what it got; leaves when its input ends.
import { once } from 'node:events'
import { acquireServices } from '../../../services/embedded/index.js'

const directory = process.argv[2]
if (directory === undefined) throw new Error('usage: a folder')

const services = await acquireServices({
  directory,
  need: { postgres: true, redis: true },
  log: (message) => console.log(`log: ${message}`)
})
console.log(JSON.stringify(services))
process.stdin.resume()
await once(process.stdin, 'end')
await services.release()
