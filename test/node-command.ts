/**
 * The command that starts Node without what the test runner would load into each child, which takes a server 2 s of CPU. `env` replaces itself by Node, so
 * that the process is Node's.
 */
export function nodeCommand (...args: string[]): [command: string, args: string[]] {
  return ['/usr/bin/env', ['-u', 'NODE_OPTIONS', process.execPath, ...args]]
}
