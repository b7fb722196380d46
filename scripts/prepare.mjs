// `npm ci` builds. An install without development dependencies cannot compile and needs a dist folder built before.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'

const installed = (name) => {
  try {
    return Boolean(createRequire(import.meta.url).resolve(`${name}/package.json`))
  } catch {
    return false
  }
}

if (installed('typescript') && installed('prisma')) {
  process.exitCode = spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' }).status ?? 1
} else {
  console.log('holdfast: development dependencies are not installed, so nothing is built')
}
