import { FST_LIFECYCLE_USAGE } from './errors.js'

type Node = { name: string, after: readonly string[] }

/** Throws FST_LIFECYCLE_USAGE when the new phase would wait for itself. */
export function checkCycle ({ name, after }: Node, phases: ReadonlyMap<string, Node>, path: readonly string[] = [name]): void {
  for (const next of after) {
    if (next === path[0]) throw new FST_LIFECYCLE_USAGE(`the phases ${[...path, next].join(' → ')} wait for each other`)
    const node = phases.get(next)
    if (node !== undefined && !path.includes(next)) checkCycle(node, phases, [...path, next])
  }
}

/** Throws FST_LIFECYCLE_USAGE when a phase waits for one that nobody has declared. */
export function checkNames (phases: ReadonlyMap<string, Node>): void {
  for (const { name, after } of phases.values()) {
    const unknown = after.find((other) => !phases.has(other))
    if (unknown !== undefined) throw new FST_LIFECYCLE_USAGE(`the phase \`${name}\` waits for \`${unknown}\`, which nobody has declared: there are ${[...phases.keys()].join(', ')}`)
  }
}
