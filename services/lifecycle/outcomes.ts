interface Outcome {
  promise: Promise<void>
  settle: (result: Promise<void>) => void
}

export interface Outcomes {
  /** Resolves when all of them have ended, also those that are not known yet. Throws what one of them threw. */
  of: (names: readonly string[]) => Promise<unknown>
  /** The name ends as this promise does. */
  follow: (name: string, result: Promise<void>) => void
}

/** What became of the phases, by their names. */
export function createOutcomes (): Outcomes {
  const outcomes = new Map<string, Outcome>()

  function get (name: string): Outcome {
    const known = outcomes.get(name) ?? createOutcome()
    outcomes.set(name, known)
    return known
  }

  return {
    of: (names) => Promise.all(names.map((name) => get(name).promise)),
    follow (name, result) { get(name).settle(result) }
  }
}

function createOutcome (): Outcome {
  let settle: Outcome['settle'] = () => {}
  const promise = new Promise<void>((resolve) => { settle = resolve })
  promise.catch(() => {}) // who waits for it hears it, and `started` too
  return { promise, settle }
}
