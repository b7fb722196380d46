import { spawnSync } from 'node:child_process'

/** The user a server runs as, where it cannot be this process's own. */
export interface Account { uid: number, gid: number }

/**
 * Postgres refuses to run as root. Then it runs as the system user `postgres`, or else `nobody`; no user is made.
 * @returns undefined when this process is not root and its own user will do.
 */
export function serverAccount (): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, name], { encoding: 'utf8' }))
    if (uid?.status === 0 && gid?.status === 0) return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  }
  throw new Error('Postgres does not run as root, and there is neither a user `postgres` nor `nobody` to run it as. Start this as an ordinary user, or set DATABASE_URL')
}

/** Whether that user may execute the file or enter the folder. */
export function canEnter (path: string, account: Account | undefined): boolean {
  return spawnSync('test', ['-x', path], { ...account, cwd: '/' }).status === 0
}
