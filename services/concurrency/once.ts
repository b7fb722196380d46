export interface OnceOptions {
  /** Whether a failure is remembered and given to every later caller. Default: no failure is. */
  isPermanent?: (error: unknown) => boolean
}

/**
 * Single-flight initialisation: concurrent callers share one attempt, a success is kept for ever, a transient failure is
 * forgotten so that the next call tries again, a permanent one is kept.
 */
export function once<T> (fn: () => Promise<T>, { isPermanent = () => false }: OnceOptions = {}): () => Promise<T> {
  let attempt: Promise<T> | null = null
  return () => {
    attempt ??= fn().catch((error: unknown) => {
      if (!isPermanent(error)) attempt = null
      throw error
    })
    return attempt
  }
}
