import type { PostgresStore } from '../../../services/idempotency/stores/postgres.js'
import type { Log } from '../../../services/log.js'
import { newClaim } from './conformance.js'

/** A store that counts, and that can be held up or made to fail. */
export function watched (store: Pick<PostgresStore, 'finish'>) {
  const seen = { sizes: [] as number[], underWay: 0, most: 0, error: null as Error | null, gate: Promise.resolve() }
  const finish: PostgresStore['finish'] = async (records, origin) => {
    seen.sizes.push(records.length)
    seen.most = Math.max(seen.most, ++seen.underWay)
    try {
      await seen.gate
      if (seen.error !== null) throw seen.error
      return await store.finish(records, origin)
    } finally {
      seen.underWay--
    }
  }
  return { seen, finish }
}

export function recorded (): { lines: Array<{ level: string, message: string, fields: object }>, log: Log } {
  const lines: Array<{ level: string, message: string, fields: object }> = []
  const at = (level: string) => (fields: object, message: string): void => { lines.push({ level, message, fields }) }
  return { lines, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } }
}

export const claims = (count: number) => Array.from({ length: count }, () => newClaim())
