/** Runs a program: a failure becomes a sentence and exit code 1, not a stack. */
export async function reportFailure (what: string, program: () => Promise<void>): Promise<void> {
  try {
    await program()
  } catch (error) {
    console.error(`holdfast: ${what}\n${describe(error)}`)
    process.exitCode = 1
  }
}

function describe (error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message, cause } = error
  return cause instanceof Error && cause.message !== '' ? `${message}\n  because: ${cause.message}` : message || error.name
}
