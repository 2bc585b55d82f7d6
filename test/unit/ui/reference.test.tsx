/** The reference, made of the description that the gateway makes of its own schemas. */

import { MantineProvider } from '@mantine/core'
import { renderToStaticMarkup } from 'react-dom/server'
import { describe, expect, it } from 'vitest'
import { openApiDocument } from '../../../src/coordinator/gateway/reference/openApi.ts'
import { kindOf, readReference } from '../../../src/ui/reference/document.ts'
import { OperationView } from '../../../src/ui/reference/operationView.tsx'

const described = JSON.parse(JSON.stringify(openApiDocument({ hasStorage: true, needsKey: true })))
const reference = readReference(described)
const operation = (id: string) => {
  const found = reference.operations.find((one) => one.id === id)
  if (found === undefined) throw new Error(`there is no ${id}`)
  return found
}

describe('the reference', () => {
  it('has every address of the description, in its order', () => {
    const all = Object.entries(described.paths as object).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} /v1${path}`),
    )
    expect(reference.operations.map(({ method, path }) => `${method} ${path}`)).toEqual(all)
    expect(all[0]).toBe('POST /v1/chat/completions')
    expect(reference.errors.map(({ status }) => status)).toContain('405')
  })

  it('says of each parameter what it is, within which bounds, and what it means', () => {
    const { parameters } = operation('createChatCompletion')
    const told = Object.fromEntries(parameters.map(({ name, kind, isRequired }) => [name, [kind, isRequired]]))
    expect(told).toMatchObject({
      model: ['text', true],
      temperature: ['number, 0 … 2', false],
      presence_penalty: ['number, −2 … 2', false],
      n: ['whole number, 1 … 8', false],
      stream: ['true or false', false],
      stop: ['text or list of text', false],
      service_tier: ['"auto", "default", "flex", "priority"', false],
      messages: ['list of object', true],
    })
    expect(parameters.every(({ words }) => words.endsWith('.'))).toBe(true)
  })

  it('shows what stands between backticks as code, and parameters one tap away', () => {
    const page = renderToStaticMarkup(
      <MantineProvider>
        <OperationView operation={operation('createCompletion')} />
      </MantineProvider>,
    )
    for (const words of ['POST /v1/completions', '<details>', 'parameters of POST /v1/completions', 'required, text'])
      expect(page).toContain(words)
    expect(page).toMatch(/<code[^>]*>logprobs<\/code> asks for any/)
    expect(page).not.toContain('`')
  })

  it('has a word for every kind of schema, and none where anything goes', () => {
    expect([{ const: 'x' }, { anyOf: [{ type: 'null' }, { type: 'boolean' }] }, { type: 'array' }, {}, null].map(kindOf)).toEqual([
      '"x"',
      'true or false',
      'list of anything',
      '',
      '',
    ])
  })

  it('says so where it cannot be read', () => {
    for (const json of [null, {}, { ...described, openapi: '2.0' }]) expect(() => readReference(json)).toThrow(/cannot be read/)
  })
})
