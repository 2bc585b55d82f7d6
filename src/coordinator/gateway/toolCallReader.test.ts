import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ToolCallReader } from './toolCallReader.ts'

const tools = { names: ['weather', 'now'], isParallel: true }

/** What is read of a text that comes in these parts: its content, and the calls as name and arguments. */
function read(parts: readonly string[], isParallel = true) {
  const reader = new ToolCallReader({ ...tools, isParallel })
  let content = ''
  const calls: [string, string][] = []
  for (const part of [...parts.flatMap((text) => reader.push(text)), ...reader.end()]) {
    if (part.kind === 'text') content += part.text
    if (part.kind === 'call') calls[part.index] = [part.name, '']
    const call = part.kind === 'arguments' ? calls[part.index] : undefined
    if (part.kind === 'arguments' && call !== undefined) call[1] += part.text
  }
  return { content, calls }
}

const CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "a } \\" <b", "n": [{}]}}\n</tool_call>'
const GIVEN = '{"city": "a } \\" <b", "n": [{}]}'

describe('calls in an answer', () => {
  it.each<[string, string, { content: string; calls: [string, string][] }]>([
    ['nothing but content', 'It is < 3 <tool', { content: 'It is < 3 <tool', calls: [] }],
    ['one call', CALL, { content: '', calls: [['weather', GIVEN]] }],
    ['content before it', `Let me see.\n${CALL}`, { content: 'Let me see.\n', calls: [['weather', GIVEN]] }],
    [
      'two calls',
      `${CALL}\n<tool_call>{"name":"now","arguments":{}}</tool_call>\n`,
      {
        content: '',
        calls: [
          ['weather', GIVEN],
          ['now', '{}'],
        ],
      },
    ],
    [
      'arguments before the name',
      '<tool_call>{"arguments": {"a": 1}, "name": "now"}</tool_call>',
      { content: '', calls: [['now', '{"a":1}']] },
    ],
    ['an object alone, as Llama has it', ' {"name": "now", "parameters": {"a": 1}}', { content: '', calls: [['now', '{"a":1}']] }],
    ['another object alone', '{"a": 1}', { content: '{"a": 1}', calls: [] }],
    [
      'a tool that there is not',
      '<tool_call>{"name": "other", "arguments": {}}</tool_call>',
      { content: '<tool_call>{"name": "other", "arguments": {}}</tool_call>', calls: [] },
    ],
    ['what is no JSON', '<tool_call>weather!</tool_call> Sorry.', { content: '<tool_call>weather!</tool_call> Sorry.', calls: [] }],
    ['a call without its end', CALL.slice(0, -12), { content: '', calls: [['weather', GIVEN]] }],
    ['arguments that are cut', CALL.slice(0, 60), { content: '', calls: [['weather', CALL.slice(CALL.indexOf('{"city'), 60)]] }],
  ])('are read the same however the text is cut: %s', (_, text, expected) => {
    expect(read([text])).toEqual(expected)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 })), (lengths) => {
        const parts: string[] = []
        let at = 0
        for (const length of lengths) {
          parts.push(text.slice(at, at + length))
          at += length
        }
        expect(read([...parts, text.slice(at)])).toEqual(expected)
      }),
    )
  })

  it('are told as they come: the name first, then the arguments', () => {
    const reader = new ToolCallReader(tools)
    expect(reader.push('<tool_call>\n{"name": "weather", "arguments": {"city')).toEqual([
      { kind: 'call', index: 0, name: 'weather' },
      { kind: 'arguments', index: 0, text: '{"city' },
    ])
    expect(reader.push('": "Rome"}}')).toEqual([{ kind: 'arguments', index: 0, text: '": "Rome"}' }])
  })

  it('after the first are left out where several are not asked for', () => {
    expect(read([`${CALL}\n${CALL} and`], false)).toEqual({ content: '', calls: [['weather', GIVEN]] })
  })
})
