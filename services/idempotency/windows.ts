import { LRUCache } from 'lru-cache'

export interface Windows {
  /** How close to the last equal request of this principal another one counts as its double, ms. */
  of: (principal: string, contentId: string) => number
}

export function createFixedWindow (window: number): Windows {
  return { of: () => window }
}

export interface AdaptiveOptions {
  /** ms */
  min: number
  /** ms */
  max: number
  /** A clock in ms that never jumps. Default: `performance.now`. */
  now?: () => number
}

/** Most principals and requests that are remembered. */
const max = 10_000

/** The window is so much longer than the gap that was seen: the next double fire is not exactly as quick. */
const margin = 1.5

/** How far one gap that is shorter than those before moves the window: slow devices stay covered, an odd gap is forgotten. */
const pace = 0.2

/** Learns from the gaps between equal requests of a principal that this process sees: a slow device fires its double later than a quick one. */
export function createAdaptiveWindow ({ min, max: longest, now = () => performance.now() }: AdaptiveOptions): Windows {
  const starts = new LRUCache<string, number>({ max })
  const learned = new LRUCache<string, number>({ max })
  return {
    of (principal, contentId) {
      const time = now()
      const gap = time - (starts.get(contentId) ?? -Infinity)
      starts.set(contentId, time)
      const window = learned.get(principal) ?? min
      if (gap > longest) return window
      const wanted = Math.min(longest, Math.max(min, Math.ceil(gap * margin)))
      const next = wanted > window ? wanted : Math.round(window + (wanted - window) * pace)
      learned.set(principal, next)
      return next
    }
  }
}
