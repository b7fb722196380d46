import type { Guarantee } from '../../services/idempotency/record.js'
import type { RunSettings } from '../../services/idempotency/settings.js'
import type { FingerprintWindow, IdempotencyOptions, IdempotencyRouteOptions, RouteSettings, StoreOption } from './options.js'

export const defaults = Object.freeze({
  required: false,
  scope: 'principal',
  lease: 30_000,
  maxExecution: 600_000,
  retention: 86_400_000,
  maxResponseBytes: 262_144,
  maxRequestBytes: 1_048_576,
  maxKeyLength: 255,
  stored: 'deterministic',
  replayHeaders: [],
  onConcurrent: 'reject',
  waitTimeout: 10_000,
  maxWaitersPerKey: 100,
  afterCrash: 'retry',
  fingerprint: false,
  methods: ['POST', 'PATCH'],
  maxWaiters: 1_000,
  localCache: { maxRecords: 10_000, maxBytes: 33_554_432 },
  prefix: 'holdfast',
  enabled: true,
  rolloutPercent: 100,
  closeTimeout: 20_000,
  docs: '/problems/'
} satisfies Omit<Required<IdempotencyOptions>, 'store' | 'transactions' | 'principal' | 'onStoreFailure' | 'guarantee' | 'metrics'>)

const defaultWindow: FingerprintWindow = { window: 100 }

/** Lays defaults, plugin options and route options over each other. */
export function settingsOf (options: IdempotencyOptions, config: boolean | IdempotencyRouteOptions | undefined): RouteSettings {
  const merged = { ...defaults, ...defined(options), ...(typeof config === 'object' ? defined(config) : {}) }
  const guarantee = merged.guarantee ?? defaultGuarantee(options.store)
  return {
    ...merged,
    principal: options.principal ?? (() => null),
    guarantee,
    onStoreFailure: merged.onStoreFailure ?? (merged.required || guarantee === 'transactional' ? 'reject' : 'proceed'),
    fingerprint: merged.fingerprint === true ? defaultWindow : merged.fingerprint === false ? null : merged.fingerprint
  }
}

/**
 * Those of requests without a key. Duplicates wait unless told otherwise: a client without a key does not know that it may come back. The record is
 * kept for as long as a duplicate may be on its way, and nowhere else.
 */
export function firesSettings (options: IdempotencyOptions, config: boolean | IdempotencyRouteOptions | undefined): RunSettings {
  const settings = settingsOf(options, config)
  const onConcurrent = (typeof config === 'object' ? config.onConcurrent : undefined) ?? options.onConcurrent ?? 'wait'
  return { ...settings, onConcurrent, retention: Math.max(settings.lease, longestOf(settings.fingerprint)), guarantee: 'fast', afterCrash: 'retry' }
}

/** How long an equal request may be one with the first, ms. */
function longestOf (fingerprint: FingerprintWindow | null): number {
  if (fingerprint === null) return 0
  return 'window' in fingerprint ? fingerprint.window : fingerprint.adaptive.max
}

function defaultGuarantee (store: StoreOption): Guarantee {
  return hasPostgres(store) && hasRedis(store) ? 'mirrored' : 'fast'
}

export function hasPostgres (store: StoreOption): boolean {
  return typeof store === 'object' && 'postgres' in store && store.postgres !== undefined
}

export function hasRedis (store: StoreOption): boolean {
  return typeof store === 'object' && 'redis' in store && store.redis !== undefined
}

export function defined<T extends object> (options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
