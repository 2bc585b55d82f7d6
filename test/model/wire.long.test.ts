/**
 * What the wire's encodings do to answers: the default model in 3 spans, so with 2 boundaries, over texts of several kinds; f16 and
 * int8 rows against f32 rows at every position. Prints the table of docs/benchmarks/wire-5.md. Alone:
 * TABSWARM_LONG=1 npx vitest run --project model test/model/wire.long.test.ts
 */

import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTensorLoader, createTokenizer, encodePrompt, type Span } from '../../src/model/index.ts'
import { nodeSha256, resolveModel } from '../../src/node/index.ts'
import { type RowEncoding, rowBytes } from '../../src/protocol/index.ts'
import type { Engine } from '../../src/worker/index.ts'
import { cutSpans, loadRequest } from '../support/engineRuns.ts'
import { bestId, logProbability, openSlot, runGoldenPass } from '../support/goldenSuite.ts'
import { createTestSimdEngine } from '../support/simdEngine.ts'
import { readReferenceCases } from '../support/smollm2.ts'
import type { TestModel } from '../support/tinyModels.ts'

const TEXT_TOKENS = 448
const CHUNK_ROWS = 64
const SPAN_COUNT = 3
const POSITIONS_MIN = 2_000
const AGREEMENT_MIN = 0.99

/** From the repository's root; the languages of the tokenizer's test texts are many. */
const TEXTS = {
  'English, technical': 'docs/ARCHITECTURE.md',
  'English, for readers': 'README.md',
  'English, legal': 'LICENSE',
  TypeScript: 'src/protocol/frameCodec.ts',
  WGSL: 'shaders/attention.wgsl',
  'many scripts': 'test/data/tokenizer/texts.inp',
} as const
const CONVERSATIONS = 'conversations'

interface Movement {
  positions: number
  agreeing: number
  /** Of the log-probability of the text's next token. */
  largest: number
  sum: number
}

let model: TestModel
let engine: Engine
let spans: readonly Span[]
const texts: { readonly kind: string; readonly ids: readonly number[] }[] = []

beforeAll(async () => {
  const { hashedManifest, source, gguf } = await resolveModel('default')
  model = { manifest: hashedManifest.manifest, loadTensor: createTensorLoader({ source, sha256: nodeSha256 }) }
  const tokenizer = createTokenizer(gguf.metadata)
  for (const [kind, file] of Object.entries(TEXTS)) {
    const text = await readFile(new URL(`../../${file}`, import.meta.url), 'utf8')
    texts.push({ kind, ids: encodePrompt(tokenizer, text).slice(0, TEXT_TOKENS) })
  }
  for (const { promptTokenIds, completionTokenIds } of await readReferenceCases())
    if (promptTokenIds.length < TEXT_TOKENS) texts.push({ kind: CONVERSATIONS, ids: [...promptTokenIds, ...completionTokenIds] })
  engine = await createTestSimdEngine(2)
  const { layerCount } = model.manifest.config
  spans = cutSpans(layerCount, SPAN_COUNT)
  await engine.load(loadRequest(model, { firstLayer: 0, endLayer: layerCount }, { kvPositions: SPAN_COUNT * TEXT_TOKENS }))
})
afterAll(() => engine.dispose())

/** Of each position: the best token, and the log-probability of the token that follows. */
async function readText(ids: readonly number[], encoding: RowEncoding) {
  const slots = spans.map((span) => openSlot(engine, span, TEXT_TOKENS))
  const found: { best: number; nextLogProbability: number }[] = []
  for (let at = 0; at < ids.length; at += CHUNK_ROWS) {
    const part = ids.slice(at, at + CHUNK_ROWS)
    const pass = { session: { slots }, kind: 'prompt', ids: part, resultCount: part.length } as const
    const [rows = []] = await runGoldenPass(model, engine, spans, encoding, [pass])
    for (const [index, logits] of rows.entries())
      found.push({ best: bestId(logits), nextLogProbability: logProbability(logits, ids[at + index + 1] ?? bestId(logits)) })
  }
  for (const slot of slots) engine.close(slot)
  return found
}

function add(to: Movement, exact: Awaited<ReturnType<typeof readText>>, other: Awaited<ReturnType<typeof readText>>): void {
  for (const [position, { best, nextLogProbability }] of exact.entries()) {
    const moved = Math.abs((other[position]?.nextLogProbability ?? Number.NaN) - nextLogProbability)
    to.positions++
    if (other[position]?.best === best) to.agreeing++
    to.largest = Math.max(to.largest, moved)
    to.sum += moved
  }
}

describe('SmolLM2-135M-Instruct over two boundaries', () => {
  it('[F16] int8 rows give the best token of f32 rows at 99 % of the positions', { timeout: 1_800_000 }, async () => {
    const encodings = ['f16e', 'i8b'] as const
    const fresh = (): Movement => ({ positions: 0, agreeing: 0, largest: 0, sum: 0 })
    const kinds = new Map<string, Record<(typeof encodings)[number], Movement>>()
    const total = { f16e: fresh(), i8b: fresh() }
    for (const { kind, ids } of texts) {
      const exact = await readText(ids, 'f32')
      const own = kinds.get(kind) ?? { f16e: fresh(), i8b: fresh() }
      kinds.set(kind, own)
      for (const encoding of encodings) {
        const other = await readText(ids, encoding)
        for (const movement of [own[encoding], total[encoding]]) add(movement, exact, other)
      }
    }
    const { width } = model.manifest.config
    const line = (kind: string, encoding: (typeof encodings)[number], { positions, agreeing, largest, sum }: Movement) => ({
      text: kind,
      rows: encoding,
      'bytes a row': rowBytes(encoding, width),
      positions,
      'top-1 as with f32, %': ((100 * agreeing) / positions).toFixed(2),
      'log-prob moved, max': largest.toFixed(4),
      mean: (sum / positions).toFixed(5),
    })
    console.table(
      [...kinds, ['all', total] as const].flatMap(([kind, movements]) =>
        encodings.map((encoding) => line(kind, encoding, movements[encoding])),
      ),
    )
    expect(total.i8b.positions).toBeGreaterThanOrEqual(POSITIONS_MIN)
    expect(total.i8b.agreeing / total.i8b.positions).toBeGreaterThanOrEqual(AGREEMENT_MIN)
    // Control: int8 rows really lose something, and f16 rows less.
    expect(total.i8b.sum).toBeGreaterThan(total.f16e.sum)
    expect(total.f16e.sum).toBeGreaterThan(0)
  })
})
