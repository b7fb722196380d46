import type { Pool, QueryConfig } from 'pg'
import type { Test } from 'tap'
import { createFlag } from '../../../services/flags/index.js'
import type { Flag, FlagOptions } from '../../../services/flags/index.js'
import type { Log } from '../../../services/log.js'

export interface Line {
  level: keyof Log
  message: string
  fields: Record<string, unknown>
}

/** A logger that keeps its lines. */
export function keptLog (): { log: Log, lines: Line[] } {
  const lines: Line[] = []
  const keep = (level: keyof Log) => (fields: object, message: string): void => { lines.push({ level, message, fields: { ...fields } }) }
  return { log: { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }, lines }
}

/** The flag `test`, on for everybody unless told otherwise, once it was read. It is closed with the test. */
export async function startFlag (t: Test, postgres: Pool, options: Partial<FlagOptions> = {}): Promise<Flag> {
  const flag = createFlag({ postgres, name: 'test', defaults: { enabled: true, percent: 100 }, log: keptLog().log, ...options })
  t.teardown(() => flag.close())
  await flag.start()
  return flag
}

/** The pool, where `asked` is called with every query; the answer is kept back until what it returns is over. */
export function watchedPool (pool: Pool, asked: () => Promise<void> | undefined): Pool {
  const query = async (config: QueryConfig, values?: unknown[]): Promise<unknown> => {
    const late = asked()
    const result = await pool.query(config, values)
    if (late !== undefined) await late
    return result
  }
  return Object.create(pool, { query: { value: query } }) as Pool
}
