import { isDataError } from '../../database/errors.js'
import type { Log } from '../../log.js'
import type { Completion } from './mirror-queue.js'
import type { PostgresStore } from './postgres.js'

/** Writes a batch in one statement. Rejects when it has to be tried again; to write a part of it twice does no harm. */
export function createMirrorWriter (postgres: Pick<PostgresStore, 'finish'>, log: Log, now: () => number): (batch: readonly Completion[]) => Promise<void> {
  const write = async (batch: readonly Completion[]): Promise<void> => {
    try {
      const time = now()
      const written = await postgres.finish(batch.map(({ claim, response, at }) => ({ claim, response, age: Math.round(time - at) })), 'redis')
      const refused = written.filter((done) => !done).length
      if (refused > 0) log.warn({ refused }, 'completions were not mirrored: Postgres knows other attempts of their keys')
    } catch (err) {
      if (!isDataError(err)) throw err
      // One value that Postgres cannot hold (U+0000 in a header) must not keep the others back: it is found by halving.
      const half = batch.length >> 1
      if (half === 0) return log.error({ err }, 'a completion was not mirrored: Postgres cannot hold it')
      await write(batch.slice(0, half))
      await write(batch.slice(half))
    }
  }
  return write
}
