/** The API over a store in a folder, with keys of real accounts, that can be shut down and opened again. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI, { toFile } from 'openai'
import * as v from 'valibot'
import type { GatewayAccounts } from '../../../src/coordinator/gateway/index.ts'
import { errorLine, outputLine } from '../../../src/coordinator/gateway/reference/answerSchemas.ts'
import { type CoordinatorStore, openStore } from '../../../src/coordinator/store/index.ts'
import { ManualClock } from '../../../src/shared/index.ts'
import { type GatewayWorld, MODEL, NOW_SECONDS, ScriptedAccounts, startGatewayWorld } from './world.ts'

/** Keys are the store's. */
class StoredAccounts extends ScriptedAccounts {
  readonly #store: CoordinatorStore

  constructor(store: CoordinatorStore) {
    super()
    this.#store = store
  }

  override async authorize(...asked: Parameters<GatewayAccounts['authorize']>) {
    this.asked.push(asked)
    const { id, account, storesResponses, pool } = await this.#store.keys.authorize(...asked)
    return { keyId: id, account, storesResponses, pool }
  }
}

const ALL = { models: null, pools: null, budget: null, requestsAMinute: null }

export class StoredWorld {
  readonly folder = mkdtempSync(join(tmpdir(), 'tabswarm-batches-'))
  readonly clock = new ManualClock()
  world!: GatewayWorld
  store!: CoordinatorStore
  accounts!: StoredAccounts
  account = ''
  /** Its owner's. */
  key = ''

  static async open(): Promise<StoredWorld> {
    const stored = new StoredWorld()
    stored.clock.advance(NOW_SECONDS * 1_000)
    await stored.start()
    stored.account = (await stored.store.accounts.createNamed('ada')).id
    stored.key = await stored.newKey()
    return stored
  }

  /** A coordinator on the folder. */
  async start(): Promise<void> {
    const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))
    // The ledger's commits wait for no test.
    const clock = { nowMs: () => this.clock.nowMs(), after: () => () => undefined }
    this.store = await openStore({ kind: 'folder', folder: join(this.folder, 'data') }, { clock, randomBytes })
    await this.#serve()
  }

  /** Another coordinator on the same store, and a key that has nothing there yet: for the next test, since to open a store takes a second. */
  async renew(): Promise<void> {
    await this.world.close()
    await this.#serve()
    this.key = await this.newKey()
  }

  async stop(): Promise<void> {
    await this.world.close()
    await this.store.close()
  }

  async close(): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async newKey(storesResponses = false): Promise<string> {
    return (await this.store.keys.create(this.account, 'k', ALL, storesResponses)).text
  }

  client(apiKey = this.key): OpenAI {
    return new OpenAI({ baseURL: this.world.baseUrl, apiKey, maxRetries: 0, fetch: this.world.fetch })
  }

  /** Every file of the folder that has the text in it. */
  filesWith(text: string): string[] {
    const files = readdirSync(this.folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    return files.flatMap(({ parentPath, name }) => (readFileSync(join(parentPath, name)).includes(text) ? [name] : []))
  }

  async upload(lines: readonly object[], client = this.client()): Promise<OpenAI.FileObject> {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
    return client.files.create({ file: await toFile(Buffer.from(text), 'questions.jsonl'), purpose: 'batch' })
  }

  async batch(lines: readonly object[]): Promise<OpenAI.Batch> {
    const { id } = await this.upload(lines)
    return this.client().batches.create({ input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' })
  }

  /** The batch, once it is in that state. */
  async until(id: string, status: OpenAI.Batch['status']): Promise<OpenAI.Batch> {
    for (let turn = 0; turn < 1_000; turn++) {
      const batch = await this.client().batches.retrieve(id)
      if (batch.status === status) return batch
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    throw new Error(`the batch never was ${status}`)
  }

  async answers(file: string | null | undefined) {
    return (await this.#lines(file)).map((line) => v.parse(outputLine, line))
  }

  async errors(file: string | null | undefined) {
    return (await this.#lines(file)).map((line) => v.parse(errorLine, line))
  }

  async #serve(): Promise<void> {
    this.accounts = new StoredAccounts(this.store)
    this.world = await startGatewayWorld({ accounts: this.accounts, storage: Promise.resolve(this.store), clock: this.clock })
  }

  async #lines(file: string | null | undefined): Promise<unknown[]> {
    if (file == null) throw new Error('there is no such file')
    const text = await (await this.client().files.content(file)).text()
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  }
}

/** A line of a batch. */
export function ask(name: string, text: string, more: object = {}) {
  const body = { model: MODEL, messages: [{ role: 'user', content: text }], ...more }
  return { custom_id: name, method: 'POST', url: '/v1/chat/completions', body }
}
