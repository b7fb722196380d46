export { environment, type Config } from './environment.js'
export { ConfigError, loadConfig } from './load.js'

import type { Config } from './environment.js'

/** A configuration in which everything that only production demands is there. */
export type CompleteConfig = Config & { readonly databaseUrl: string, readonly redisUrl: string, readonly jwtSecret: string }
