// `npm ci` builds. An install without development dependencies cannot compile and needs a dist folder built before.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

// Not typescript or prisma: as optional peers of @prisma/client npm installs those without the other development dependencies too.
if (existsSync(new URL('../node_modules/tap/package.json', import.meta.url))) {
  process.exitCode = spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' }).status ?? 1
} else {
  console.log('holdfast: development dependencies are not installed, so nothing is built')
}
