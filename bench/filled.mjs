/** Records that a benchmark puts into a store before it measures: their keys and answers, as the load generator asks for them. */
export const filledKey = (number) => `filled-${number}`
export const filledBody = (number) => JSON.stringify({ id: number, amount: 4_999, currency: 'EUR', status: 'accepted' })
