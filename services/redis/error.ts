/**
 * ioredis hangs the command on the error of a reply, and loggers print it: keys, values, and where logging in failed the password.
 */
export function withoutCommand (error: unknown): unknown {
  if (typeof error === 'object' && error !== null) Reflect.deleteProperty(error, 'command')
  return error
}
