import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils'
import type { SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils'
import type { SchemaEngine } from '@prisma/schema-engine-wasm/schema_engine_bg'
import { once } from '../concurrency/once.js'

/**
 * Prisma's own migration engine, compiled to WebAssembly: it needs no binary and no download. The package's main file imports the .wasm as an
 * ES module, which Node 20 does not do, so it is instantiated here. Once in a process: the bindings keep views of one instance's memory, and
 * a second instance breaks them.
 */
const loadBindings = once(async () => {
  globalThis.PRISMA_WASM_PANIC_REGISTRY ??= { set_message: throwPanic }
  const bindings = await import('@prisma/schema-engine-wasm/schema_engine_bg')
  const file = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg').replace(/\.js$/, '.wasm')
  const { instance } = await WebAssembly.instantiate(await readFile(file), { './schema_engine_bg.js': bindings as unknown as WebAssembly.ModuleImports })
  bindings.__wbg_set_wasm(instance.exports)
  const start = instance.exports['__wbindgen_start']
  if (typeof start === 'function') start()
  return bindings
})

/** @param schema text of schema.prisma, where the engine is to know it */
export async function createSchemaEngine (adapter: SqlMigrationAwareDriverAdapterFactory, schema?: string): Promise<SchemaEngine> {
  const { SchemaEngine } = await loadBindings()
  const datamodels: Array<[string, string]> | undefined = schema === undefined ? undefined : [['schema.prisma', schema]]
  return await SchemaEngine.new({ datamodels }, () => {}, bindMigrationAwareSqlAdapterFactory(adapter))
}

/** The engine hands the message of a panic to this global before it aborts; thrown here, it becomes the rejection of the call. */
function throwPanic (message: string): never {
  throw new Error(`the schema engine failed: ${message}`)
}

declare global {
  var PRISMA_WASM_PANIC_REGISTRY: { set_message: (message: string) => void } | undefined
}
