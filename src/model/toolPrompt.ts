/**
 * toolPrompt: tools in a prompt whose template knows nothing of them: told in the system message, calls and their results as texts, in the form that Hermes and Qwen were
 * taught, https://github.com/NousResearch/Hermes-Function-Calling. Models with a template for tools have it from that.
 */

import type { ChatMessage, ToolDefinition } from './chatMessage.ts'

/** The same conversation in messages of system, user and assistant alone. */
export function plainToolMessages(messages: readonly ChatMessage[], tools: readonly ToolDefinition[]): ChatMessage[] {
  const plain = messages.map(plainMessage)
  if (tools.length === 0) return plain
  const [first, ...others] = plain
  if (first?.role !== 'system') return [{ role: 'system', content: toolsText(tools) }, ...plain]
  return [{ role: 'system', content: `${first.content}\n\n${toolsText(tools)}` }, ...others]
}

function plainMessage({ role, content, toolCalls = [] }: ChatMessage): ChatMessage {
  if (role === 'tool') return { role: 'user', content: `<tool_response>\n${content}\n</tool_response>` }
  const calls = toolCalls.map((call) => `<tool_call>\n${JSON.stringify({ name: call.name, arguments: call.arguments })}\n</tool_call>`)
  return { role, content: [content, ...calls].filter((part) => part !== '').join('\n') }
}

function toolsText(tools: readonly ToolDefinition[]): string {
  return [
    '# Tools',
    '',
    'You may call functions. Their signatures, as JSON:',
    '<tools>',
    ...tools.map((tool) => JSON.stringify(tool)),
    '</tools>',
    '',
    'For each call return a JSON object with the name of the function and its arguments, like this:',
    '<tool_call>',
    '{"name": "the name", "arguments": {"an argument": "its value"}}',
    '</tool_call>',
  ].join('\n')
}
