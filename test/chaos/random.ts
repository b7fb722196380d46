import { setTimeout as sleep } from 'node:timers/promises'
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

const { CHAOS_SEED = '1', CHAOS_SEEDS = '10' } = process.env

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

/**
 * Sends every key's requests, retried until they are answered, to a random process each while faults come every 15 to 40 ms; then heals all and
 * asks once more for every key. The seed gives the same plan again, not the same interleaving.
 */
export async function randomRun (setup: Setup, { seed, keys, requests, route }: RunOptions): Promise<{ history: History, faults: string[] }> {
  const random = seeded(seed)
  const names = Array.from({ length: keys }, (_, index) => `${seed}-${index}`)
  const history: History = new Map(names.map((name) => [name, []]))
  const stop = new AbortController()
  const faults = injectFaults(setup, random, stop.signal)
  const plans = names.flatMap((key) => Array.from({ length: requests }, () => ({ key, delay: random() * 1_200, work: Math.floor(random() * 60), first: random() < 0.5 })))
  await Promise.all(plans.map(async ({ key, delay, work, first }) => {
    await sleep(delay)
    const [one, two] = first ? [setup.one, setup.two] : [setup.two, setup.one]
    await insist([one, two], key, { route, work }, history.get(key) ?? [])
  }))
  stop.abort()
  const injected = await faults
  await Promise.all(names.map((key) => insist([setup.two, setup.one], key, { route }, history.get(key) ?? [], 400)))
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
    await sleep(20 + tried * 5)
  }
}

/** Until the signal: one fault after the other. Returns their names when all of them are over. */
async function injectFaults (setup: Setup, random: () => number, signal: AbortSignal): Promise<string[]> {
  const injected: string[] = []
  const healing: Array<Promise<void>> = []
  while (!signal.aborted) {
    await sleep(15 + random() * 25)
    const [name, inject] = faultKinds[Math.floor(random() * faultKinds.length)] ?? faultKinds[0]
    injected.push(name)
    healing.push(inject(setup, random))
  }
  await Promise.all(healing)
  for (const proxy of [...setup.proxies.redis, ...setup.proxies.postgres]) proxy.heal()
  return injected
}

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
    await sleep(random() * 300)
    proxy?.heal()
  }],
  ['black hole', async (setup, random) => {
    const proxy = proxyOf(setup, random)
    proxy?.blackHole(anyOf(['up', 'down', undefined] as const satisfies unknown[], random))
    await sleep(random() * 300)
    proxy?.heal()
  }],
  ['pause', async ({ one, two }, random) => {
    const instance = random() < 0.5 ? one : two
    if (stopped.size > 0) return
    stopped.add(instance.pid)
    instance.signal('SIGSTOP')
    await sleep(random() * 300)
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

/** The keys that nobody got an answer for, although all faults were over. */
export function unanswered (history: History): string[] {
  return [...history].filter(([, answers]) => answers[answers.length - 1]?.status !== 201).map(([key]) => key)
}
