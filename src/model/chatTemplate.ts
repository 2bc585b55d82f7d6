/**
 * Prompts: a conversation through the model's own template (Jinja, as `tokenizer.chat_template` has it), and a prompt's text
 * to ids with BOS where the model wants one and the template hasn't written it.
 */

import { Template } from '@huggingface/jinja'
import type { ChatMessage, ToolDefinition } from './chatMessage.ts'
import { ModelError } from './errors.ts'
import type { Metadata } from './gguf/metadata.ts'
import type { Tokenizer } from './tokenizer/tokenizer.ts'
import { plainToolMessages } from './toolPrompt.ts'

export interface ChatTemplate {
  /**
   * The prompt's text, with the tools that the model may call, up to where the assistant begins to speak. Throws `bad-messages` where the template refuses them. Some templates
   * (Llama 3.2) write the day's date.
   */
  render(messages: readonly ChatMessage[], tools?: readonly ToolDefinition[]): string
}

/** Of 20 KB in the largest templates known. */
const TEMPLATE_CHARACTERS_MAX = 1_000_000

/** Throws `no-chat-template` for a model without one, `unsupported` for one that cannot be parsed. */
export function createChatTemplate(metadata: Metadata, tokenizer: Tokenizer): ChatTemplate {
  const source = metadata.string('tokenizer.chat_template')
  if (source === undefined || source.trim() === '')
    throw new ModelError('no-chat-template', 'this model has no chat template; give it plain text to continue (--raw) instead of messages')
  if (source.length > TEMPLATE_CHARACTERS_MAX)
    throw new ModelError('too-large', `the chat template has ${source.length} characters; use plain text (--raw)`)
  const template = parse(source)
  const hasTools = /\btools\b/.test(source)
  const textOf = (id: number | null) => (id === null ? '' : tokenizer.tokenText(id))
  return {
    render(messages, tools = []) {
      if (messages.length === 0) throw new ModelError('bad-messages', 'a conversation needs at least one message')
      try {
        return template.render({
          messages: (hasTools ? messages : plainToolMessages(messages, tools)).map(templateMessage),
          ...(hasTools && tools.length > 0 && { tools }),
          add_generation_prompt: true,
          bos_token: textOf(tokenizer.bosId),
          eos_token: textOf(tokenizer.eosId),
        })
      } catch (error) {
        throw new ModelError('bad-messages', `the model's chat template refuses these messages: ${text(error)}`, { cause: error })
      }
    },
  }
}

/** As templates name its parts. */
function templateMessage({ role, content, toolCalls, toolCallId, name }: ChatMessage): object {
  return {
    role,
    content,
    ...(toolCalls !== undefined && {
      tool_calls: toolCalls.map((call) => ({ id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } })),
    }),
    ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
    ...(name !== undefined && { name }),
  }
}

/**
 * Ids of a prompt, from a template or raw: the text of special tokens is parsed as such, and BOS comes first where the
 * metadata asks for it and the text doesn't begin with it.
 */
export function encodePrompt(tokenizer: Tokenizer, prompt: string, limit = Number.POSITIVE_INFINITY): number[] {
  const ids = tokenizer.encode(prompt, { parseSpecial: true, limit })
  if (tokenizer.addBos && tokenizer.bosId !== null && ids[0] !== tokenizer.bosId) return [tokenizer.bosId, ...ids]
  return ids
}

function parse(source: string): Template {
  try {
    return new Template(source)
  } catch (error) {
    throw new ModelError('unsupported', `the model's chat template cannot be read (${text(error)}); use plain text (--raw)`, {
      cause: error,
    })
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 500) : String(error)
}
