import type { Log } from '../../log.js'
import type { Missing, Recall } from './recall.js'
import type { RedisLink } from './redis-link.js'

export interface NoticeOptions {
  link: Pick<RedisLink, 'announce'>
  recall: Recall
  log: Log
  /** The pause before another attempt. */
  again: () => Promise<void>
  closed: AbortSignal
}

/** Lets every other process know, at its next call, that Postgres knows keys that Redis does not. */
export interface Notice {
  /** Never rejects: it is tried again for as long as it fails. */
  tell: (missing: Missing) => Promise<void>
  tellAfter: (when: Promise<void>, missing: Missing) => void
}

export function createNotice ({ link, recall, log, again, closed }: NoticeOptions): Notice {
  let retelling = false
  const tell = async (missing: Missing): Promise<void> => {
    recall.expect(missing)
    try {
      const left = await recall.left()
      if (left > 0) await link.announce(left)
    } catch (err) {
      log.warn({ err }, 'other processes could not be told that Redis lacks records: it is tried again')
      if (retelling) return
      retelling = true
      tellAfter(again().then(() => { retelling = false }), missing)
    }
  }
  const tellAfter = (when: Promise<void>, missing: Missing): void => {
    when.then(() => closed.aborted ? undefined : tell(missing)).catch((err: unknown) => { log.error({ err }, 'telling other processes failed') })
  }
  return { tell, tellAfter }
}
