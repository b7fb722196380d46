import { createDatabase } from '../../dist/services/database/index.js'
import { consoleLog } from '../../dist/services/log.js'

/** A pool and a Prisma client over it, as the server of this package has them: ten connections. */
export function openDatabase (url) {
  return createDatabase({ url, log: consoleLog })
}

/** How long Prisma waits for a connection, ms: more clients than connections are no failure here. Holdfast waits as long. */
export const maxWait = 10_000
