import type { CompleteConfig, Config } from '../config/index.js'

export interface ProvidedServices {
  config: CompleteConfig
  release: () => Promise<void>
}

/**
 * Completes a configuration: outside production, Postgres and Redis are started where no URL is set, and a secret is made. In production
 * `loadConfig` has refused a configuration that lacks one of them, and the embedded services are not even loaded.
 */
export async function provideServices (config: Config, signal: AbortSignal): Promise<ProvidedServices> {
  const { databaseUrl, redisUrl, jwtSecret } = config
  if (databaseUrl !== undefined && redisUrl !== undefined && jwtSecret !== undefined) {
    return { config: { ...config, databaseUrl, redisUrl, jwtSecret }, release: async () => {} }
  }
  const secret = jwtSecret ?? await ownSecret(config)
  const embedded = await embeddedServices(config, signal)
  return {
    config: { ...config, databaseUrl: databaseUrl ?? embedded.databaseUrl ?? '', redisUrl: redisUrl ?? embedded.redisUrl ?? '', jwtSecret: secret },
    release: embedded.release
  }
}

async function ownSecret ({ holdfastDirectory }: Config): Promise<string> {
  const { sharedSecret } = await import('../embedded/secret.js')
  return await sharedSecret(holdfastDirectory, 'jwt-secret')
}

async function embeddedServices ({ databaseUrl, redisUrl, holdfastDirectory: directory }: Config, signal: AbortSignal) {
  const need = { postgres: databaseUrl === undefined, redis: redisUrl === undefined }
  if (!need.postgres && !need.redis) return { databaseUrl: null, redisUrl: null, release: async () => {} }
  const { acquireServices } = await import('../embedded/index.js')
  return await acquireServices({ directory, need, signal, log: (message) => console.log(`holdfast: ${message}`) })
}
