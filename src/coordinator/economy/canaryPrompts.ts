/**
 * Canaries' questions: of as many kinds, lengths and tempers as people's, each put together by chance. Only a first stage could read one, and who reads one
 * cannot tell it from a person's by its length, by what is asked for, or by having seen it before. Pure.
 */

export interface CanaryQuestion {
  readonly text: string
  readonly maxTokens: number
  readonly temperature: number
}

type Random = () => number

const THINGS = [
  'a lighthouse',
  'the moon',
  'bread',
  'a bicycle',
  'whales',
  'a volcano',
  'old maps',
  'rain',
  'a violin',
  'glass',
  'the number zero',
  'bees',
  'a railway',
  'salt',
  'sleep',
  'clocks',
  'a desert',
  'paper',
  'tea',
  'the color blue',
  'a harbor',
  'snow',
  'wool',
  'chess',
  'an elevator',
  'mushrooms',
  'a bridge',
  'iron',
  'owls',
  'the alphabet',
  'a river',
  'shadows',
  'rubber',
  'a telescope',
  'soap',
  'gardens',
  'coal',
  'a market',
  'swimming',
  'dice',
] as const
const PEOPLE = [
  'a child',
  'my grandmother',
  'a new colleague',
  'an engineer',
  'somebody who is in a hurry',
  'a class of ten-year-olds',
  'a friend',
  'a customer',
  'a nurse',
  'a beginner',
  'my neighbor',
  'a tourist',
] as const
const PLACES = [
  'Lisbon',
  'a small village',
  'Osaka',
  'the mountains',
  'Nairobi',
  'a ship',
  'Montreal',
  'the seaside',
  'Oslo',
  'a train',
  'Lima',
  'a city',
] as const
const FORMS = [
  'in one sentence',
  'in two sentences',
  'as a short list',
  'as a poem',
  'in simple words',
  'with an example',
  'as an email',
  'like a newspaper',
  'in three points',
  'as a dialogue',
  '',
  '',
  '',
  '',
] as const
const OPENINGS = ['', '', '', 'Hi! ', 'Please ', 'I have a question. ', 'Quick one: ', 'Hello, ', 'Could you help me? '] as const
const ENDINGS = [
  '',
  '',
  '',
  ' Thanks!',
  ' Keep it short.',
  ' Be precise.',
  ' I know little about it.',
  ' Thank you.',
  ' No introduction, please.',
] as const

const ASKS: readonly ((random: Random) => string)[] = [
  (random) => `explain ${one(THINGS, random)} to ${one(PEOPLE, random)} ${one(FORMS, random)}`,
  (random) => `what have ${one(THINGS, random)} and ${one(THINGS, random)} in common?`,
  (random) => `write about ${one(THINGS, random)} in ${one(PLACES, random)} ${one(FORMS, random)}`,
  (random) => `tell a story of ${one(PEOPLE, random)} who finds ${one(THINGS, random)} in ${one(PLACES, random)}`,
  (random) => `name ${whole(3, 9, random)} facts about ${one(THINGS, random)}`,
  (random) => `what is ${whole(11, 990, random)} ${one(['plus', 'minus', 'times'] as const, random)} ${whole(2, 99, random)}?`,
  (random) => `give me ${whole(2, 6, random)} ideas for a gift for ${one(PEOPLE, random)} who likes ${one(THINGS, random)}`,
  (random) => `why do people in ${one(PLACES, random)} talk about ${one(THINGS, random)}?`,
  (random) => `how would you describe ${one(THINGS, random)} ${one(FORMS, random)}?`,
  (random) => `plan ${whole(1, 5, random)} days in ${one(PLACES, random)} for ${one(PEOPLE, random)}`,
]
const FOLLOW_UPS_MAX = 2
/** An answer of every length that is usual, the short ones more often: what is checked is each row, and each costs. */
const MAX_TOKENS = [8, 12, 16, 16, 24, 32, 48, 64] as const
const TEMPERATURES = [0, 0.3, 0.7, 0.7, 0.8, 1, 1] as const

/** `random`: [0, 1), which nobody can foresee. */
export function canaryQuestion(random: Random): CanaryQuestion {
  const asks = [one(ASKS, random)(random)]
  for (let more = 0; more < FOLLOW_UPS_MAX && random() < 0.3; more++) asks.push(`And ${one(ASKS, random)(random)}`)
  const body = asks.map((ask) => ask.trim().replace(/([^?.!])$/, '$1.')).join(' ')
  const opening = one(OPENINGS, random)
  const text = `${opening}${opening.endsWith('. ') || opening === '' ? body.charAt(0).toUpperCase() + body.slice(1) : body}${one(ENDINGS, random)}`
  return { text, maxTokens: one(MAX_TOKENS, random), temperature: one(TEMPERATURES, random) }
}

function one<Value>(values: readonly [Value, ...Value[]] | readonly Value[], random: Random): Value {
  return values[Math.min(values.length - 1, Math.floor(random() * values.length))] as Value
}

function whole(from: number, to: number, random: Random): number {
  return from + Math.floor(random() * (to - from + 1))
}
