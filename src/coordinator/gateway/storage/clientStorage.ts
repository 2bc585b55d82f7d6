/** ClientStorage: what clients have kept here for a day: files, batches and responses, by their routes, and whoever works on the batches. */

import type { FastifyInstance } from 'fastify'
import type { AnswerKind } from '../answerKinds.ts'
import type { AnswerRoute, GatewayOptions } from '../answerRoute.ts'
import { registerBatches } from './batchesRoutes.ts'
import { BatchRunner } from './batchRunner.ts'
import { ClientObjects } from './clientObjects.ts'
import { registerFiles } from './filesRoutes.ts'
import { registerStoredResponses, storedResponseKind } from './storedResponses.ts'

export class ClientStorage {
  readonly #answers: AnswerRoute
  readonly #objects: ClientObjects
  readonly #runner: BatchRunner

  private constructor(answers: AnswerRoute, objects: ClientObjects, runner: BatchRunner) {
    this.#answers = answers
    this.#objects = objects
    this.#runner = runner
    answers.onKey((keyId, key) => runner.keySeen(keyId, key))
  }

  /** Null: nobody has a key that anything could be sealed with. */
  static open(options: GatewayOptions, answers: AnswerRoute): ClientStorage | null {
    const { storage, accounts, clock, randomBytes } = options
    if (storage === null || accounts === null) return null
    const objects = new ClientObjects({ storage, clock, randomBytes })
    return new ClientStorage(answers, objects, new BatchRunner({ ...options, accounts, objects, answers }))
  }

  /** Responses that may be kept. */
  get responses(): AnswerKind {
    return storedResponseKind(this.#objects)
  }

  /** In a scope of its own: uploads are read there alone. */
  register(v1: FastifyInstance): void {
    const parts = { answers: this.#answers, objects: this.#objects, runner: this.#runner }
    void v1.register(async (scope) => {
      registerFiles(scope, parts)
      registerBatches(scope, parts)
      registerStoredResponses(scope, this.#answers, this.#objects)
    })
  }

  async close(): Promise<void> {
    await this.#runner.close()
  }
}
