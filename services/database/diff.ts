import { PrismaPg } from '@prisma/adapter-pg'
import type { QueryArrayConfig, QueryArrayResult } from 'pg'
import { readMigrations } from './migrations.js'
import { createSchemaEngine } from './schema-engine.js'

export interface DiffOptions {
  /** A server on which a shadow database may be created; it is dropped again. */
  url: string
  /** Folder of the migrations so far. */
  directory: string
  /** Text of schema.prisma. */
  schema: string
}

/** The SQL that leads from the migrations so far to the schema, or null when there is no difference. */
export async function diff ({ url, directory, schema }: DiffOptions): Promise<string | null> {
  const engine = await createSchemaEngine(shadowAdapter(url), schema)
  try {
    const { stdout } = await engine.diff({
      from: { tag: 'migrations', ...await readMigrations(directory) },
      to: { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content: schema }] },
      script: true,
      exitCode: null,
      filters: { externalTables: [], externalEnums: [] }
    })
    return stdout === null || /^\s*(-- This is an empty migration\.)?\s*$/.test(stdout) ? null : stdout
  } finally {
    engine.free()
  }
}

const charOid = 18
const textOid = 25

/** The engine reads the catalogue's "char" columns, which the adapter (7.10) refuses as unsupported: it is shown them as text. */
function shadowAdapter (connectionString: string): PrismaPg {
  const adapter = new PrismaPg({ connectionString })
  const connectToShadowDb = adapter.connectToShadowDb.bind(adapter)
  adapter.connectToShadowDb = async () => {
    const shadow = await connectToShadowDb()
    const pool = shadow.underlyingDriver()
    const query = pool.query.bind(pool) as (config: QueryArrayConfig) => Promise<QueryArrayResult>
    Object.assign(pool, { query: async (config: QueryArrayConfig) => showCharAsText(await query(config)) })
    return shadow
  }
  return adapter
}

function showCharAsText (result: QueryArrayResult): QueryArrayResult {
  for (const field of result.fields) if (field.dataTypeID === charOid) field.dataTypeID = textOid
  return result
}
