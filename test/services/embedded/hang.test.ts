import t from 'tap'
import { acquireServices } from '../../../services/embedded/index.js'
import { isAlive } from '../../../services/embedded/processes.js'
import { command, holdfastFolder, identities, pidOf, spawnUser } from './helper.js'

await t.test('a server that hangs is replaced', { timeout: 90_000 }, async (t) => {
  const directory = await holdfastFolder(t)
  const user = await spawnUser(t, directory)
  const { redis } = identities(directory)
  process.kill(pidOf(redis), 'SIGSTOP')

  const log: string[] = []
  const { redisUrl, release } = await acquireServices({ directory, need: { postgres: false, redis: true }, log: (message) => log.push(message) })
  t.equal(await command(redisUrl, 'PING'), 'PONG')
  t.equal(isAlive(redis), false)
  t.match(log, [/^Redis \(pid \d+\) does not answer and is replaced/])
  await release()
  await user.leave()
})
