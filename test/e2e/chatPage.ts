/** A chat page as a test uses it. */

import type { Locator, Page } from 'playwright-core'

/** Of one answer on a busy machine. */
export const ANSWER_TIMEOUT_MS = 240_000

/** Until its answer has begun to be shown. */
export async function askInChat(page: Page, text: string): Promise<void> {
  const before = await page.getByTestId('chat-answer').count()
  await page.getByTestId('chat-input').fill(text)
  await page.getByTestId('chat-send').click()
  await page.getByTestId('chat-answer').nth(before).waitFor({ state: 'attached' })
}

export const lastAnswer = (page: Page): Locator => page.getByTestId('chat-answer').last()

/** Once the last answer has ended so. Where it ends otherwise, or not at all, the error has the words that a person would see. */
export async function waitForStatus(page: Page, status: 'done' | 'failed'): Promise<void> {
  const answer = lastAnswer(page)
  await answer
    .and(page.locator(':not([data-status=running])'))
    .waitFor({ timeout: ANSWER_TIMEOUT_MS, state: 'attached' })
    .catch(() => undefined)
  const end = await answer.getAttribute('data-status')
  if (end !== status) throw new Error(`the answer is ${end}, not ${status}; the page says:\n${await page.locator('main').innerText()}`)
}
