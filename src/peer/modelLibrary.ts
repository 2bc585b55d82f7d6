/**
 * ModelLibrary: manifests, tokenizers and chat templates of the coordinator's models, fetched once and checked: the manifest against
 * the hash that was announced, the file's header against the manifest.
 */

import {
  type ChatTemplate,
  createChatTemplate,
  createTokenizer,
  hashManifest,
  httpWeightSource,
  MANIFEST_BYTES_MAX,
  type Manifest,
  type Metadata,
  ModelError,
  parseManifest,
  readGguf,
  type Tokenizer,
} from '../model/index.ts'
import { type ModelList, parseModelList } from '../protocol/index.ts'
import { type Clock, type ManifestHash, type ModelId, type Sha256, toHex } from '../shared/index.ts'

export interface ModelText {
  readonly manifest: Manifest
  readonly tokenizer: Tokenizer
  /** SentencePiece models put a space before the first word of an answer; true for those. */
  readonly stripLeadingSpace: boolean
  /** Throws a ModelError where the file has no template: such a model only continues raw text. */
  template(): ChatTemplate
}

/** The host's `fetch`, handed in. */
export type HttpFetch = (url: string, init?: RequestInit) => Promise<Response>

export interface ModelLibraryOptions {
  /** The coordinator's origin. */
  readonly origin: string
  readonly fetch: HttpFetch
  readonly clock: Clock
  readonly sha256: Sha256
}

export class ModelLibrary {
  readonly #options: ModelLibraryOptions
  readonly #manifests = new Map<ManifestHash, Promise<Manifest>>()
  readonly #texts = new Map<ManifestHash, Promise<ModelText>>()

  constructor(options: ModelLibraryOptions) {
    this.#options = options
  }

  modelUrl(modelId: ModelId): string {
    return `${this.#options.origin}/models/${modelId}/file`
  }

  /** Rejects with a ModelError; what failed is tried again at the next call. */
  manifest(modelId: ModelId, hash: ManifestHash): Promise<Manifest> {
    return remember(this.#manifests, hash, () => this.#fetchManifest(modelId, hash))
  }

  /** Tokenizer and template; downloads the file's header, about 2 MB. */
  text(modelId: ModelId, hash: ManifestHash): Promise<ModelText> {
    return remember(this.#texts, hash, async () => this.#readText(modelId, await this.manifest(modelId, hash)))
  }

  /** Models that the coordinator answers with, and those that it offers to draft with. Rejects with a ModelError. */
  async list(): Promise<ModelList> {
    const list = parseModelList(JSON.parse(await this.#fetchText(`${this.#options.origin}/models`)))
    if (list.ok) return list.value
    throw new ModelError('bad-manifest', `the coordinator's list of models is not valid (${list.error}); reload the page`)
  }

  async #fetchText(url: string): Promise<string> {
    const response = await this.#options.fetch(url).catch((error: unknown) => {
      throw new ModelError('download-failed', `the coordinator could not be reached (${String(error)}); check the connection and try again`)
    })
    if (!response.ok) throw new ModelError('download-failed', `${url} answers ${response.status}; reload the page`)
    return response.text()
  }

  async #fetchManifest(modelId: ModelId, hash: ManifestHash): Promise<Manifest> {
    const text = await this.#fetchText(`${this.#options.origin}/models/${modelId}/manifest`)
    if (text.length > MANIFEST_BYTES_MAX) throw new ModelError('too-large', `the manifest of ${modelId} is larger than any model's`)
    const manifest = parseManifest(JSON.parse(text))
    if ((await hashManifest(manifest, this.#options.sha256)) !== hash)
      throw new ModelError('wrong-hash', `the manifest of ${modelId} is not the one that was announced; reload the page`)
    return manifest
  }

  async #readText(modelId: ModelId, manifest: Manifest): Promise<ModelText> {
    const { sha256, clock } = this.#options
    const source = httpWeightSource({
      url: this.modelUrl(modelId),
      fetch: (url, init) => this.#options.fetch(url, init),
      clock,
      fileBytes: manifest.fileBytes,
    })
    const { signal } = new AbortController()
    const header = await source.read({ byteOffset: 0, byteLength: manifest.header.byteLength }, signal)
    if (toHex(await sha256(header)) !== manifest.header.sha256)
      throw new ModelError(
        'wrong-hash',
        `the header of ${modelId} is not that of its manifest; whoever serves the model has a damaged file`,
      )
    return readModelText(manifest, header, signal)
  }
}

/** Of a file's first bytes, as the manifest's `header` says. */
export async function readModelText(
  manifest: Manifest,
  header: Uint8Array,
  signal: AbortSignal = new AbortController().signal,
): Promise<ModelText> {
  const file = await readGguf({ byteLength: manifest.fileBytes, read: async (range) => paddedSlice(header, range) }, signal)
  return modelText(manifest, file.metadata)
}

function modelText(manifest: Manifest, metadata: Metadata): ModelText {
  const tokenizer = createTokenizer(metadata)
  let template: ChatTemplate | null = null
  return {
    manifest,
    tokenizer,
    stripLeadingSpace: metadata.string('tokenizer.ggml.model') === 'llama',
    template() {
      template ??= createChatTemplate(metadata, tokenizer)
      return template
    },
  }
}

/** The reader's windows may reach beyond the header; it never looks at what lies there. */
function paddedSlice(header: Uint8Array, range: { readonly byteOffset: number; readonly byteLength: number }): Uint8Array {
  const bytes = new Uint8Array(range.byteLength)
  bytes.set(header.subarray(range.byteOffset, range.byteOffset + range.byteLength))
  return bytes
}

/** Shares what is under way; forgets what failed. */
function remember<Key, Value>(kept: Map<Key, Promise<Value>>, key: Key, make: () => Promise<Value>): Promise<Value> {
  const known = kept.get(key)
  if (known !== undefined) return known
  const made = make()
  kept.set(key, made)
  made.catch(() => kept.delete(key))
  return made
}
