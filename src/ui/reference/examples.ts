/** The lines that make an existing program use this coordinator. */

export interface Example {
  readonly language: string
  readonly code: string
}

export function examplesOf(baseUrl: string, model: string): readonly Example[] {
  return [
    {
      language: 'curl',
      code: `curl ${baseUrl}/chat/completions \\
  -H "Authorization: Bearer $TABSWARM_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Hello"}]}'`,
    },
    {
      language: 'Python',
      code: `from openai import OpenAI

client = OpenAI(base_url="${baseUrl}", api_key="YOUR KEY")
answer = client.chat.completions.create(
    model="${model}", messages=[{"role": "user", "content": "Hello"}]
)
print(answer.choices[0].message.content)`,
    },
    {
      language: 'TypeScript',
      code: `import OpenAI from 'openai'

const client = new OpenAI({ baseURL: '${baseUrl}', apiKey: 'YOUR KEY' })
const answer = await client.chat.completions.create({
  model: '${model}',
  messages: [{ role: 'user', content: 'Hello' }],
})
console.log(answer.choices[0]?.message.content)`,
    },
  ]
}
