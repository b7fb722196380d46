import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** How long a process may take to end by itself, ms. */
const patience = 5_000

/**
 * Starts a module of this folder in a process of its own.
 * `ask` calls one of the functions that the module gave to `answerCalls`, and rejects when the process ends or the signal is aborted.
 */
export function startProcess (file, { signal, execArgv = [] }) {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), { execArgv })
  const ended = once(child, 'exit').then(([code, by]) => { throw new Error(`${file} ended (${by ?? code})`) })
  ended.catch(() => {}) // told to whoever asks
  let calls = 0

  return {
    async ask (name, input) {
      signal.throwIfAborted()
      const id = ++calls
      child.send({ id, name, input })
      return await Promise.race([replyTo(child, id, signal), ended])
    },
    async end () {
      if (child.connected) child.disconnect()
      const timer = setTimeout(() => child.kill('SIGKILL'), patience)
      await ended.catch(() => {})
      clearTimeout(timer)
    }
  }
}

function replyTo (child, id, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => settle(reject, signal.reason)
    const read = (message) => {
      if (message.id === id) message.error === undefined ? settle(resolve, message.result) : settle(reject, new Error(message.error))
    }
    child.on('message', read)
    signal.addEventListener('abort', stop)

    function settle (how, value) {
      child.off('message', read)
      signal.removeEventListener('abort', stop)
      how(value)
    }
  })
}

/** In the started process: answers calls until the parent disconnects or dies, whatever the reason. */
export function answerCalls (functions) {
  process.on('SIGINT', () => {}) // a Ctrl-C reaches the whole group: the parent ends us when it has cleaned up
  process.on('disconnect', () => process.exit())
  process.on('message', ({ id, name, input }) => {
    functions[name](input).then((result) => process.send({ id, result }), (error) => process.send({ id, error: error.stack }))
  })
}
