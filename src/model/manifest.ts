/**
 * The manifest of a model: where every tensor's bytes are and what they hash to. A peer trusts nothing else; whoever serves
 * the bytes may be anybody. Its own hash, over canonical JSON, is the name under which a swarm agrees on a model.
 */

import * as v from 'valibot'
import { assert, isManifestHash, isModelId, type ManifestHash, type ModelId, type Sha256, toHex, utf8Encode } from '../shared/index.ts'
import { architectures } from './architecture.ts'
import { checkConfig, configLimits, readModel } from './config.ts'
import { ModelError, throwIfAborted } from './errors.ts'
import { HEADER_BYTES_MAX, TENSORS_MAX } from './gguf/limits.ts'
import type { GgufFile } from './gguf/readGguf.ts'
import { blockBytes, blockSize, tensorTypes } from './quants.ts'
import { checkTensors } from './tensors.ts'
import type { HashedManifest, Manifest, ManifestTensor, WeightSource } from './types.ts'

export interface BuildManifestRequest {
  readonly source: WeightSource
  readonly file: GgufFile
  readonly id: ModelId
  /** What people call it; where it is not given, what the file says. */
  readonly name?: string
  readonly sha256: Sha256
  readonly signal: AbortSignal
  /** Bytes hashed and bytes to hash. */
  readonly onProgress?: (bytesDone: number, bytesTotal: number) => void
}

/** Reads and hashes every tensor, one at a time. Rejects with a ModelError; `unsupported` for a model that cannot be run. */
export async function buildManifest(request: BuildManifestRequest): Promise<HashedManifest> {
  const { file, source, sha256, signal } = request
  const { config, tensors } = readModel(file)
  const bytesTotal = tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0)
  let bytesDone = 0
  const hashed: ManifestTensor[] = []
  for (const { name, type, shape, byteOffset, byteLength } of tensors) {
    throwIfAborted(signal, 'hashing the model')
    const hash = toHex(await sha256(await source.read({ byteOffset, byteLength }, signal)))
    hashed.push({ name, type, shape, byteOffset, byteLength, sha256: hash })
    bytesDone += byteLength
    request.onProgress?.(bytesDone, bytesTotal)
  }
  const manifest: Manifest = {
    format: 'tabswarm-manifest-1',
    id: request.id,
    name: (request.name ?? file.metadata.string('general.name') ?? request.id).slice(0, NAME_CHARACTERS_MAX),
    license: file.metadata.string('general.license')?.slice(0, NAME_CHARACTERS_MAX) ?? null,
    fileBytes: file.fileBytes,
    header: { byteLength: file.headerBytes.byteLength, sha256: toHex(await sha256(file.headerBytes)) },
    config,
    tensors: hashed,
  }
  return { manifest, hash: await hashManifest(manifest, sha256) }
}

/** SHA-256 over the canonical JSON, the same wherever the manifest came from. */
export async function hashManifest(manifest: Manifest, sha256: Sha256): Promise<ManifestHash> {
  const hash = toHex(await sha256(utf8Encode(canonicalJson(manifest))))
  assert(isManifestHash(hash), `sha256 gave ${hash.length / 2} bytes`)
  return hash
}

/** JSON with sorted keys and no white space: one value, one text. A bigint is a string of its digits. */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'bigint') return `"${value}"`
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${entries.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`
  }
  return JSON.stringify(value)
}

/** A model's id out of a file's name or URL: lower case, what an id cannot hold becomes a dash. */
export function modelIdFromFileName(name: string): ModelId {
  const base = (name.split(/[\\/?#]/).findLast((part) => part !== '') ?? '').replace(/\.gguf$/i, '').toLowerCase()
  const id = base
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 100)
  return isModelId(id) ? id : ('model' as ModelId)
}

const NAME_CHARACTERS_MAX = 200
/** A manifest of a dense model of 100 layers is about 200 KB of JSON. */
export const MANIFEST_BYTES_MAX = 32 * 1024 * 1024

const whole = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max))
const fileOffset = whole(0, Number.MAX_SAFE_INTEGER)
const hash64 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))
const label = v.pipe(v.string(), v.maxLength(NAME_CHARACTERS_MAX))

const configSchema = v.strictObject({
  architecture: v.picklist(architectures),
  layerCount: whole(1, configLimits.layers),
  width: whole(1, configLimits.width),
  headCount: whole(1, configLimits.heads),
  kvHeadCount: whole(1, configLimits.heads),
  headSize: whole(1, configLimits.headSize),
  feedForwardWidth: whole(1, configLimits.feedForwardWidth),
  experts: v.nullable(v.strictObject({ count: whole(1, configLimits.experts), used: whole(1, configLimits.experts) })),
  vocabularySize: whole(1, configLimits.vocabulary),
  contextLength: whole(1, configLimits.context),
  rmsEpsilon: v.number(),
  ropeBase: v.number(),
  ropeDimensions: whole(2, configLimits.headSize),
  ropePositionScale: v.number(),
  ropeMagnitude: v.number(),
  windowRopeBase: v.nullable(v.number()),
  slidingWindow: v.nullable(whole(1, configLimits.context)),
  attentionScale: v.number(),
  attentionSoftCap: v.nullable(v.number()),
  logitSoftCap: v.nullable(v.number()),
  tiedHead: v.boolean(),
})

const manifestSchema = v.strictObject({
  format: v.literal('tabswarm-manifest-1'),
  id: v.custom<ModelId>((value) => typeof value === 'string' && isModelId(value), 'not a model id'),
  name: label,
  license: v.nullable(label),
  fileBytes: fileOffset,
  header: v.strictObject({ byteLength: whole(1, HEADER_BYTES_MAX), sha256: hash64 }),
  config: configSchema,
  tensors: v.pipe(
    v.array(
      v.strictObject({
        name: v.pipe(v.string(), v.minLength(1), v.maxLength(64)),
        type: v.picklist(tensorTypes),
        shape: v.pipe(v.array(whole(1, Number.MAX_SAFE_INTEGER)), v.minLength(1), v.maxLength(4)),
        byteOffset: fileOffset,
        byteLength: whole(1, Number.MAX_SAFE_INTEGER),
        sha256: hash64,
      }),
    ),
    v.maxLength(TENSORS_MAX),
  ),
})

/** As parseManifest, from JSON text. */
export function parseManifestJson(text: string): Manifest {
  if (text.length > MANIFEST_BYTES_MAX) throw badManifest(`${text.length} characters of JSON`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw badManifest(error instanceof Error ? error.message.slice(0, 200) : String(error))
  }
  return parseManifest(value)
}

/** A manifest from a stranger: complete, consistent with itself, and nothing beyond. Throws `bad-manifest`. */
export function parseManifest(value: unknown): Manifest {
  const parsed = v.safeParse(manifestSchema, value)
  if (!parsed.success) {
    const [issue] = parsed.issues
    throw badManifest(`${v.getDotPath(issue) ?? 'the whole'}: ${issue.message.slice(0, 200)}`)
  }
  const manifest: Manifest = parsed.output
  try {
    checkConfig(manifest.config)
    checkTensors(manifest.config, manifest.tensors)
  } catch (error) {
    throw badManifest(error instanceof Error ? error.message : String(error))
  }
  checkRanges(manifest)
  return manifest
}

function checkRanges(manifest: Manifest): void {
  const names = new Set<string>()
  let end = manifest.header.byteLength
  for (const tensor of [...manifest.tensors].sort((a, b) => a.byteOffset - b.byteOffset)) {
    const elements = tensor.shape.reduce((product, size) => product * size, 1)
    const byteLength = (elements / blockSize(tensor.type)) * blockBytes(tensor.type)
    if (names.has(tensor.name)) throw badManifest(`${tensor.name} is there twice`)
    if ((tensor.shape[0] ?? 0) % blockSize(tensor.type) !== 0 || byteLength !== tensor.byteLength)
      throw badManifest(`${tensor.name} cannot have ${tensor.byteLength} bytes`)
    if (tensor.byteOffset < end) throw badManifest(`${tensor.name} overlaps what is before it`)
    end = tensor.byteOffset + tensor.byteLength
    names.add(tensor.name)
  }
  if (end > manifest.fileBytes) throw badManifest(`its tensors end after the file's ${manifest.fileBytes} bytes`)
}

function badManifest(what: string): ModelError {
  return new ModelError('bad-manifest', `the model's manifest is not valid (${what}); whoever serves the model must make it again`)
}
