/** What benchmarks of whole answers ask: one text that repeats its prompt, one that now and then repeats itself, one that repeats nothing. */

import type { Sampling } from '../session/index.ts'

export interface BenchTask {
  readonly name: 'edit' | 'explain' | 'story'
  /** One user message. */
  readonly prompt: string
  readonly sampling: Sampling
}

const PASSAGE = `The quick brown cat jumps over the lazy dog near the river bank. Every morning the cat wakes up before the sun, \
walks along the old stone wall, and watches the boats that come back from the sea. The fishermen know the cat well, and they always \
leave a small fish for it beside the harbour gate. In winter, when the water freezes and the boats stay at home, the cat sleeps in \
the warm kitchen of the baker, who says that no mouse has been seen in the house since the cat came.`

const greedy: Sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 0 }
const sampled: Sampling = { ...greedy, temperature: 0.8, seed: 3 }

export const BENCH_TASKS: readonly BenchTask[] = [
  { name: 'edit', prompt: `Repeat this text exactly, but write "fox" instead of "cat": ${PASSAGE}`, sampling: greedy },
  { name: 'explain', prompt: 'Explain how a bicycle stays upright.', sampling: greedy },
  { name: 'story', prompt: 'Write a short story about a lighthouse keeper who finds a letter in a bottle.', sampling: sampled },
]
