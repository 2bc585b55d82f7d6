/**
 * Span program: every dispatch of a loaded span, bound once at load. `encodeLayers` writes one run's layers into a pass. Layers:
 * layerProgram.ts.
 */

import { candidates, type Dispatch, embedding, packRows, rmsNorm, softCap, unpackRows, type WorkBinding } from '../../kernels/index.ts'
import { architectureTraits } from '../../model/index.ts'
import type { RowEncoding } from '../../protocol/index.ts'
import { buildLayer } from './layerProgram.ts'
import { wholeVec4s } from './memory.ts'
import type { ProgramRequest, RunExtent } from './program.ts'
import { buildMatvec } from './projection.ts'

type Pass = GPUComputePassEncoder

export interface SpanProgram {
  /** Compile what is not needed at once; the same variant again costs nothing. */
  readonly laterVariants: readonly (() => Promise<unknown>)[]
  /** Token ids of the work's rows into the residual. */
  embed(pass: Pass, rows: number, work: WorkBinding): void
  /** Rows of the input buffer into the residual. */
  unpack(pass: Pass, encoding: RowEncoding, rows: number, work: WorkBinding): void
  encodeLayers(pass: Pass, run: RunExtent): void
  /** Dispatches of the last `encodeLayers`. */
  readonly layerDispatches: number
  /** Rows of the residual into the output buffer. */
  pack(pass: Pass, encoding: RowEncoding, rows: number, work: WorkBinding): void
  /** Final norm and head of the work's selected rows: logits of rows 0 … rows − 1. */
  head(pass: Pass, rows: number, work: WorkBinding): void
  candidates(pass: Pass, work: WorkBinding): void
  /** One row of logits as it is into the output buffer. */
  packLogits(pass: Pass, work: WorkBinding): void
}

export async function buildProgram(parts: Omit<ProgramRequest, 'laterVariants'>): Promise<SpanProgram> {
  const request: ProgramRequest = { ...parts, laterVariants: [] }
  const { kernels, span, plan } = request
  const [layers, embed, head, { unpack, pack }] = await Promise.all([
    Promise.all(plan.layers.map((layer, index) => buildLayer(request, layer, index))),
    buildEmbedding(request),
    buildHead(request),
    buildRows(request),
  ])
  let layerDispatches = 0
  return {
    laterVariants: request.laterVariants,
    embed(pass, rows, work) {
      for (const dispatch of embed) dispatch(pass, { rows }, work)
    },
    unpack: (pass, encoding, rows, work) => unpack[encoding](pass, { rows }, work),
    get layerDispatches() {
      return layerDispatches
    },
    encodeLayers(pass, run) {
      const before = kernels.dispatchCount
      for (let layer = run.span.firstLayer; layer < run.span.endLayer; layer++) {
        for (const step of layers[layer - span.firstLayer] ?? []) step(pass, run)
      }
      layerDispatches = kernels.dispatchCount - before
    },
    pack: (pass, encoding, rows, work) => pack[encoding](pass, { rows }, work),
    head(pass, rows, work) {
      head?.norm(pass, { rows }, work)
      head?.multiply(pass, rows)
      head?.softCap?.(pass, { rows }, null)
    },
    candidates: (pass, work) => head?.candidates(pass, undefined, work),
    packLogits: (pass, work) => head?.packLogits(pass, { rows: 1 }, work),
  }
}

async function buildEmbedding({ kernels, config, plan, weights, scratch }: ProgramRequest): Promise<Dispatch<{ readonly rows: number }>[]> {
  const scale = architectureTraits(config.architecture).scaledEmbedding ? Math.sqrt(config.width) : 1
  return Promise.all(
    (plan.embedding?.parts ?? []).map((part) =>
      kernels.prepare(
        embedding,
        { type: part.type },
        { type: part.type, width: config.width, idFirst: part.outputFirst, idCount: part.outputs, scale },
        [weights.part(part), scratch.residual],
      ),
    ),
  )
}

async function buildHead(request: ProgramRequest) {
  const { kernels, config, plan, weights, scratch } = request
  if (plan.head === null || plan.outputNorm === null) return null
  const { vocabularySize: vocabulary, width, logitSoftCap: cap } = config
  const stride = wholeVec4s(vocabulary)
  return {
    norm: await kernels.prepare(rmsNorm, { gather: true, add: false }, { width, epsilon: config.rmsEpsilon }, [
      scratch.residual,
      weights.vector(plan.outputNorm),
      scratch.headHidden,
    ]),
    multiply: await buildMatvec(request, plan.head, { x: scratch.headHidden, y: scratch.logits, yStride: stride }),
    softCap: cap === null ? null : await kernels.prepare(softCap, undefined, { width: vocabulary, stride, cap }, [scratch.logits]),
    candidates: await kernels.prepare(candidates, undefined, { vocabulary, stride }, [scratch.logits, scratch.output, scratch.flags]),
    packLogits: await kernels.prepare(packRows, { encoding: 'f32' }, { width: vocabulary, xStride: stride }, [
      scratch.logits,
      scratch.output,
      scratch.flags,
    ]),
  }
}

async function buildRows({ kernels, config, scratch }: ProgramRequest) {
  const shape = { width: config.width, xStride: config.width }
  const unpack = (encoding: RowEncoding) => kernels.prepare(unpackRows, { encoding }, shape, [scratch.input, scratch.residual])
  const pack = (encoding: RowEncoding) => kernels.prepare(packRows, { encoding }, shape, [scratch.residual, scratch.output, scratch.flags])
  const inEach = async <Kernel>(prepare: (encoding: RowEncoding) => Promise<Kernel>): Promise<Record<RowEncoding, Kernel>> => {
    const [f32, f16e, i8b] = await Promise.all([prepare('f32'), prepare('f16e'), prepare('i8b')])
    return { f32, f16e, i8b }
  }
  return { unpack: await inEach(unpack), pack: await inEach(pack) }
}
