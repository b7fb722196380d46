import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import t from 'tap'
import { identify, isAlive } from '../../../services/embedded/processes.js'
import type { RedisBinary } from '../../../services/embedded/redis.js'
import { startRedis } from '../../../services/embedded/redis.js'
import { freePort } from '../../../services/embedded/server.js'
import { command, redis, spawnScript, temporaryFolder } from './helper.js'

const find = async (cacheDirectory: string, PATH: string): Promise<string> => {
  const { stdout } = spawnScript('find.js', [cacheDirectory], { env: { ...process.env, PATH } })
  return stdout === null ? '' : text(stdout)
}

await t.test('without any Redis the error says the three ways to get one', async (t) => {
  const message = await find(await temporaryFolder(t), '/nonexistent')
  t.match(message, /There is no Redis 7 or later/)
  t.match(message, /install redis-server or valkey-server/)
  t.match(message, /set REDIS_URL/)
  t.match(message, /apt-get/)
})

await t.test('a program on the PATH is used when its version is 7 or later', async (t) => {
  const folder = await temporaryFolder(t)
  const [old, recent] = [join(folder, 'old'), join(folder, 'recent')]
  await script(join(old, 'redis-server'), 'echo "Redis server v=6.2.14 sha=00000000:0"')
  await script(join(recent, 'valkey-server'), 'echo "Valkey server v=8.0.1 sha=00000000:0"')
  t.match(JSON.parse(await find(folder, `${old}:${recent}:/usr/bin:/bin`)), { path: join(recent, 'valkey-server'), version: '8.0.1' })
  t.match(await find(folder, old), /There is no Redis 7 or later \(.*redis-server is 6\.2\.14\)/)
})

await t.test('several processes fetch into one cache, with package lists of their own when the system has none', async (t) => {
  const folder = await temporaryFolder(t)
  const [cache, programs] = [join(folder, 'cache'), join(folder, 'programs')]
  await fakePackages(programs)
  const found = await Promise.all(Array.from({ length: 4 }, () => find(cache, `${programs}:/usr/bin:/bin`)))
  for (const output of found) t.match(JSON.parse(output) as RedisBinary, { path: join(cache, 'root', 'usr', 'bin', 'redis-server'), version: '7.9.9' })
  t.same(await readdir(cache), ['root'])
})

await t.test('a cached program that does not run any more is fetched anew', async (t) => {
  const folder = await temporaryFolder(t)
  const [cache, programs] = [join(folder, 'cache'), join(folder, 'programs')]
  await fakePackages(programs)
  await script(join(cache, 'root', 'usr', 'bin', 'redis-server'), 'exit 127')
  t.match(JSON.parse(await find(cache, `${programs}:/usr/bin:/bin`)), { version: '7.9.9' })
})

await t.test('a server runs on the port it is given, until it is stopped', async (t) => {
  const directory = await temporaryFolder(t)
  const port = await freePort()
  const server = await startRedis({ binary: await redis(), directory, port, persistent: false })
  t.teardown(() => server.stop())
  t.equal(server.url, `redis://127.0.0.1:${port}`)
  t.equal(await command(server.url, 'SET', 'a', '1'), 'OK')
  process.kill(server.pid, 'SIGKILL')
  const next = await startRedis({ binary: await redis(), directory, port, persistent: false })
  t.equal(await command(next.url, 'GET', 'a'), null, 'what is not persistent is gone')
  const identity = identify(next.pid)
  t.equal(isAlive(identity), true)
  await next.stop()
  t.equal(isAlive(identity), false, 'ended, whether or not its parent has taken notice yet')
})

await t.test('a port is free, and none that an outgoing connection may take', async (t) => {
  const port = await freePort()
  t.ok(port >= 20_000 && port < 32_768, `${port}`)
  t.equal(await freePort(port), port, 'the preferred one')
  const holder = createServer().listen(port, '127.0.0.1')
  t.teardown(() => holder.close())
  await once(holder, 'listening')
  t.not(await freePort(port), port, 'another one where somebody has it')
})

await t.test('a server that cannot start is reported with the end of its output', async (t) => {
  const binary: RedisBinary = { path: join(await temporaryFolder(t), 'redis-server'), env: {}, version: '7.0.0' }
  await script(binary.path, 'echo "out of luck" >&2; exit 1')
  const directory = join(dirname(binary.path), 'data')
  await t.rejects(startRedis({ binary, directory }), /Redis did not start: .*\n[^]*out of luck/)
  await t.rejects(startRedis({ binary: { ...binary, path: '/nonexistent' }, directory }), { code: 'ENOENT' })
  t.equal(isAlive(''), false)
})

async function script (path: string, body: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, `#!/bin/sh\n${body}\n`)
  await chmod(path, 0o755)
}

/** Stand-ins for apt-get and dpkg, on a system without package lists: only what was updated privately can be downloaded. */
async function fakePackages (folder: string): Promise<void> {
  await script(join(folder, 'apt-get'), `
    for argument; do case "$argument" in Dir::State=*) state=\${argument#*=} ;; esac; done
    case "$*" in
      *" update "*) touch "$state/lists/updated" ;;
      *) test -e "$state/lists/updated" || { echo "E: Unable to locate package redis-server" >&2; exit 100; }
        case "$*" in *--simulate*) echo "Inst redis-server (7.9.9 Test [amd64])" ;; *) touch redis-server_7.9.9_amd64.deb ;; esac ;;
    esac`)
  await script(join(folder, 'dpkg'), `
    mkdir -p "$3/usr/bin"
    printf '#!/bin/sh\\necho "Redis server v=7.9.9 sha=0"\\n' > "$3/usr/bin/redis-server"
    chmod 755 "$3/usr/bin/redis-server"`)
}
