import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { memoryFile, testData, type WrittenValue, writeGguf } from '../../test/support/gguf.ts'
import { createChatTemplate, encodePrompt } from './chatTemplate.ts'
import { readGguf } from './gguf/readGguf.ts'
import { createTokenizer } from './tokenizer/tokenizer.ts'

async function open(bytes: Uint8Array) {
  const { metadata } = await readGguf(memoryFile(bytes), new AbortController().signal)
  return { metadata, tokenizer: createTokenizer(metadata) }
}

interface ReferenceCase {
  readonly name: string
  readonly messages?: { role: string; content: string }[]
  readonly prompt?: string
  readonly promptText: string
  readonly promptTokenIds: number[]
}

describe('the default model', () => {
  const { cases }: { cases: ReferenceCase[] } = JSON.parse(new TextDecoder().decode(testData('reference/smollm2-135m-instruct.json')))

  it.each(cases)('has the reference prompt of "$name", in text and ids', async ({ messages, prompt = '', promptText, promptTokenIds }) => {
    const { metadata, tokenizer } = await open(testData('tokenizer/smollm2.gguf.gz'))
    const text = messages === undefined ? prompt : createChatTemplate(metadata, tokenizer).render(messages)
    expect(text).toBe(promptText)
    expect(encodePrompt(tokenizer, text)).toEqual(promptTokenIds)
  })

  it('tells tools, their calls and results in plain words, since its template knows none', async () => {
    const { metadata, tokenizer } = await open(testData('tokenizer/smollm2.gguf.gz'))
    const tool = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } } as const
    const call = { id: 'c', name: 'weather', arguments: { city: 'Rome' } }
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Rome?' },
      { role: 'assistant', content: '', toolCalls: [call] },
      { role: 'tool', content: 'sunny', toolCallId: 'c', name: 'weather' },
    ]
    const text = createChatTemplate(metadata, tokenizer).render(messages, [tool])
    expect(text).toContain(`Be brief.\n\n# Tools\n`)
    expect(text).toContain(JSON.stringify(tool))
    expect(text).toContain('<|im_start|>assistant\n<tool_call>\n{"name":"weather","arguments":{"city":"Rome"}}\n</tool_call><|im_end|>')
    expect(text).toContain('<|im_start|>user\n<tool_response>\nsunny\n</tool_response><|im_end|>')
    expect(createChatTemplate(metadata, tokenizer).render(messages.slice(0, 2), [])).not.toContain('Tools')
  })

  it('gives tools to a template that knows them, as it names their parts', async () => {
    const source =
      '{% for m in messages %}{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}[{{ c.function.name }} {{ c.function.arguments.city }} {{ c.id }}]{% endfor %}({{ m.tool_call_id }});{% endfor %}{{ tools[0].function.name }}'
    const { metadata, tokenizer } = await open(testData('tokenizer/smollm2.gguf.gz'))
    const withTools = {
      ...metadata,
      string: (name: string) => (name === 'tokenizer.chat_template' ? source : metadata.string(name)),
    } as typeof metadata
    const call = { id: 'c', name: 'weather', arguments: { city: 'Rome' } }
    const messages = [
      { role: 'assistant', content: '', toolCalls: [call] },
      { role: 'tool', content: 'sunny', toolCallId: 'c' },
    ]
    const tool = { type: 'function', function: { name: 'weather', parameters: {} } } as const
    expect(createChatTemplate(withTools, tokenizer).render(messages, [tool])).toBe('assistant:[weather Rome c]();tool:sunny(c);weather')
  })

  it('refuses a conversation without messages', async () => {
    const { metadata, tokenizer } = await open(testData('tokenizer/smollm2.gguf.gz'))
    expect(() => createChatTemplate(metadata, tokenizer).render([])).toThrow(expect.objectContaining({ reason: 'bad-messages' }))
  })
})

describe("the models' own templates", () => {
  interface Rendered {
    readonly text?: string
    readonly error?: string
  }
  interface Golden {
    readonly conversations: readonly { role: string; content: string }[][]
    readonly models: Readonly<Record<string, { source: string; bos: string; eos: string; rendered: readonly Rendered[] }>>
  }
  const golden: Golden = JSON.parse(new TextDecoder().decode(testData('templates/templates.json.gz')))

  // Some write the day's date; the golden texts have the one that stands in Llama 3.2's template.
  beforeEach(() => {
    vi.useFakeTimers({ now: new Date('2024-07-26T12:00:00'), toFake: ['Date'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it.each(Object.entries(golden.models))('of %s give the text of Jinja2, or its refusal', async (_, { source, bos, eos, rendered }) => {
    const { metadata, tokenizer } = await withTemplate(source, true, [bos, eos])
    const template = createChatTemplate(metadata, tokenizer)
    expect(rendered).toHaveLength(golden.conversations.length)
    for (const [index, { text, error }] of rendered.entries()) {
      const render = () => template.render(golden.conversations[index] ?? [])
      if (text !== undefined) expect(render()).toBe(text)
      else
        expect(render).toThrow(expect.objectContaining({ reason: 'bad-messages', message: expect.stringContaining(error ?? 'an error') }))
    }
  })

  it('write BOS themselves or leave it to the metadata: it comes once', async () => {
    for (const { source, rendered } of Object.values(golden.models)) {
      const { metadata, tokenizer } = await withTemplate(source)
      const text = createChatTemplate(metadata, tokenizer).render(golden.conversations[0] ?? [])
      expect(rendered[0]?.text).toBeDefined()
      expect(encodePrompt(tokenizer, text).filter((id) => id === tokenizer.bosId)).toHaveLength(1)
    }
  })
})

async function withTemplate(template: string | null, addBos = true, [bos, eos] = ['<s>', '</s>']) {
  const metadata: [string, WrittenValue][] = [
    ['tokenizer.ggml.model', { type: 'string', value: 'gpt2' }],
    ['tokenizer.ggml.pre', { type: 'string', value: 'gpt-2' }],
    ['tokenizer.ggml.tokens', { type: 'strings', value: ['a', 'b', bos || '<s>', eos || '</s>'] }],
    ['tokenizer.ggml.token_type', { type: 'ints', value: [1, 1, 3, 3] }],
    ['tokenizer.ggml.merges', { type: 'strings', value: [] }],
    ['tokenizer.ggml.eos_token_id', { type: 'uint32', value: 3 }],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: addBos }],
  ]
  if (bos !== '') metadata.push(['tokenizer.ggml.bos_token_id', { type: 'uint32', value: 2 }])
  if (template !== null) metadata.push(['tokenizer.chat_template', { type: 'string', value: template }])
  return open(writeGguf({ metadata }))
}

describe('createChatTemplate', () => {
  const messages = [{ role: 'user', content: 'ab' }]

  it('hands the template BOS, EOS and the wish for an answer', async () => {
    const { metadata, tokenizer } = await withTemplate(
      '{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{% if add_generation_prompt %}b{% endif %}',
    )
    const text = createChatTemplate(metadata, tokenizer).render(messages)
    expect(text).toBe('<s>ab</s>b')
    expect(encodePrompt(tokenizer, text)).toEqual([2, 0, 1, 3, 1])
  })

  it('adds BOS where the metadata asks for it and the text has none', async () => {
    const wanting = await withTemplate(null)
    expect(encodePrompt(wanting.tokenizer, 'ab')).toEqual([2, 0, 1])
    expect(encodePrompt(wanting.tokenizer, '')).toEqual([2])
    const not = await withTemplate(null, false)
    expect(encodePrompt(not.tokenizer, 'ab')).toEqual([0, 1])
  })

  it('says of a model without a template to use raw text', async () => {
    const { metadata, tokenizer } = await withTemplate(null)
    expect(() => createChatTemplate(metadata, tokenizer)).toThrow(
      expect.objectContaining({ reason: 'no-chat-template', message: expect.stringContaining('--raw') }),
    )
  })

  it("passes on the template's own refusal, and refuses a template that cannot be read", async () => {
    const refusing = await withTemplate("{{ raise_exception('roles must alternate') }}")
    const template = createChatTemplate(refusing.metadata, refusing.tokenizer)
    expect(() => template.render(messages)).toThrow(
      expect.objectContaining({ reason: 'bad-messages', message: expect.stringContaining('roles must alternate') }),
    )
    const broken = await withTemplate('{% if %}')
    expect(() => createChatTemplate(broken.metadata, broken.tokenizer)).toThrow(expect.objectContaining({ reason: 'unsupported' }))
  })
})
