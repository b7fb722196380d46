import { aborting } from './aborting.js'
import { claiming } from './claiming.js'
import { extending } from './extending.js'
import { finishing } from './finishing.js'
import { lease } from './lease.js'
import type { StorePromise } from './promise.js'
import { retention } from './retention.js'
import { waiting } from './waiting.js'

/**
 * Everything that an idempotency store promises, each with a check, for people who write a store of their own. Works with any test runner. One store
 * serves all checks, at once or one after the other; a check takes up to 1.5 s, because leases and retention must pass.
 *
 * @example With node:test
 * ```ts
 * import { test } from 'node:test'
 * import { storePromises } from 'holdfast/testing'
 *
 * const store = createMyStore()
 * for (const { promise, check } of storePromises) test(promise, () => check(store))
 * ```
 *
 * @example With tap, all at once
 * ```ts
 * import t from 'tap'
 * import { storePromises } from 'holdfast/testing'
 *
 * const store = createMyStore()
 * t.jobs = storePromises.length
 * for (const { promise, check } of storePromises) t.test(promise, { buffered: true }, () => check(store))
 * ```
 */
export const storePromises: readonly StorePromise[] = Object.freeze([
  ...claiming, ...finishing, ...lease, ...extending, ...retention, ...waiting, ...aborting
])

export type { StorePromise }
