/**
 * The attention of one tile of rows over KV blocks, as a graph without weights: one for all layers. A block's products have one shape
 * whatever the context's length, and blocks are summed in the order of their positions, so that a row's bits depend on its own past
 * alone. Positions that a row does not see give exact zeros, whatever lies there.
 */

import { attentionWidths, type ModelConfig } from '../../model/index.ts'
import type { OnnxModel, OnnxNode } from '../../onnx/index.ts'
import { KV_BLOCK_POSITIONS } from '../kvBlocks.ts'

/** Below every score; finite, so that a score minus it is too. */
const UNSEEN = -3e38

/**
 * Inputs, with M = the tile's rows × the query heads of a KV head:
 * - `query` [1, KV heads, M, head size], multiplied by the attention scale already
 * - `keys`, `values` [blocks, KV heads, KV_BLOCK_POSITIONS, head size]
 * - `key_position` [blocks, 1, 1, KV_BLOCK_POSITIONS]; `first_seen`, `last_seen` [1, 1, M, 1]: positions, as f32
 * Output: `attention` [1, KV heads, M, head size].
 */
export function attentionGraph(config: ModelConfig): OnnxModel {
  const { attentionSoftCap } = config
  const scores: OnnxNode[] =
    attentionSoftCap === null
      ? [fused('score')]
      : [
          fused('raw'),
          node('Mul', ['raw', 'cap_inverse'], 'shrunk'),
          node('Tanh', ['shrunk'], 'bent'),
          node('Mul', ['bent', 'cap'], 'score'),
        ]
  const constant = (name: string, value: number) => ({ name, type: 'f32' as const, dims: [], data: Float32Array.of(value) })
  const axes = (name: string, ...values: bigint[]) => ({
    name,
    type: 'i64' as const,
    dims: [values.length],
    data: BigInt64Array.from(values),
  })
  return {
    nodes: [
      ...scores,
      node('LessOrEqual', ['key_position', 'last_seen'], 'not_after'),
      node('GreaterOrEqual', ['key_position', 'first_seen'], 'not_before'),
      node('And', ['not_after', 'not_before'], 'seen'),
      node('Where', ['seen', 'score', 'unseen'], 'masked'),
      node('ReduceMax', ['masked'], 'maximum', { axes: { ints: [0, 3] } }),
      node('Sub', ['masked', 'maximum'], 'exponent'),
      node('Exp', ['exponent'], 'power'),
      node('Where', ['seen', 'power', 'zero'], 'weight'),
      node('ReduceSum', ['weight', 'position_axis'], 'block_total'),
      node('ReduceSum', ['block_total', 'block_axis'], 'total'),
      node('MatMul', ['weight', 'values'], 'block_sum'),
      node('ReduceSum', ['block_sum', 'block_axis'], 'sum'),
      node('Div', ['sum', 'total'], 'attention'),
    ],
    initializers: [
      constant('unseen', UNSEEN),
      constant('zero', 0),
      axes('position_axis', 3n),
      axes('block_axis', 0n),
      ...(attentionSoftCap === null ? [] : [constant('cap', attentionSoftCap), constant('cap_inverse', 1 / attentionSoftCap)]),
    ],
    ...ports(config),
  }
}

function ports({ kvHeadCount, headSize }: ModelConfig): Pick<OnnxModel, 'inputs' | 'outputs'> {
  const value = (name: string, ...dims: (number | string)[]) => ({ name, type: 'f32' as const, dims })
  return {
    inputs: [
      value('query', 1, kvHeadCount, 'm', headSize),
      value('keys', 'blocks', kvHeadCount, KV_BLOCK_POSITIONS, headSize),
      value('values', 'blocks', kvHeadCount, KV_BLOCK_POSITIONS, headSize),
      value('key_position', 'blocks', 1, 1, KV_BLOCK_POSITIONS),
      value('first_seen', 1, 1, 'm', 1),
      value('last_seen', 1, 1, 'm', 1),
    ],
    outputs: [value('attention', 1, kvHeadCount, 'm', headSize)],
  }
}

/** Query heads that share a KV head. */
export function headsPerGroup(config: ModelConfig): number {
  const { query, kv } = attentionWidths(config)
  return query / kv
}

function fused(output: string): OnnxNode {
  return node('FusedMatMul', ['query', 'keys'], output, { transB: { int: 1 } }, 'com.microsoft')
}

function node(opType: string, inputs: readonly string[], output: string, attributes: OnnxNode['attributes'] = {}, domain = ''): OnnxNode {
  return { opType, domain, inputs, outputs: [output], attributes }
}
