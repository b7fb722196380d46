/** `refused`: so many nodes have another value or none that no quorum is left. */
export type Vote = { vote: 'agreed' } | { vote: 'refused' } | { vote: 'unavailable', cause: unknown }

export type AcquireVote = { vote: 'agreed', value: string } | Exclude<Vote, { vote: 'agreed' }>

/** What a majority of the nodes says, asked once. */
export interface Voters {
  /** What a minority has granted is given back. */
  acquire: (keys: readonly string[], ttl: number) => Promise<AcquireVote>
  extend: (keys: readonly string[], value: string, ttl: number) => Promise<Vote>
  release: (keys: readonly string[], value: string) => Promise<Vote>
}
