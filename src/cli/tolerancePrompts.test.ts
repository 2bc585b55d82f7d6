import { expect, it } from 'vitest'
import { drawPrompts, PROMPTS_MAX } from './tolerancePrompts.ts'

it('a seed draws the same prompts each time, none twice, and no more than there are', () => {
  const prompts = drawPrompts(1, PROMPTS_MAX + 1)
  expect(new Set(prompts).size).toBe(PROMPTS_MAX)
  expect(drawPrompts(1, 5)).toEqual(prompts.slice(0, 5))
  expect(drawPrompts(2, 5)).not.toEqual(prompts.slice(0, 5))
})
