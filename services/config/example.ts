import { environment } from './environment.js'

type Variable = (typeof environment)[number]

const facts = ({ expected, required, default: fallback }: Variable): string => [
  `Must be ${expected}`,
  ...(fallback === undefined ? [] : [`default \`${fallback}\``]),
  ...(required === undefined ? [] : [`required in ${required}`])
].join('; ')

const entry = (variable: Variable): string => [
  `# ${variable.description}.`,
  `# ${facts(variable)}.`,
  `#${variable.name}=${variable.default ?? variable.example ?? ''}`
].join('\n')

/**
 * The content of `.env.example`, where every variable is commented out with its default. A test compares the two; after a
 * change: `npx tsx -e "import('./services/config/example.ts').then(m => process.stdout.write(m.renderExample()))" > .env.example`
 */
export const renderExample = (): string =>
  ['# Copy to .env, then uncomment what you change. An empty value counts as unset.', ...environment.map(entry)].join('\n\n') + '\n'
