import type { ClientConfig } from 'pg'
import type { PostgresClient } from '../../database/query.js'

/** Where the server is and who we are. Nothing that says how a pool's statements are answered: the session of the locks has time limits of its own. */
const kept = ['connectionString', 'host', 'port', 'user', 'password', 'database', 'ssl', 'options', 'stream'] as const

/** Of a connection of our own: to `directUrl`, or to where the pool leads. One by one, because a pool hides its password from a spread. */
export function connectionOf (postgres: PostgresClient, directUrl?: string): ClientConfig {
  const pool: ClientConfig = 'options' in postgres ? postgres.options ?? {} : {}
  const application = `${pool.application_name ?? 'holdfast'} locks`
  const target = directUrl === undefined ? Object.fromEntries(kept.map((name) => [name, pool[name]])) : { connectionString: directUrl }
  return { ...target, application_name: application }
}
