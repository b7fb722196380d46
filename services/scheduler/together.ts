import { setImmediate } from 'node:timers/promises'
import { isTransient } from '../database/errors.js'

export interface TogetherDeps<Item, Row> {
  /** One statement for all. It passes over rows that are locked, and answers for those it has written. */
  free: (items: Item[]) => Promise<Row[]>
  /** Waits for a lock. Nothing: there was nothing to be written. */
  alone: (item: Item) => Promise<Row | undefined>
  /**
   * Items of one statement.
   * @default 100
   */
  most?: number
}

interface Call<Item, Row> {
  item: Item
  resolve: (row: Row | undefined) => void
  reject: (reason: unknown) => void
}

/** Statements under way at once: one that hangs does not hold up all, and what came a moment too late for one does not wait for its commit. */
const atOnce = 2

/**
 * A statement and its commit cost more than the row that it writes, so what is asked for while they are under way leaves together, in the next. None waits for a row that
 * another one wants and somebody has locked, nor fails with it: whatever has no answer is asked for alone. Each id is in a statement once: of two calls for one run
 * one finds what the other has done.
 */
export function createTogether<Item extends { id: string }, Row extends { id: string }> ({ free, alone, most = 100 }: TogetherDeps<Item, Row>): (item: Item) => Promise<Row | undefined> {
  let waiting: Array<Call<Item, Row>> = []
  let underWay = 0

  async function leave (): Promise<void> {
    underWay++
    await setImmediate() // so that those of one turn of the event loop leave together
    while (waiting.length > 0) await ask(taken())
    underWay--
  }
  function taken (): Map<string, Call<Item, Row>> {
    const calls = new Map<string, Call<Item, Row>>()
    waiting = waiting.filter((call) => {
      if (calls.size === most || calls.has(call.item.id)) return true
      calls.set(call.item.id, call)
      return false
    })
    return calls
  }
  async function ask (calls: Map<string, Call<Item, Row>>): Promise<void> {
    try {
      for (const row of await free([...calls.values()].map(({ item }) => item))) {
        calls.get(row.id)?.resolve(row)
        calls.delete(row.id)
      }
    } catch (error) {
      if (isTransient(error)) for (const { reject } of calls.values()) reject(error)
      if (isTransient(error)) return
    }
    for (const { item, resolve, reject } of calls.values()) alone(item).then(resolve, reject)
  }
  return async (item) => await new Promise((resolve, reject) => {
    waiting.push({ item, resolve, reject })
    if (underWay < atOnce) leave().catch(reject)
  })
}
