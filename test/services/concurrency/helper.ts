import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
export { gate } from '../../helper.js'
export type { Gate } from '../../helper.js'

/** Numbers from 0 to 1, the same in every run. */
export function seeded (seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Lets everything run that waits for no timer and no gate. */
export async function turns (count = 1): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** What is reachable only through weak references is gone after it. */
export function collectGarbage (): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  gc()
}
