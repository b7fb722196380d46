import FindMyWay from 'find-my-way'

export interface AllowedMethods {
  add: (url: string, methods: string[]) => void
  /** The methods that routes exist for at this path, sorted; none when no route has it. */
  find: (path: string) => string[]
}

/** Knows which methods a path has, which Fastify's router does not tell. Patterns are matched by the same router. */
export function createAllowedMethods (): AllowedMethods {
  const methodsOf = new Map<string, Set<string>>()
  const router = FindMyWay({ ignoreTrailingSlash: true })
  return {
    add (url, methods) {
      const known = methodsOf.get(url)
      const all = known ?? new Set<string>()
      for (const method of methods) all.add(method)
      if (known !== undefined) return
      methodsOf.set(url, all)
      router.on('GET', url, () => {}, all)
    },
    find (path) {
      const all = router.find('GET', path)?.store as Set<string> | undefined
      return [...all ?? []].sort()
    }
  }
}
