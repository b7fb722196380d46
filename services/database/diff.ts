import { silentLog } from '../log.js'
import { createMigrationAdapter } from './migration-adapter.js'
import { readMigrations } from './migrations.js'
import { pluginTables } from './plugin-tables.js'
import { createSchemaEngine } from './schema-engine.js'

export interface DiffOptions {
  /** A server on which a shadow database may be created; it is dropped again. */
  url: string
  /** Folder of the migrations so far. */
  directory: string
  /** Text of schema.prisma. */
  schema: string
}

/** The SQL that leads from the migrations so far to the schema, or null when there is no difference. The tables of the plugins have migrations of their own. */
export async function diff ({ url, directory, schema }: DiffOptions): Promise<string | null> {
  const adapter = createMigrationAdapter(url, silentLog)
  const engine = await createSchemaEngine(adapter, schema)
  try {
    const { stdout } = await engine.diff({
      from: { tag: 'migrations', ...await readMigrations(directory) },
      to: { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content: schema }] },
      script: true,
      exitCode: null,
      filters: { externalTables: pluginTables.map((table) => `public.${table}`), externalEnums: [] }
    })
    return stdout === null || /^\s*(-- This is an empty migration\.)?\s*$/.test(stdout) ? null : stdout
  } finally {
    engine.free()
    await adapter.close()
  }
}
