/** canaryDriver: canaries asked as clients' questions are, by the same driver, of which nothing tells them apart. */

import type { CanaryDriver } from '../economy/index.ts'
import { DriverError } from './errors.ts'
import { type GatewayDriver, NO_PENALTIES, type Prompt } from './ports.ts'

/** In the queue, as clients' requests. */
const WAIT_MS = 30_000

export function canaryDriver(driver: GatewayDriver): CanaryDriver {
  return {
    async prepare(modelId, text) {
      const prompts: readonly Prompt[] = [
        { kind: 'messages', messages: [{ role: 'user', content: text }] },
        // A model that is for no chats goes on with a text.
        { kind: 'raw', text },
      ]
      for (const prompt of prompts) {
        const promptTokens = await driver.count(modelId, prompt).catch(unlessNoChat)
        if (promptTokens === null) continue
        return {
          promptTokens,
          async ask({ maxTokens, temperature, seed, voucher }) {
            const sampling = { ...NO_PENALTIES, temperature, topP: 1, topK: 0, minP: 0, seed }
            const terms = { tier: 'standard', stop: [], waitMs: WAIT_MS, topLogprobs: null, echo: false, grammar: null } as const
            await driver.ask({ modelId, prompt, maxTokens, sampling, voucher, ...terms }, () => undefined).answer
          },
        }
      }
      throw new DriverError('bad-request', `nothing can be asked of the model ${modelId}`)
    },
  }
}

function unlessNoChat(error: unknown): null {
  if (error instanceof DriverError && error.reason === 'no-chat-template') return null
  throw error
}
