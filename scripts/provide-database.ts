import type { Config } from '../services/config/index.js'

export interface ProvidedDatabase {
  url: string
  release: () => Promise<void>
}

/** The database of DATABASE_URL, or the one that `npm start` would start. */
export async function provideDatabase ({ databaseUrl, holdfastDirectory }: Config): Promise<ProvidedDatabase> {
  if (databaseUrl !== undefined) return { url: databaseUrl, release: async () => {} }
  const { acquireServices } = await import('../services/embedded/index.js')
  const services = await acquireServices({ directory: holdfastDirectory, need: { postgres: true, redis: false }, log: (message) => console.error(`holdfast: ${message}`) })
  if (services.databaseUrl === null) throw new Error('the embedded Postgres gave no URL')
  return { url: services.databaseUrl, release: services.release }
}
