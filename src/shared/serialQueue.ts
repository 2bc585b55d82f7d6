/** Jobs one after the other, in the order of their calls. A job that fails stops none behind it. */

export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve()

  /** Settles as the job does, which begins when all earlier ones have ended. */
  run<Value>(job: () => Promise<Value>): Promise<Value> {
    const result = this.#last.then(job)
    this.#last = result.catch(() => undefined)
    return result
  }

  /** Resolves when every job so far has ended. */
  async idle(): Promise<void> {
    await this.#last
  }
}
