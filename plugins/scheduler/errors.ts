/** Errors of the scheduler plugin. Each is explained in the table of README.md; a test compares it with this list. */
export * from '../../services/scheduler/errors.js'
