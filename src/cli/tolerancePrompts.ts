/** What the recorded sessions of `bench tolerance` ask: explanations, stories, lists, code, other languages, numbers; drawn from a seed, none twice. */

import { Chance } from '../sim/index.ts'

const TASKS: readonly ((subject: string) => string)[] = [
  (subject) => `Explain ${subject} to a child of ten.`,
  (subject) => `Write the beginning of a story about ${subject}.`,
  (subject) => `List five surprising facts about ${subject}, with numbers.`,
  (subject) => `Write a function in Python that simulates ${subject}. Only code.`,
  (subject) => `Translate to German and French: "Yesterday we talked about ${subject} until midnight."`,
  (subject) => `Answer in one line of JSON with the keys name, year and cost: ${subject}.`,
  (subject) => `Two friends argue about ${subject}. Write what they say.`,
  (subject) => `What would change in the world without ${subject}?`,
]

const SUBJECTS = [
  'the tides',
  'a suspension bridge',
  'compound interest',
  'the migration of birds',
  'a chess tournament',
  'volcanoes on Iceland',
  'the invention of paper',
  'traffic lights',
  'sourdough bread',
  'a lighthouse keeper',
  'public libraries',
  'the human heart',
] as const

export const PROMPTS_MAX = TASKS.length * SUBJECTS.length

export function drawPrompts(seed: number, count: number): string[] {
  const chance = new Chance(seed, 0)
  const left = TASKS.flatMap((task) => SUBJECTS.map(task))
  return Array.from({ length: Math.min(count, PROMPTS_MAX) }, () => left.splice(chance.upTo(left.length - 1), 1)).flat()
}
