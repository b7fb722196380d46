import { existsSync } from 'node:fs'
import { loadConfig } from '../config/index.js'
import type { Config } from '../config/index.js'

/** The environment of this process, with a file `.env` where there is one. Throws ConfigError. */
export function loadEnvironment (): Config {
  if (existsSync('.env')) process.loadEnvFile('.env')
  return loadConfig(process.env)
}
