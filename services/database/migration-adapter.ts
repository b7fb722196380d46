import { randomUUID } from 'node:crypto'
import { PrismaPg } from '@prisma/adapter-pg'
import { ColumnTypeEnum } from '@prisma/driver-adapter-utils'
import type { SqlDriverAdapter, SqlMigrationAwareDriverAdapterFactory, SqlQuery, SqlResultSet } from '@prisma/driver-adapter-utils'
import pg from 'pg'
import type { QueryArrayConfig, QueryArrayResult } from 'pg'
import type { Log } from '../log.js'
import { execute } from './execute.js'

export interface MigrationAdapter extends SqlMigrationAwareDriverAdapterFactory {
  /** Drops shadow databases and ends all connections. */
  close: () => Promise<void>
}

/**
 * What the schema engine needs of @prisma/adapter-pg 7.10, without its faults there: it splits scripts at every semicolon, also those in
 * a function's body; it takes a connection string's database for the shadow database; it drops the shadow while it is still connected to it;
 * and it refuses the catalogue's "char" columns.
 */
export function createMigrationAdapter (url: string, log: Log): MigrationAdapter {
  const closers: Array<() => Promise<void>> = []
  const open = async (address: string, afterwards: () => Promise<unknown> = async () => {}): Promise<SqlDriverAdapter> => {
    const pool = new pg.Pool({ connectionString: address, application_name: 'holdfast migrations' })
    pool.on('error', (err) => log.warn({ err }, 'a connection of the migrations broke'))
    closers.push(async () => {
      await pool.end()
      await afterwards()
    })
    return await adapterOn(pool)
  }
  return {
    provider: 'postgres',
    adapterName: '@prisma/adapter-pg',
    connect: () => open(url),
    async connectToShadowDb () {
      const name = `holdfast_shadow_${randomUUID().replaceAll('-', '')}`
      await execute(url, `CREATE DATABASE ${name}`)
      return await open(Object.assign(new URL(url), { pathname: `/${name}` }).href, () => execute(url, `DROP DATABASE ${name} WITH (FORCE)`))
    },
    async close () {
      for (const close of closers.splice(0).reverse()) await close()
    }
  }
}

async function adapterOn (pool: pg.Pool): Promise<SqlDriverAdapter> {
  const { view, charColumns } = withoutChar(pool)
  const adapter = await new PrismaPg(pool).connect()
  const queryRaw = adapter.queryRaw.bind(adapter)
  return Object.assign(adapter, {
    client: view,
    async queryRaw (query: SqlQuery): Promise<SqlResultSet> {
      const result = await queryRaw(query)
      for (const column of charColumns(result.rows)) result.columnTypes[column] = ColumnTypeEnum.Character
      return result
    },
    // The simple protocol runs a whole script in one implicit transaction.
    executeScript: (script: string): Promise<void> => pool.query(script).then(() => {}, (error: unknown) => adapter['onError'](error)),
    dispose: async () => {}
  })
}

const charOid = 18
const textOid = 25

/** The pool with "char" columns shown as text, and which columns of a result they were. */
function withoutChar (pool: pg.Pool): { view: pg.Pool, charColumns: (rows: object) => number[] } {
  const query = pool.query.bind(pool) as (config: QueryArrayConfig) => Promise<QueryArrayResult>
  const known = new WeakMap<object, number[]>()
  const view = Object.create(pool) as pg.Pool
  Object.assign(view, {
    async query (config: QueryArrayConfig): Promise<QueryArrayResult> {
      const result = await query(config)
      const chars = result.fields.filter(({ dataTypeID }) => dataTypeID === charOid)
      known.set(result.rows, chars.map((field) => result.fields.indexOf(field)))
      for (const field of chars) field.dataTypeID = textOid
      return result
    }
  })
  return { view, charColumns: (rows) => known.get(rows) ?? [] }
}
