/**
 * The conversation, without any framework: what was asked, what is being answered, and how. Lives as long as the page, so an
 * answer goes on while another route is shown. In memory only: closing the tab forgets it.
 */

import { createStore, type StoreApi } from 'zustand/vanilla'
import type { Answer, Ask, AskProgress, ChatMessage, PeerRuntime, SamplingOptions } from '../peer/index.ts'
import { type ErrorBody, type ModelId, type SessionId, TIER_DEFAULT, type Tier, toErrorBody } from '../shared/index.ts'

export type AnswerStatus =
  | { readonly kind: 'running'; readonly progress: AskProgress | null; readonly stopping: boolean }
  | { readonly kind: 'done'; readonly answer: Answer }
  /** What had been answered before the failure stays in `text`. */
  | { readonly kind: 'failed'; readonly error: ErrorBody }

export interface Question {
  readonly id: number
  readonly role: 'user'
  readonly text: string
}

export interface Reply {
  readonly id: number
  readonly role: 'assistant'
  readonly text: string
  /** Null before it is admitted. */
  readonly sessionId: SessionId | null
  readonly status: AnswerStatus
}

/** Objects are replaced only when they change: a list that compares by identity renders the growing reply alone. */
export type ChatEntry = Question | Reply

export interface ChatOptions {
  readonly temperature: number
  readonly maxTokens: number
  /** Null: a new one for each answer. */
  readonly seed: number | null
  readonly tier: Tier
}

export interface ChatState {
  readonly entries: readonly ChatEntry[]
  readonly options: ChatOptions
  readonly answering: boolean
  /** Ignored while an answer runs, and when there is nothing but space in it. */
  send(text: string): void
  stop(): void
  /** Asks the last question again, in place of its failed or finished reply. */
  retry(): void
  /** Stops what runs and forgets the conversation. */
  newChat(): void
  setOptions(options: Partial<ChatOptions>): void
}

export type ChatStore = StoreApi<ChatState>

export interface ChatPorts {
  readonly runtime: Pick<PeerRuntime, 'ask' | 'store'>
  /** An integer of 32 bits. */
  readonly randomSeed: () => number
}

/** Characters of one message: four tokens' worth for each of the longest context that the protocol could carry in one frame. */
export const QUESTION_CHARACTERS_MAX = 100_000

/** Filters as llama.cpp's defaults, so that answers compare. Temperature 0 at first: a small model's second choice is often in another language. */
const SAMPLING: Omit<SamplingOptions, 'seed' | 'temperature'> = { topP: 0.95, topK: 40, minP: 0.05, stop: [] }
const DEFAULT_OPTIONS: ChatOptions = { temperature: 0, maxTokens: 512, seed: null, tier: TIER_DEFAULT }

export function createChatStore({ runtime, randomSeed }: ChatPorts): ChatStore {
  let nextId = 1
  let running: Ask | null = null

  return createStore<ChatState>()((set, get) => {
    const updateReply = (id: number, change: (reply: Reply) => Partial<Reply>) =>
      set(({ entries }) => ({
        entries: entries.map((entry) => (entry.id === id && entry.role === 'assistant' ? { ...entry, ...change(entry) } : entry)),
      }))

    /** Appends a reply to `history` and lets the swarm fill it. */
    const answer = (history: readonly ChatEntry[]) => {
      const id = nextId++
      const reply: Reply = {
        id,
        role: 'assistant',
        text: '',
        sessionId: null,
        status: { kind: 'running', progress: null, stopping: false },
      }
      set({ entries: [...history, reply], answering: true })
      const modelId = currentModel(runtime)
      if (modelId === null) return finish(id, { kind: 'failed', error: NO_MODEL })
      const { temperature, maxTokens, seed, tier } = get().options
      const ask = runtime.ask(
        {
          modelId,
          prompt: { kind: 'messages', messages: toMessages(history) },
          maxTokens,
          tier,
          sampling: { ...SAMPLING, temperature, seed: seed ?? randomSeed() },
        },
        (progress) => {
          if (running !== ask) return
          updateReply(id, ({ status }) => ({
            text: progress.text,
            sessionId: progress.sessionId,
            status: { kind: 'running', progress, stopping: status.kind === 'running' && status.stopping },
          }))
        },
      )
      running = ask
      ask.answer.then(
        (result) => running === ask && finish(id, { kind: 'done', answer: result }, result.text),
        (error: unknown) => running === ask && finish(id, { kind: 'failed', error: toErrorBody(error) }),
      )
    }

    const finish = (id: number, status: AnswerStatus, text?: string) => {
      running = null
      updateReply(id, (reply) => ({ status, text: text ?? reply.text }))
      set({ answering: false })
    }

    return {
      entries: [],
      options: DEFAULT_OPTIONS,
      answering: false,
      send(text) {
        if (get().answering || text.trim() === '' || text.length > QUESTION_CHARACTERS_MAX) return
        answer([...get().entries, { id: nextId++, role: 'user', text: text.trim() }])
      },
      stop() {
        const last = get().entries.at(-1)
        if (running === null || last?.role !== 'assistant') return
        updateReply(last.id, ({ status }) => (status.kind === 'running' ? { status: { ...status, stopping: true } } : {}))
        running.stop()
      },
      retry() {
        const { entries, answering } = get()
        if (answering || entries.at(-1)?.role !== 'assistant') return
        answer(entries.slice(0, -1))
      },
      newChat() {
        const ask = running
        running = null
        ask?.stop()
        set({ entries: [], answering: false })
      },
      setOptions(options) {
        set((state) => ({ options: { ...state.options, ...options } }))
      },
    }
  })
}

const NO_MODEL: ErrorBody = {
  reason: 'no-model',
  message: 'This page does not know a model yet: it has not reached the coordinator. Wait for the connection, then try again.',
}

function currentModel(runtime: ChatPorts['runtime']): ModelId | null {
  const { defaultModelId, network } = runtime.store.getState()
  return defaultModelId ?? network?.swarms[0]?.modelId ?? null
}

/** The whole conversation, which keeps the context of follow-up questions. Questions whose reply is empty are left out with it. */
function toMessages(entries: readonly ChatEntry[]): ChatMessage[] {
  return entries
    .filter((entry, at) => {
      const next = entries[at + 1]
      return entry.role === 'assistant' ? entry.text !== '' : next?.role !== 'assistant' || next.text !== ''
    })
    .map(({ role, text }) => ({ role, content: text }))
}
