import type { LockBackend } from './backend.js'

export type BackendName = LockBackend['name']

/** What became of a call: granted, held by somebody else, the backend could not be had, ended by the caller or by the stop of the server. */
export const results = ['acquired', 'busy', 'unavailable', 'aborted'] as const
export type Result = typeof results[number]

/** What metrics are told. */
export interface Observer {
  asked: (backend: BackendName, result: Result, waitedMs: number) => void
  /** A lock came to its end, given back or lost. */
  ended: (backend: BackendName, heldMs: number) => void
  lost: (backend: BackendName) => void
}

export const noObserver: Observer = { asked () {}, ended () {}, lost () {} }
