import { randomToken } from '../random-token.js'
import { digest } from './digest.js'
import type { Decision, IdempotencyEngine, Question } from './engine.js'
import type { RunSettings } from './settings.js'
import type { IdempotencyStore } from './store.js'

/** A request without a key, known by its content. */
export interface Fire {
  /** Digest of principal and content. */
  contentId: string
  fingerprint: string
  /** Equal requests that start within it are one, ms. */
  window: number
  gone?: Question['gone']
}

export interface DoubleFires {
  /** Throws what the store throws. */
  begin: (fire: Fire, settings: RunSettings) => Promise<Decision>
}

/**
 * Two equal requests within the window are one fire: the first one's start is a short claim under the digest of the content, and its token makes
 * the key of the fire. The window begins with a request, not with a bucket of the clock, so no boundary can split a double fire; and a fire that
 * runs longer than the window does not swallow the next one.
 */
export function createDoubleFires ({ store, engine }: { store: Pick<IdempotencyStore, 'claim'>, engine: Pick<IdempotencyEngine, 'begin'> }): DoubleFires {
  return {
    async begin ({ contentId, fingerprint, window, gone }, settings) {
      const token = randomToken()
      const first = await store.claim({ id: contentId, fingerprint, token, lease: window, retention: window, guarantee: 'fast' })
      const id = digest('holdfast:fire:1', [contentId, first.state === 'claimed' ? token : first.token])
      return await engine.begin({ id, fingerprint, layer: 'fingerprint', gone }, settings)
    }
  }
}
