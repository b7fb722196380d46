/** The part of pino's interface that services use: object first, message second, errors under `err`. */
export interface Log {
  debug: (fields: object, message: string) => void
  info: (fields: object, message: string) => void
  warn: (fields: object, message: string) => void
  error: (fields: object, message: string) => void
  /** Of pino: one whose lines all have these fields. */
  child?: (fields: object) => Log
}

export const silentLog: Log = { debug () {}, info () {}, warn () {}, error () {} }

/** For programs that people run by hand: what matters, in words. */
export const consoleLog: Log = {
  debug () {},
  info () {},
  warn: (_fields, message) => console.error(message),
  error: (_fields, message) => console.error(message)
}
