/**
 * AskingDriver: what runs in the driver's process. One asking role of a peer, as a page has it, without a page: tokenizes prompts, asks for admission with
 * the voucher of who pays, drives the sessions over WebRTC, and tells how far they are. Prompts and answers pass its memory and are kept nowhere.
 */

import { ANSWER_TOKENS_DEFAULT, type DriverAnswer, type DriverRequest } from '../coordinator/gateway/index.ts'
import { CoordinatorRefused, createIdentity, peerIdOf, sha256Of } from '../network/index.ts'
import { type AskingRole, type ModelText, openAskingRole, promptIds, readModelText, startAsk } from '../peer/index.ts'
import { type Clock, type ModelId, required, TabswarmError, toErrorBody } from '../shared/index.ts'
import { chosenToken } from './chosenTokens.ts'
import { type GrammarSession, Grammars } from './grammars.ts'
import type { DriverFailure, DriverModel, FromDriver, ToDriver } from './messages.ts'
import { PromptEcho } from './promptEcho.ts'

export interface AskingDriverPorts {
  readonly say: (message: FromDriver) => void
  readonly clock: Clock
  /** To the coordinator. */
  readonly openSocket: Parameters<typeof openAskingRole>[0]['host']['openSocket']
}

export class AskingDriver {
  readonly #ports: AskingDriverPorts
  readonly #identity: Awaited<ReturnType<typeof createIdentity>>
  readonly #asks = new Map<number, { readonly answer: Promise<unknown>; stop(): void }>()
  #models: ReadonlyMap<ModelId, DriverModel> = new Map()
  readonly #texts = new Map<ModelId, Promise<ModelText>>()
  readonly #grammars: Grammars
  #role: AskingRole | null = null

  private constructor(ports: AskingDriverPorts, identity: Awaited<ReturnType<typeof createIdentity>>) {
    this.#ports = ports
    this.#identity = identity
    this.#grammars = new Grammars(ports.clock)
  }

  static async open(ports: AskingDriverPorts): Promise<AskingDriver> {
    const { subtle } = crypto
    const identity = await createIdentity(subtle)
    ports.say({ kind: 'identity', peerId: await peerIdOf(identity.publicKey, sha256Of(subtle)) })
    return new AskingDriver(ports, identity)
  }

  /** Resolves to true when it was told to close, and has. */
  async handle(message: ToDriver): Promise<boolean> {
    switch (message.kind) {
      case 'connect':
        this.#connect(message.origin, message.models)
        return false
      case 'ask':
        await this.#tell(message.id, async () => ({ kind: 'answer', id: message.id, answer: await this.#ask(message.id, message.request) }))
        return false
      case 'count': {
        const { id, modelId, prompt } = message
        await this.#tell(id, async () => ({ kind: 'counted', id, tokens: promptIds(prompt, await this.#text(modelId)).length }))
        return false
      }
      case 'stop':
        this.#asks.get(message.id)?.stop()
        return false
      case 'close':
        await this.#close()
        return true
    }
  }

  #connect(origin: string, models: readonly DriverModel[]): void {
    this.#models = new Map(models.map((model) => [model.manifest.id, model]))
    const { subtle } = crypto
    this.#role = openAskingRole({
      host: {
        origin,
        openSocket: this.#ports.openSocket,
        clock: this.#ports.clock,
        random: Math.random,
        randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
        subtle,
        account: Promise.resolve(null),
      },
      identity: this.#identity,
      library: { text: (modelId) => this.#text(modelId) },
      manifestHash: async (modelId) => this.#model(modelId).manifestHash,
      beginDrafting: () => null,
      onHeld: () => undefined,
    })
    void this.#role.connection.then(({ heads }) => heads.onAlarm(({ what }) => this.#ports.say({ kind: 'alarm', what })))
  }

  async #tell(id: number, work: () => Promise<FromDriver>): Promise<void> {
    try {
      this.#ports.say(await work())
    } catch (error) {
      this.#ports.say({ kind: 'failed', id, failure: failureOf(error) })
    } finally {
      this.#asks.delete(id)
    }
  }

  async #ask(id: number, request: DriverRequest): Promise<DriverAnswer> {
    const { modelId, grammar } = request
    if (grammar === null) return this.#answer(id, request, null)
    const { tokenizer } = await this.#text(modelId)
    const session = await this.#grammars.open(modelId, tokenizer, grammar)
    try {
      return await this.#answer(id, request, session)
    } finally {
      session.close()
    }
  }

  async #answer(id: number, request: DriverRequest, constraint: GrammarSession | null): Promise<DriverAnswer> {
    const { modelId, sampling, stop, tier, voucher, waitMs, topLogprobs } = request
    const role = required(this.#role, 'a connected driver')
    // Until the ask itself is there: a `stop` may come right behind it.
    let isStopped = false
    this.#asks.set(id, {
      answer: Promise.resolve(),
      stop: () => {
        isStopped = true
      },
    })
    const text = await this.#text(modelId)
    const maxTokens = request.maxTokens ?? ANSWER_TOKENS_DEFAULT
    const echo = request.echo ? new PromptEcho(request.prompt, text, topLogprobs) : null
    const prompt = echo === null ? request.prompt : ({ kind: 'ids', ids: echo.ids } as const)
    const scoresPrompt = echo !== null && topLogprobs !== null
    let ahead: number | null = null
    let isAdmitted = false
    let completionTokens = 0
    const given = { ...(voucher !== null && { voucher }), ...(constraint !== null && { constraint }) }
    const ask = startAsk(
      role,
      {
        modelId,
        prompt,
        maxTokens,
        sampling: { ...sampling, stop },
        tier,
        waitMs,
        wantsLogits: topLogprobs !== null,
        scoresPrompt,
        ...given,
      },
      ({ sessionId, promptTokens, ...progress }) => {
        if (progress.ahead !== null && progress.ahead !== ahead)
          this.#ports.say({ kind: 'event', id, event: { kind: 'queued', ahead: progress.ahead } })
        ahead = progress.ahead
        if (sessionId === null || isAdmitted) return
        isAdmitted = true
        const room = text.manifest.config.contextLength - promptTokens
        const event = { kind: 'admitted', sessionId, promptTokens, maxTokens: Math.min(maxTokens, room) } as const
        this.#ports.say({ kind: 'event', id, event })
        if (echo !== null) this.#ports.say({ kind: 'event', id, event: echo.begin() })
      },
      (event) => {
        if (event.kind === 'scored' && echo !== null) this.#ports.say({ kind: 'event', id, event: echo.goOn(event.steps) })
        if (event.kind !== 'token' && event.kind !== 'text') return
        const isLogged = event.kind === 'token' && topLogprobs !== null
        const tokens = isLogged ? [chosenToken(event.id, event.candidates, text.tokenizer, topLogprobs)] : []
        if (event.kind === 'token') completionTokens = event.completionTokens
        this.#ports.say({ kind: 'event', id, event: { kind: 'text', text: event.text, completionTokens, tokens } })
      },
    )
    this.#asks.set(id, ask)
    if (isStopped) ask.stop()
    const { sessionId, promptTokenIds, completionTokenIds, finishReason, stages, dataPath, repairs } = await ask.answer
    return {
      sessionId,
      promptTokens: promptTokenIds.length,
      completionTokens: completionTokenIds.length,
      finishReason,
      stages: stages.map(({ peerId, firstLayer, endLayer, engine, link }) => ({ peerId, firstLayer, endLayer, engine, link: link.kind })),
      dataPath,
      repairs: repairs.length,
    }
  }

  async #close(): Promise<void> {
    const asks = [...this.#asks.values()]
    for (const ask of asks) ask.stop()
    await Promise.allSettled(asks.map(({ answer }) => answer))
    await Promise.all([this.#role?.close(), this.#grammars.end()])
  }

  #model(modelId: ModelId): DriverModel {
    const model = this.#models.get(modelId)
    if (model === undefined)
      throw new TabswarmError('unknown-model', `this coordinator has no model "${modelId}"; GET /v1/models lists those it has`)
    return model
  }

  #text(modelId: ModelId): Promise<ModelText> {
    const model = this.#model(modelId)
    const known = this.#texts.get(modelId) ?? readModelText(model.manifest, model.header)
    this.#texts.set(modelId, known)
    return known
  }
}

function failureOf(error: unknown): DriverFailure {
  return { ...toErrorBody(error), retryAfterMs: error instanceof CoordinatorRefused ? error.retryAfterMs : null }
}
