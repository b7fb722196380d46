import { setTimeout as sleep } from 'node:timers/promises'
import type { Effects } from './effects.js'
import type { Answer, Instance } from './instance.js'
import type { Setup } from './setup.js'

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seeded (seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const { CHAOS_SEED = '1', CHAOS_SEEDS = '5' } = process.env

/** `CHAOS_SEED` is the first, `CHAOS_SEEDS` how many there are. */
export const seeds = Array.from({ length: Number(CHAOS_SEEDS) }, (_, index) => Number(CHAOS_SEED) + index)

/** What the clients of one key were told, in the order of the answers. */
export type History = Map<string, Answer[]>

export interface RunOptions {
  seed: number
  keys: number
  /** Requests a key. */
  requests: number
  route: string
}

const maxTries = 25

/** Requests start, and faults come, for so long, ms. */
const duration = 1_500

/**
 * Sends every key's requests, each to a random process and retried until it is answered, while faults come every 15 to 40 ms; then heals all,
 * lets the clients finish, and asks once more for every key. The seed gives the same plan again, not the same interleaving.
 */
export async function randomRun (setup: Setup, { seed, keys, requests, route }: RunOptions): Promise<{ history: History, faults: string[] }> {
  const random = seeded(seed)
  const history: History = new Map(Array.from({ length: keys }, (_, index) => [`${seed}-${index}`, []]))
  const plans = [...history].flatMap(([key, answers]) => Array.from({ length: requests }, () =>
    ({ key, answers, delay: random() * duration, work: Math.floor(random() * 60), first: random() < 0.5 })))
  const faults = injectFaults(setup, random)
  await Promise.all(plans.map(async ({ key, answers, delay, work, first }) => {
    await sleep(delay) // requests start at random times
    await insist(first ? [setup.one, setup.two] : [setup.two, setup.one], key, { route, work }, answers)
  }))
  const injected = await faults
  await Promise.all([...history].map(([key, answers]) => insist([setup.two, setup.one], key, { route }, answers, 400)))
  return { history, faults: injected }
}

/** A client that repeats its request, to the other process each time, until it is answered 201. */
async function insist (instances: Instance[], key: string, { route, work }: { route: string, work?: number }, answers: Answer[], tries = maxTries): Promise<void> {
  for (let tried = 0; tried < tries; tried++) {
    const instance = instances[tried % instances.length]
    const answer = await instance?.post(key, { route, timeout: 2_000, ...(work === undefined ? {} : { work }) })
    if (answer === undefined) throw new Error('there is no instance')
    answers.push(answer)
    if (answer.status === 201) return
    await sleep(20 + tried * 5) // a client's pause before it tries again
  }
}

/** One fault after the other. Returns their names when all of them are over. */
async function injectFaults (setup: Setup, random: () => number): Promise<string[]> {
  const end = performance.now() + duration
  const injected: string[] = []
  const healing: Array<Promise<void>> = []
  while (performance.now() < end) {
    await sleep(15 + random() * 25) // faults come at random times
    const [name, inject] = faultKinds[Math.floor(random() * faultKinds.length)] ?? faultKinds[0]
    injected.push(name)
    healing.push(inject(setup, random))
  }
  await Promise.all(healing)
  for (const proxy of [...setup.proxies.redis, ...setup.proxies.postgres]) proxy.heal()
  return injected
}

/** Its sleeps are the random times that a fault lasts. */
type Inject = (setup: Setup, random: () => number) => Promise<void>

const anyOf = <T> (list: T[], random: () => number): T | undefined => list[Math.floor(random() * list.length)]
const proxyOf = ({ proxies }: Setup, random: () => number) => anyOf([...proxies.redis, ...proxies.postgres], random)

/** Processes that are stopped now. One at a time, or nobody would be left to contradict. */
const stopped = new Set<number>()

const faultKinds: [[string, Inject], ...Array<[string, Inject]>] = [
  ['reset', async (setup, random) => { proxyOf(setup, random)?.resetAll() }],
  ['latency', async (setup, random) => {
    const proxy = proxyOf(setup, random)
    proxy?.delay(random() * 80)
    await sleep(random() * 300) // how long the fault lasts
    proxy?.heal()
  }],
  ['black hole', async (setup, random) => {
    const proxy = proxyOf(setup, random)
    proxy?.blackHole(anyOf(['up', 'down', undefined] as const satisfies unknown[], random))
    await sleep(random() * 300) // how long the fault lasts
    proxy?.heal()
  }],
  ['pause', async ({ one, two }, random) => {
    const instance = random() < 0.5 ? one : two
    if (stopped.size > 0) return
    stopped.add(instance.pid)
    instance.signal('SIGSTOP')
    await sleep(random() * 300) // how long the pause lasts
    instance.signal('SIGCONT')
    stopped.delete(instance.pid)
  }],
  ['killed backend', async ({ pool }) => {
    await pool.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = 'holdfast' AND datname = current_database() ORDER BY random() LIMIT 1`)
  }]
]

/** The keys whose clients were told different things: two answers 201 with different bytes. */
export function contradictions (history: History): string[] {
  return [...history].filter(([, answers]) => new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text)).size > 1).map(([key]) => key)
}

/** The keys whose number of effects is not one. */
export async function notOnce (history: History, effects: Effects): Promise<string[]> {
  const counts = await Promise.all([...history.keys()].map(async (key) => ({ key, count: await effects.count(key) })))
  return counts.filter(({ count }) => count !== 1).map(({ key, count }) => `${key}: ${count}`)
}

/** The keys that nobody got an answer for, although all faults were over. */
export function unanswered (history: History): string[] {
  return [...history].filter(([, answers]) => answers[answers.length - 1]?.status !== 201).map(([key]) => key)
}
