import { once } from 'node:events'
import t from 'tap'
import { until } from '../../helper.js'
import { connectTo, freezeUpgraded, spawnApp, startApp } from './helper.js'

await t.test('SIGTERM: readiness is 503 at once, what runs and what still comes is answered, the hooks run, and the exit code is 0', async (t) => {
  const app = await spawnApp(t, { options: { preStopDelay: 1_000 }, drains: ['end'] })
  const held = fetch(`${app.base()}/hold`)
  await app.told('/hold')
  app.child.kill('SIGTERM')
  const ready = await until('it is not ready', async () => {
    const response = await fetch(`${app.base()}/health/ready`)
    return response.status === 503 ? response : null
  })
  t.match(await ready.json(), { status: 'closing' })
  t.equal((await fetch(`${app.base()}/health/live`)).status, 200)
  const quick = await fetch(`${app.base()}/quick`)
  t.equal(quick.headers.get('connection'), 'close')
  t.equal(await quick.text(), 'quick')
  await until('it listens no more', () => fetch(`${app.base()}/quick`).then(() => false, () => true))
  t.strictSame(app.events, ['listening', '/hold'], 'no hook runs before the last answer')
  app.child.send({ open: '/hold' })
  const answer = await held
  t.equal(answer.headers.get('connection'), 'close')
  t.equal(await answer.text(), 'held')
  t.equal((await app.exit()).code, 0)
  t.strictSame(app.events, ['listening', '/hold', 'drain end', 'closed'])
  t.match(app.logged('drained'), [{ drain: 'end', duration: Number }])
  t.match(app.logged('stopped'), [{ code: 0, duration: Number }])
})

await t.test('a request that does not end is cut off near the deadline and named, and the exit code is 1', async (t) => {
  const app = await spawnApp(t, { options: { deadline: 1_000, abortGrace: 400 }, drains: ['end'] })
  const held = fetch(`${app.base()}/hold`).then(() => 'answered', () => 'cut off')
  await app.told('/hold')
  const start = performance.now()
  app.child.kill('SIGTERM')
  t.equal(await held, 'cut off')
  const { code, after } = await app.exit(start)
  t.equal(code, 1)
  t.ok(after >= 500 && after < 5_000, `${after} ms`)
  t.match(app.logged('the deadline of the stop is near: open requests are cut off'), [{ requests: [{ method: 'GET', route: '/hold', duration: Number }] }])
  t.strictSame(app.events.slice(2), ['drain end', 'closed'], 'the rest of the stop has the grace for itself')
})

await t.test('a hook that does not end is left behind at the deadline and named, and the exit code is 1', async (t) => {
  const app = await spawnApp(t, { options: { deadline: 500 }, drains: ['hang'] })
  const start = performance.now()
  app.child.kill('SIGTERM')
  const { code, after } = await app.exit(start)
  t.equal(code, 1)
  t.ok(after >= 450 && after < 5_000, `${after} ms`)
  t.match(app.logged('the deadline of the stop is over: what still runs is left behind'), [{ step: 'onDrain', drain: 'hang' }])
})

await t.test('a plugin that does not close is left behind at the deadline, and the exit code is 1', async (t) => {
  const app = await spawnApp(t, { options: { deadline: 500 }, closeHangs: true })
  const start = performance.now()
  app.child.kill('SIGTERM')
  const { code, after } = await app.exit(start)
  t.equal(code, 1)
  t.ok(after >= 450 && after < 5_000, `${after} ms`)
  t.match(app.logged('the deadline of the stop is over: what still runs is left behind'), [{ step: 'onClose', drain: null }])
})

await t.test('a hook that ends when its signal aborts has drained: the exit code is 0', async (t) => {
  const app = await spawnApp(t, { options: { deadline: 10_000, abortGrace: 9_700 }, drains: ['obey'] })
  app.child.kill('SIGTERM')
  t.equal((await app.exit()).code, 0)
  t.strictSame(app.events, ['listening', 'drain obey', 'closed'])
})

await t.test('hooks run in the reverse order of their registration, and one that fails stops no other: the exit code is 1', async (t) => {
  const app = await spawnApp(t, { drains: ['end', 'fail'] })
  app.child.kill('SIGINT')
  t.equal((await app.exit()).code, 1)
  t.strictSame(app.events, ['listening', 'drain fail', 'drain end', 'closed'])
  t.match(app.logged('drain failed'), [{ drain: 'fail', err: { message: 'it does not drain' } }])
})

await t.test('a second signal ends the process at once', async (t) => {
  const app = await spawnApp(t)
  const held = fetch(`${app.base()}/hold`).catch(() => {})
  await app.told('/hold')
  app.child.kill('SIGTERM')
  await until('it has begun to stop', () => app.logged('stopping').length === 1)
  const begun = performance.now()
  await until('it is no echo of the first', () => performance.now() - begun > 300)
  const start = performance.now()
  app.child.kill('SIGTERM')
  const { code, after } = await app.exit(start)
  t.equal(code, 1)
  t.ok(after < 5_000, `${after} ms, of 25 s`)
  t.notOk(app.events.includes('closed'))
  await held
})

await t.test('a signal that comes twice at the same moment, as Ctrl-C does under npm, is one', async (t) => {
  const app = await spawnApp(t, { drains: ['end'] })
  const held = fetch(`${app.base()}/hold`).then((response) => response.text())
  await app.told('/hold')
  app.child.kill('SIGINT')
  app.child.kill('SIGTERM')
  await until('it has begun to stop', () => app.logged('stopping').length === 1)
  app.child.send({ open: '/hold' })
  t.equal(await held, 'held')
  t.equal((await app.exit()).code, 0)
  t.strictSame(app.events, ['listening', '/hold', 'drain end', 'closed'])
})

await t.test('a signal ends the process when a close by hand has not ended before its deadline', async (t) => {
  const app = await spawnApp(t, { options: { deadline: 300 }, closeHangs: true })
  app.child.send({ close: true })
  await until('the deadline is over', () => app.logged('the deadline of the stop is over: what still runs is left behind').length === 1)
  app.child.kill('SIGTERM')
  t.equal((await app.exit()).code, 1)
})

await t.test('idle connections do not hold the stop: kept alive, and such that have never sent a byte', async (t) => {
  const app = await spawnApp(t)
  await connectTo(t, app.port())
  const kept = await connectTo(t, app.port(), 'GET /quick HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(kept, 'data')
  const start = performance.now()
  app.child.kill('SIGTERM')
  const { code, after } = await app.exit(start)
  t.equal(code, 0)
  t.ok(after < 1_500, `${after} ms`)
})

await t.test('one keep-alive request and one frozen WebSocket hold it for 1.5 s and the request at most', async (t) => {
  const app = await spawnApp(t)
  await freezeUpgraded(t, app.port())
  const kept = await connectTo(t, app.port(), 'GET /hold HTTP/1.1\r\nHost: a\r\n\r\n')
  await app.told('/hold')
  const start = performance.now()
  app.child.kill('SIGTERM')
  await until('it listens no more', () => fetch(`${app.base()}/quick`).then(() => false, () => true))
  const answered = once(kept, 'data')
  app.child.send({ open: '/hold' })
  t.match(String((await answered)[0]), 'held')
  const request = performance.now() - start
  const { code, after } = await app.exit(start)
  t.equal(code, 0)
  t.ok(after >= 950, `${after} ms: the WebSocket had its grace`)
  t.ok(after < request + 1_500, `${after} ms, of which the request took ${request}`)
})

await t.test('an uncaught error stops the server as a signal does, and the exit code is 1', async (t) => {
  const app = await spawnApp(t, { drains: ['end'] })
  app.child.send({ throw: true })
  t.equal((await app.exit()).code, 1)
  t.strictSame(app.events, ['listening', 'drain end', 'closed'])
  t.match(app.logged('stopping after an uncaught error'), [{ level: 60, err: { message: 'nobody catches this' } }])
})

await t.test('an uncaught error during the stop cuts nothing off, and the exit code is 1', async (t) => {
  const app = await spawnApp(t, { drains: ['end'] })
  const held = fetch(`${app.base()}/hold`).then((response) => response.text())
  await app.told('/hold')
  app.child.kill('SIGTERM')
  await until('it has begun to stop', () => app.logged('stopping').length === 1)
  app.child.send({ throw: true })
  await until('it is logged', () => app.logged('stopping after an uncaught error').length === 1)
  app.child.send({ open: '/hold' })
  t.equal(await held, 'held')
  t.equal((await app.exit()).code, 1)
  t.strictSame(app.events, ['listening', '/hold', 'drain end', 'closed'])
})

for (const late of [false, true]) {
  await t.test(`a signal during the start fails it, in a phase of ${late ? 'an onReady hook' : 'a plugin'}`, async (t) => {
    const app = startApp(t, { phases: { hang: false }, late })
    await app.told('phase hang')
    app.child.kill('SIGTERM')
    t.equal((await app.exit()).code, 1)
    t.strictSame(app.events, ['phase hang', 'closed', 'cannot start: interrupted: the server stops before the phase `hang` has ended'])
  })
}

await t.test('an optional phase that fails degrades the server, which recovers by itself', async (t) => {
  const app = await spawnApp(t, { phases: { heal: true } })
  const ready = async () => await (await fetch(`${app.base()}/health/ready`)).json() as { status: string, phases: object[] }
  t.match(await ready(), { status: 'degraded', phases: [{ name: 'heal', state: 'degraded', optional: true }] })
  app.child.send({ heal: true })
  await until('it has recovered', async () => (await ready()).status === 'ready')
  t.match(app.logged('optional phase failed')[0], { phase: 'heal', attempt: 1, err: { message: 'not yet' } })
  t.match(await until('it is logged', () => app.logged('optional phase is ready at last')[0]), { phase: 'heal' })
})
