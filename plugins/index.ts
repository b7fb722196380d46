// The root of the package: plugins that need nothing but Fastify. The others have subpaths of their own, see `exports` in package.json.
export { concurrency } from './concurrency/index.js'
export type { Concurrency, ConcurrencyOptions, LimiterRouteOptions } from './concurrency/index.js'
export { health } from './health/index.js'
export type { HealthOptions } from './health/index.js'
export { lifecycle } from './lifecycle/index.js'
export type { Drain, Lifecycle, LifecycleOptions, PhaseOptions, PhaseReport, PhaseState, RetryDelays, Step } from './lifecycle/index.js'
