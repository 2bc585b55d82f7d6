import { expect, it } from 'vitest'
import { threadCount } from './threads.ts'

it.each([
  { cores: 1, isolated: true, threads: 1 },
  { cores: 2, isolated: true, threads: 2 },
  { cores: 4, isolated: true, threads: 2 },
  { cores: 7, isolated: true, threads: 4 },
  { cores: 64, isolated: true, threads: 8 },
  { cores: 64, isolated: false, threads: 1 },
])('takes $threads threads of $cores cores (isolated: $isolated)', ({ threads, ...machine }) => {
  expect(threadCount(machine)).toBe(threads)
})
