/** promptIds: a prompt as its model reads it. */

import { encodePrompt } from '../model/index.ts'
import { TabswarmError } from '../shared/index.ts'
import type { ModelText } from './modelLibrary.ts'
import type { AskRequest } from './types.ts'

/**
 * Throws a TabswarmError `bad-request` where ids are none of the vocabulary's, and `prompt-too-long` where a text has more tokens than the model reads: megabytes
 * of it are not read to their end for that.
 */
export function promptIds(
  prompt: AskRequest['prompt'],
  { manifest, tokenizer, template }: Pick<ModelText, 'manifest' | 'tokenizer' | 'template'>,
): readonly number[] {
  if (prompt.kind !== 'ids') {
    const { contextLength } = manifest.config
    const text = prompt.kind === 'raw' ? prompt.text : template().render(prompt.messages, prompt.tools)
    const ids = text.length > contextLength * tokenizer.longestTokenBytes() ? null : encodePrompt(tokenizer, text, contextLength)
    if (ids !== null && ids.length <= contextLength) return ids
    const advice = 'shorten it, or begin a new conversation'
    throw new TabswarmError('prompt-too-long', `the prompt has more than the ${contextLength} tokens that the model reads; ${advice}`)
  }
  const foreign = prompt.ids.find((id) => !Number.isInteger(id) || id < 0 || id >= tokenizer.vocabularySize)
  if (foreign === undefined) return prompt.ids
  throw new TabswarmError('bad-request', `token ${foreign} is not in the model's vocabulary of ${tokenizer.vocabularySize}`)
}
