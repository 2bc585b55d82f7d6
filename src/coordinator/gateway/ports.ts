/** What the gateway asks of others: a driver that turns a prompt into an answer, and accounts that pay for it. */

import type { LinkKind } from '../../protocol/index.ts'
import type { ModelId, PeerId, Pool, SessionId, Tier } from '../../shared/index.ts'
import type { KeyRequest } from '../accounts/index.ts'
import type { AuditListener, KeyHolder, Payer, Payment } from '../economy/index.ts'

/** As model's ChatMessage. */
export interface PromptMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool'
  readonly content: string
  /** Of the assistant. */
  readonly toolCalls?: readonly { readonly id: string; readonly name: string; readonly arguments: Readonly<Record<string, unknown>> }[]
  /** Of a tool: the call that it answers, and what that called. */
  readonly toolCallId?: string
  readonly name?: string
}

/** A function that the model may call, as templates want it. */
export interface ToolDefinition {
  readonly type: 'function'
  readonly function: { readonly name: string; readonly description?: string; readonly parameters: unknown }
}

export type Prompt =
  | { readonly kind: 'messages'; readonly messages: readonly PromptMessage[]; readonly tools?: readonly ToolDefinition[] }
  | { readonly kind: 'raw'; readonly text: string }
  | { readonly kind: 'ids'; readonly ids: readonly number[] }

/** As session's Sampling. */
export interface AnswerSampling {
  readonly temperature: number
  readonly topP: number
  readonly topK: number
  readonly minP: number
  readonly seed: number
  readonly presencePenalty: number
  readonly frequencyPenalty: number
  readonly repetitionPenalty: number
  readonly logitBias: readonly { readonly id: number; readonly bias: number }[]
}

/** Sampling that has none. */
export const NO_PENALTIES = { presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1, logitBias: [] } as const

/** Of an answer whose client names no number. */
export const ANSWER_TOKENS_DEFAULT = 1_024

export interface DriverRequest {
  readonly modelId: ModelId
  readonly prompt: Prompt
  /** Null: what the context leaves, ANSWER_TOKENS_DEFAULT at most. See answerLength.ts for who pays. */
  readonly maxTokens: number | null
  readonly sampling: AnswerSampling
  readonly stop: readonly string[]
  readonly tier: Tier
  /** Who pays: see Payment. Null where nobody does. */
  readonly voucher: string | null
  /** How long it may wait for a place. */
  readonly waitMs: number
  /** So many of the best tokens are told beside each that is chosen, 0 … 20; null: none, and no log-probability either. */
  readonly topLogprobs: number | null
  /** The prompt is said first, as text of which no token is the answer's, with its log-probabilities where `topLogprobs` asks for any. */
  readonly echo: boolean
  /** What the answer has to be, unless its length cuts it: EBNF, see grammar. Null: anything. */
  readonly grammar: string | null
}

/** A token, and how likely it was before any sampling option. */
export interface TokenLogprob {
  readonly id: number
  /** What it alone says; a part of a character comes as U+FFFD. */
  readonly text: string
  /** UTF-8. */
  readonly bytes: readonly number[]
  readonly logprob: number
}

/** A token of an answer, or of a prompt that is echoed. */
export interface ChosenToken extends Omit<TokenLogprob, 'logprob'> {
  /** Null: it is a prompt's first, before which there is nothing. */
  readonly logprob: number | null
  /** The best, best first. */
  readonly top: readonly TokenLogprob[]
}

export interface DriverStage {
  readonly peerId: PeerId
  readonly firstLayer: number
  readonly endLayer: number
  readonly engine: string
  readonly link: LinkKind
}

export type DriverEvent =
  /** It waits behind so many others. */
  | { readonly kind: 'queued'; readonly ahead: number }
  /** From here on it costs what is computed. `maxTokens`: what the answer may have. */
  | { readonly kind: 'admitted'; readonly sessionId: SessionId; readonly promptTokens: number; readonly maxTokens: number }
  /** More of the answer has become certain; `tokens` are those that have come since the last event, where they were asked for. */
  | { readonly kind: 'text'; readonly text: string; readonly completionTokens: number; readonly tokens: readonly ChosenToken[] }

export interface DriverAnswer {
  /** Null: it was stopped before it was admitted. */
  readonly sessionId: SessionId | null
  readonly promptTokens: number
  /** Without the end token. */
  readonly completionTokens: number
  readonly finishReason: 'stop' | 'length' | 'cancelled'
  readonly stages: readonly DriverStage[]
  /** The worst link of the chain. */
  readonly dataPath: LinkKind
  /** Times that lost tabs were replaced. */
  readonly repairs: number
}

export interface Answering {
  /** Rejects with a DriverError; resolves with `cancelled` after `stop`. */
  readonly answer: Promise<DriverAnswer>
  /** Ends it within a lap. */
  stop(): void
}

export interface GatewayDriver {
  ask(request: DriverRequest, onEvent: (event: DriverEvent) => void): Answering
  /** Tokens of a prompt, as the model reads it. Rejects with a DriverError. */
  count(modelId: ModelId, prompt: Prompt): Promise<number>
}

export interface GatewayAccounts {
  /**
   * Whose key a client has shown, if it may do what it asks; null: it asks for nothing that a scope names. Rejects with AccountError `bad-key`,
   * `not-allowed` or `too-many-requests`.
   */
  authorize(key: string, request: KeyRequest | null): Promise<KeyHolder>
  pay(payer: Payer): Payment
  /**
   * Sets credits aside under a name, for many sessions of one key whose payer names it as its fund. Null: they are; else why not. Rejects as
   * `authorize`, and with AccountError `over-budget`.
   */
  setAside(payer: Payer, fund: string, amount: bigint, tier: Tier): Promise<{ readonly reason: string; readonly message: string } | null>
  /** What is left of it goes back. */
  giveBack(fund: string): void
  /** What a session of that size is held at, micro-credits, at the prices in force. */
  price(modelId: ModelId, size: { readonly promptTokens: number; readonly maxTokens: number }, tier: Tier): Promise<bigint>
  /** What it can spend now, micro-credits: its account's balance, and no more than is left of its key's budget. */
  affordable(payer: Payer): Promise<bigint>
  /** Tells what each session cost, micro-credits, once it is settled: seconds after its end, or never where the coordinator stops before. */
  onSettled(listener: (sessionId: SessionId, charged: bigint) => void): () => void
  /** Tells who computed a stage's part of a session again: after its end, once there is a verdict. */
  onAudited(listener: AuditListener): () => void
}

/** A model as the list names it. */
export interface OfferedModel {
  readonly id: ModelId
  readonly name: string
  readonly license: string | null
  readonly contextLength: number
  readonly quantization: string | null
  /** Credits for a million tokens of each kind, decimals. */
  readonly price: { readonly decode: string; readonly prompt: string; readonly cachedPrompt: string }
  readonly tiers: Readonly<Record<Tier, number>>
  readonly isDefault: boolean
}

/** Whose tabs are meant. */
export interface Among {
  readonly pool: Pool
  readonly account: string
}

/** `among`: left out: everybody's tabs. */
export interface GatewayModels {
  list(): readonly OfferedModel[]
  /** Whether a session of that size would be admitted at once. */
  hasRoom(modelId: ModelId, size: { readonly promptTokens: number; readonly maxTokens: number }, among?: Among): boolean
  /** What the swarm of a model can do now. */
  capacity(
    modelId: ModelId,
    among?: Among,
  ): {
    readonly peers: number
    readonly layersCovered: number
    readonly layerCount: number
    readonly sessions: number
  }
}
