import type { Claim, StoredResponse } from '../record.js'

export interface Completion {
  claim: Claim
  response: StoredResponse | null
  /** When it was finished, by the mirror's clock, ms. */
  at: number
  /** Grows from one completion to the next. */
  place: number
}

export interface MirrorQueue {
  /** A newer completion of a key replaces the earlier in its place. Returns how many had to be dropped for it. */
  add: (claim: Claim, response: StoredResponse | null, at: number) => number
  /** Begins a batch of the oldest. */
  take: (max: number) => readonly Completion[]
  /** Forgets the batch. */
  done: () => void
  /** Puts the batch back in front, except where a newer completion of a key has come meanwhile. Returns how many had to be dropped. */
  putBack: () => number
  /** Of the batch and those behind it. */
  oldest: () => Completion | undefined
  /** All, with those of the batch. */
  size: () => number
  /** The place of the last that was added. */
  lastPlace: () => number
}

/** Bodies waiting for Postgres, bytes at most (of text: characters). A response may have 256 KiB, and ten thousand of those do not fit into memory. */
const maxQueuedBytes = 64 * 1024 * 1024
/** Bodies of one statement. */
const maxBatchBytes = 4 * 1024 * 1024

/** Completions in order, one a key, bounded in number and bytes: the oldest are dropped. */
export function createMirrorQueue (maxQueued: number): MirrorQueue {
  const pending = createCompletions()
  let batch: readonly Completion[] = []
  let places = 0
  const trim = (): number => pending.removeOldest((bytes) => pending.size() > maxQueued || bytes > maxQueuedBytes).length

  return {
    add (claim, response, at) {
      pending.set({ claim, response, at, place: pending.get(claim.id)?.place ?? ++places })
      return trim()
    },
    take (max) {
      let [count, bytes] = [0, 0]
      batch = pending.removeOldest((_, next) => {
        count++
        bytes += next
        return count === 1 || (count <= max && bytes <= maxBatchBytes)
      })
      return batch
    },
    done () { batch = [] },
    putBack () {
      const newer = pending.removeOldest(() => true)
      for (const completion of [...batch, ...newer]) pending.set({ ...completion, place: pending.get(completion.claim.id)?.place ?? completion.place })
      batch = []
      return trim()
    },
    oldest: () => batch[0] ?? pending.oldest(),
    size: () => batch.length + pending.size(),
    lastPlace: () => places
  }
}

/** A map that knows its size in bytes too. */
function createCompletions () {
  const completions = new Map<string, Completion>()
  let bytes = 0
  return {
    get: (id: string): Completion | undefined => completions.get(id),
    set (completion: Completion): void {
      bytes += sizeOf(completion) - sizeOf(completions.get(completion.claim.id))
      completions.set(completion.claim.id, completion)
    },
    /** @param isNext asked with the bytes of all and of the oldest, until it says no */
    removeOldest (isNext: (bytes: number, ofOldest: number) => boolean): Completion[] {
      const removed: Completion[] = []
      for (const completion of completions.values()) {
        if (!isNext(bytes, sizeOf(completion))) break
        bytes -= sizeOf(completion)
        completions.delete(completion.claim.id)
        removed.push(completion)
      }
      return removed
    },
    oldest: (): Completion | undefined => completions.values().next().value,
    size: (): number => completions.size
  }
}

function sizeOf (completion?: Completion): number {
  return completion?.response?.body.length ?? 0
}
