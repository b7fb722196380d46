/** `npm run demo`: what a double tap does to the running server. Fires each of 20 shares three times at once, then once more, and counts. */
import { randomUUID } from 'node:crypto'
import { loadEnvironment } from '../services/process/environment.js'
import { reportFailure } from '../services/process/report.js'

let base = process.argv[2] ?? ''
const shares = Array.from({ length: 20 }, (_, number) => ({ key: randomUUID(), url: `https://www.reddit.com/r/programming/comments/demo${number}/?utm_source=share` }))

interface Answer {
  outcome: 'executed' | 'replayed' | 'rejected' | 'failed'
  ms: number
}

async function logIn (): Promise<string> {
  const response = await fetch(`${base}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'test-ios@example.com', password: 'TestPassword123!' })
  })
  if (!response.ok) throw new Error(`the login was answered ${response.status}: ${await response.text()}`)
  return (await response.json() as { token: string }).token
}

async function countRows (authorization: string): Promise<number> {
  let rows = 0
  for (let cursor: string | null = ''; cursor !== null;) {
    const response = await fetch(`${base}/api/v1/shares?limit=100${cursor === '' ? '' : `&cursor=${cursor}`}`, { headers: { authorization } })
    const page = await response.json() as { items: unknown[], nextCursor: string | null }
    rows += page.items.length
    cursor = page.nextCursor
  }
  return rows
}

async function share (authorization: string, { key, url }: { key: string, url: string }): Promise<Answer> {
  const start = performance.now()
  const response = await fetch(`${base}/api/v1/shares`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key, authorization },
    body: JSON.stringify({ url })
  })
  await response.arrayBuffer()
  return { outcome: outcomeOf(response), ms: performance.now() - start }
}

function outcomeOf ({ status, headers }: Response): Answer['outcome'] {
  if (headers.get('idempotent-replayed') === 'true') return 'replayed'
  if (status === 201) return 'executed'
  return status === 409 ? 'rejected' : 'failed'
}

function summary (answers: Answer[], rows: number): Record<string, number> {
  const count = (outcome: Answer['outcome']): number => answers.filter((answer) => answer.outcome === outcome).length
  return { sent: answers.length, executed: count('executed'), replayed: count('replayed'), rejected: count('rejected'), failed: count('failed'), rows }
}

function percentiles (answers: Answer[], outcome: Answer['outcome']): Record<string, number> {
  const times = answers.filter((answer) => answer.outcome === outcome).map(({ ms }) => ms).sort((a, b) => a - b)
  const at = (share: number): number => Number((times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN).toFixed(1))
  return { 'p50 ms': at(0.5), 'p99 ms': at(0.99) }
}

await reportFailure('the demo needs a running server: npm start', async () => {
  if (base === '') base = `http://localhost:${loadEnvironment().port}`
  const authorization = `Bearer ${await logIn()}`
  const before = await countRows(authorization)
  const atOnce = await Promise.all(shares.flatMap((each) => [each, each, each]).map((each) => share(authorization, each)))
  const rowsAtOnce = await countRows(authorization) - before
  const later: Answer[] = []
  for (const each of shares) later.push(await share(authorization, each))
  const rowsLater = await countRows(authorization) - before - rowsAtOnce

  console.table({ 'three times at once': summary(atOnce, rowsAtOnce), 'again later': summary(later, rowsLater) })
  console.table({ 'first answers': percentiles(atOnce, 'executed'), 'replayed answers': percentiles(later, 'replayed') })
})
