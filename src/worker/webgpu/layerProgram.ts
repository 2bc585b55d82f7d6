/**
 * The steps of one layer, built from what its architecture's description says: no architecture is asked for its name, and none
 * has a forward pass of its own. Attention first, then the feed-forward; each reads the residual and adds to it.
 */

import { bindAttention, expertCombine, expertMatvec, gatedActivation, rmsNorm, ropeKv, routeExperts } from '../../kernels/index.ts'
import { architectureTraits } from '../../model/index.ts'
import { required } from '../../shared/index.ts'
import type { LayerKv } from './buffers.ts'
import { attentionShape, wholeVec4s } from './memory.ts'
import { type ProgramRequest, rowsStep, type Step } from './program.ts'
import { buildGatedProjection, buildNorm, buildNormedProjection, buildProjection } from './projection.ts'
import { ropeTableIndex, ropeTables } from './ropeTables.ts'
import type { ExpertPartPlan, FeedForwardPlan, LayerPlan, ProjectionPlan, VectorPlan } from './weightPlan.ts'

/** `index` counts the span's layers. */
export async function buildLayer(request: ProgramRequest, plan: LayerPlan, index: number): Promise<readonly Step[]> {
  const { scratch } = request
  const kv = required(request.kv[index], `KV buffers of layer ${index}`)
  // All at once, so that the driver compiles side by side.
  const steps = await Promise.all([
    buildNormedProjection(request, plan.qkv, plan.attentionNorm, scratch.qkv),
    buildRopeKv(request, plan, kv, index),
    buildAttention(request, kv, index),
    buildOutput(request, plan.attentionOutput, scratch.attention, plan.attentionPostNorm),
    buildFeedForward(request, plan),
  ])
  return steps.flat()
}

/** A projection of `x` that is added to the residual, normed before where the architecture says so. */
async function buildOutput(request: ProgramRequest, plan: ProjectionPlan, x: GPUBuffer, postNorm: VectorPlan | null): Promise<Step[]> {
  const { kernels, config, scratch, weights } = request
  if (postNorm === null) return [await buildProjection(request, plan, { x, y: scratch.residual, accumulate: true })]
  // `hidden` has been read by the projection that came first and is free.
  const shape = { width: config.width, epsilon: config.rmsEpsilon }
  const buffers = [scratch.hidden, weights.vector(postNorm), scratch.residual]
  return [
    await buildProjection(request, plan, { x, y: scratch.hidden }),
    rowsStep(await kernels.prepare(rmsNorm, { gather: false, add: true }, shape, buffers)),
  ]
}

async function buildRopeKv(request: ProgramRequest, plan: LayerPlan, kv: LayerKv, index: number): Promise<Step> {
  const { kernels, config, span, scratch, weights, kvType } = request
  const { ropePairs, qkvBias, headNorms } = architectureTraits(config.architecture)
  const { headSize } = config
  const shape = {
    heads: config.headCount,
    kvHeads: config.kvHeadCount,
    headSize,
    ropeDimensions: config.ropeDimensions,
    angleTable: ropeTableIndex(config, span.firstLayer + index),
    angleTables: ropeTables(config).length,
    epsilon: config.rmsEpsilon,
  }
  const variant = { kvType, headSize, pairs: ropePairs, biases: qkvBias, headNorms }
  // A variant without vectors reads nothing of the last buffer.
  const vectors = weights.vector(plan.attentionVectors ?? plan.attentionNorm)
  return rowsStep(await kernels.prepare(ropeKv, variant, shape, [scratch.qkv, kv.keys, kv.values, vectors]))
}

async function buildAttention(request: ProgramRequest, { keys, values }: LayerKv, index: number): Promise<Step> {
  const { kernels, config, span, kvType, scratch, tuning } = request
  const shape = attentionShape(config, request.kvPositions, span.firstLayer + index)
  const buffers = { qkv: scratch.qkv, keys, values, partials: scratch.partials, y: scratch.attention }
  const bound = await bindAttention(kernels, { shape, kvType, promptTile: tuning.promptTile }, buffers)
  request.laterVariants.push(() => bound.compileRest())
  return (pass, { kind, rows, positionLast, work, pieces }) => {
    if (kind === 'decode') bound.decode(pass, { rows, positionLast }, work)
    else for (const piece of pieces) bound.prompt(pass, { rows: piece.rows }, piece.work)
  }
}

async function buildFeedForward(request: ProgramRequest, plan: LayerPlan): Promise<Step[]> {
  const { feedForward, feedForwardNorm, feedForwardPostNorm } = plan
  if (feedForward.kind === 'experts') return [await buildNorm(request, feedForwardNorm), ...(await buildExperts(request, feedForward))]
  const { kernels, config, scratch } = request
  const { gateUp, inTurn, down } = feedForward
  const { activation } = architectureTraits(config.architecture)
  const output = await buildOutput(request, down, scratch.activated, feedForwardPostNorm)
  if (inTurn) return [await buildGatedProjection(request, gateUp, feedForwardNorm, activation), ...output]
  const shape = { width: config.feedForwardWidth }
  const gated = await kernels.prepare(gatedActivation, { activation, panels: false }, shape, [scratch.gateUp, scratch.activated])
  return [await buildNormedProjection(request, gateUp, feedForwardNorm, scratch.gateUp), rowsStep(gated), ...output]
}

/** Router, choice, the chosen experts' feed-forwards, their weighted sum; `hidden` holds the normed residual. */
async function buildExperts(request: ProgramRequest, plan: FeedForwardPlan & { readonly kind: 'experts' }): Promise<Step[]> {
  const { kernels, config, scratch } = request
  const { count: experts, used } = required(config.experts, 'the experts of a mixture of experts')
  const { activation } = architectureTraits(config.architecture)
  const { routerLogits, routes, hidden, gateUp, activated, expertOutputs, residual } = scratch
  const stride = wholeVec4s(experts)
  const gated = await kernels.prepare(gatedActivation, { activation, panels: false }, { width: config.feedForwardWidth }, [
    gateUp,
    activated,
  ])
  return [
    await buildProjection(request, plan.router, { x: hidden, y: routerLogits, yStride: stride }),
    rowsStep(await kernels.prepare(routeExperts, { used }, { experts, used, stride }, [routerLogits, routes])),
    await buildExpertProjection(request, plan.gateUp, hidden, gateUp, false),
    (pass, { rows }) => gated(pass, { rows: rows * used }, null),
    await buildExpertProjection(request, plan.down, activated, expertOutputs, true),
    rowsStep(await kernels.prepare(expertCombine, undefined, { width: config.width, used }, [routes, expertOutputs, residual])),
  ]
}

async function buildExpertProjection(
  { kernels, config, weights, scratch }: ProgramRequest,
  plan: ProjectionPlan<ExpertPartPlan>,
  x: GPUBuffer,
  y: GPUBuffer,
  slots: boolean,
): Promise<Step> {
  const used = config.experts?.used ?? 0
  const parts = await Promise.all(
    plan.parts.map((part) => {
      const { type, columns, outputs, outputFirst: yOffset, expertFirst, expertCount } = part
      const shape = { type, columns, outputs, yStride: plan.outputs, yOffset, expertFirst, expertCount }
      return kernels.prepare(expertMatvec, { type, slots }, shape, [weights.part(part), scratch.routes, x, y])
    }),
  )
  return (pass, { rows }) => {
    for (const part of parts) part(pass, { rows, used }, null)
  }
}
