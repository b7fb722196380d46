import { digest } from './digest.js'

/** Parts of the whole: a resolution of 0.01 %. */
const buckets = 10_000

/**
 * Whether a subject belongs to the first `percent` of all. Sticky: the subject's place is its hash (SHA-256, first 4 bytes), the same in every process,
 * so that a higher percentage only adds subjects.
 *
 * @param percent 0 (nobody) to 100 (everybody), in steps of 0.01
 */
export function isRolledOut (subject: string, percent: number): boolean {
  const bucket = Number.parseInt(digest('holdfast:rollout:1', [subject]).slice(0, 8), 16) % buckets
  return bucket < Math.round(percent * buckets / 100)
}
