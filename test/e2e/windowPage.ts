/**
 * A page in a window of its own that can really be hidden. Playwright keeps its own pages visible and focused, whatever their window does;
 * it leaves those of the browser's default context alone, so these are opened and asked over the browser's protocol.
 */

import type { Browser, CDPSession } from 'playwright-core'

interface Answer {
  readonly id?: number
  readonly error?: { readonly message: string }
  readonly result?: {
    readonly result?: { readonly value?: unknown }
    readonly exceptionDetails?: { readonly exception?: { readonly description?: string } }
  }
}

export class WindowPage {
  readonly #browser: CDPSession
  readonly #targetId: string
  readonly #sessionId: string
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #sent = 0

  private constructor(browser: CDPSession, targetId: string, sessionId: string) {
    this.#browser = browser
    this.#targetId = targetId
    this.#sessionId = sessionId
    browser.on('Target.receivedMessageFromTarget', ({ sessionId: from, message }) => {
      const answer: Answer = JSON.parse(message)
      if (from === sessionId && answer.id !== undefined) this.#waiting.get(answer.id)?.(answer)
    })
  }

  /** `initScript` runs before the page's own. */
  static async open(browser: Browser, url: string, initScript: string): Promise<WindowPage> {
    const session = await browser.newBrowserCDPSession()
    const { targetId } = await session.send('Target.createTarget', { url: 'about:blank', newWindow: true })
    const { sessionId } = await session.send('Target.attachToTarget', { targetId, flatten: false })
    const page = new WindowPage(session, targetId, sessionId)
    await page.#ask('Page.enable', {})
    await page.#ask('Page.addScriptToEvaluateOnNewDocument', { source: initScript })
    await page.#ask('Page.navigate', { url })
    return page
  }

  /** What the expression, or its promise, comes to, by value. Rejects with what it throws. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, error } = await this.#ask('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    const thrown = error?.message ?? result?.exceptionDetails?.exception?.description
    if (thrown !== undefined) throw new Error(thrown)
    return result?.result?.value
  }

  /** Resolves once the expression is true. Rejects after `timeoutMs`. */
  async waitFor(expression: string, timeoutMs: number): Promise<void> {
    for (const endMs = Date.now() + timeoutMs; (await this.evaluate(expression)) !== true; ) {
      if (Date.now() > endMs) throw new Error(`not within ${timeoutMs / 1000} s: ${expression}`)
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }

  async minimize(): Promise<void> {
    const { windowId } = await this.#browser.send('Browser.getWindowForTarget', { targetId: this.#targetId })
    await this.#browser.send('Browser.setWindowBounds', { windowId, bounds: { windowState: 'minimized' } })
    await this.waitFor(`document.visibilityState === 'hidden'`, 10_000)
  }

  #ask(method: string, params: object): Promise<Answer> {
    const id = ++this.#sent
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, (answer) => {
        this.#waiting.delete(id)
        resolve(answer)
      })
      const message = JSON.stringify({ id, method, params })
      this.#browser.send('Target.sendMessageToTarget', { sessionId: this.#sessionId, message }).catch(reject)
    })
  }
}
