/** promptIds: a prompt as its model reads it. */

import { encodePrompt } from '../model/index.ts'
import { TabswarmError } from '../shared/index.ts'
import type { ModelText } from './modelLibrary.ts'
import type { AskRequest } from './types.ts'

/** Throws a TabswarmError `bad-request` where ids are none of the vocabulary's. */
export function promptIds(
  prompt: AskRequest['prompt'],
  { tokenizer, template }: Pick<ModelText, 'tokenizer' | 'template'>,
): readonly number[] {
  if (prompt.kind !== 'ids')
    return encodePrompt(tokenizer, prompt.kind === 'raw' ? prompt.text : template().render(prompt.messages, prompt.tools))
  const foreign = prompt.ids.find((id) => !Number.isInteger(id) || id < 0 || id >= tokenizer.vocabularySize)
  if (foreign === undefined) return prompt.ids
  throw new TabswarmError('bad-request', `token ${foreign} is not in the model's vocabulary of ${tokenizer.vocabularySize}`)
}
