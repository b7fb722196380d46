import { until } from '../helper.js'
import type { Answer, Instance, PostOptions } from './instance.js'

/** A loop that is not done by then, ms, never will be. */
const deadline = 20_000

/** Sends one request after the other under a key until `done`, and returns the answers. */
export async function duplicates (to: Instance, key: string, done: (last: Answer) => boolean, options: PostOptions = {}): Promise<Answer[]> {
  const answers: Answer[] = []
  const change = (): string => `another answer under ${key} than ${answers[answers.length - 1]?.text}`
  return await until(change, async () => {
    const answer = await to.post(key, options)
    answers.push(answer)
    return done(answer) && answers
  }, deadline)
}

/** For `duplicates`: until so many ms from now are over. */
export function after (ms: number): () => boolean {
  const end = performance.now() + ms
  return () => performance.now() > end
}

/** The different statuses, sorted. */
export function statuses (answers: Answer[]): number[] {
  return [...new Set(answers.map(({ status }) => status))].sort((a, b) => a - b)
}
