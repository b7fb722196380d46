export { environment, type Config } from './environment.js'
export { ConfigError, loadConfig } from './load.js'
