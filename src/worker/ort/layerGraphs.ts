/**
 * The graphs of a layer and of the head, from the architecture's description: `enter` is the norm with Q, K and V; `leave` is the
 * attention's output, the residual and the feed-forward. Between the two lies the attention over the paged cache. Matrices that
 * multiply the same input are one. Every matrix is a constant of its graph: ONNX Runtime packs it, and a packed matrix gives each
 * row of its input the same bits whatever rows are beside it (layerGraphs.test.ts).
 */

import { type ArchitectureTraits, architectureTraits, attentionWidths, type ModelConfig } from '../../model/index.ts'
import type { OnnxNode } from '../../onnx/index.ts'
import type { GraphDescription, GraphWeight } from './runtime.ts'

/** Rows [from, from + count) of a tensor of the file. */
export interface TensorRows {
  readonly tensor: string
  readonly from: number
  readonly count: number
}

/** A weight and the rows of the file that it consists of, one behind the other. */
export interface PlannedWeight extends GraphWeight {
  readonly sources: readonly TensorRows[]
}

export interface PlannedGraph extends GraphDescription {
  readonly name: string
  readonly weights: readonly PlannedWeight[]
}

/** Elements of what `enter` gives for one row: queries, keys, values. */
export function qkvWidth(config: ModelConfig): number {
  const { query, kv } = attentionWidths(config)
  return query + 2 * kv
}

/** x [rows, width] → qkv [rows, qkvWidth]: projected and biased; neither normed by head nor rotated yet. */
export function enterGraph(config: ModelConfig, layer: number): PlannedGraph {
  const { fusedQkv, qkvBias } = architectureTraits(config.architecture)
  const { query, kv } = attentionWidths(config)
  const graph = new GraphBuilder(config, `blk.${layer}.`)
  const rows = fusedQkv
    ? [['attn_qkv', query + 2 * kv] as const]
    : ([
        ['attn_q', query],
        ['attn_k', kv],
        ['attn_v', kv],
      ] as const)
  const matrix = graph.matrix('qkv_weight', config.width, ...rows.map(([name, count]) => graph.rows(`${name}.weight`, 0, count)))
  const bias = qkvBias ? graph.vector('qkv_bias', ...rows.map(([name, count]) => [`${name}.bias`, count] as const)) : null
  graph.project(graph.norm('x', 'attn_norm.weight'), matrix, bias, 'qkv')
  return graph.done(`enter ${layer}`, { x: config.width }, { qkv: qkvWidth(config) })
}

/**
 * x [rows, width] (the residual before the layer) and attention [rows, query width] → y [rows, width], the residual after it.
 * In a mixture of experts: → residual and normed [rows, width], router [rows, experts], for `expertGraph`.
 */
export function leaveGraph(config: ModelConfig, layer: number): PlannedGraph {
  const traits = architectureTraits(config.architecture)
  const { width, feedForwardWidth, experts } = config
  const { query } = attentionWidths(config)
  const graph = new GraphBuilder(config, `blk.${layer}.`)
  const output = graph.matrix('output_weight', query, graph.rows('attn_output.weight', 0, width))
  const attended = graph.project('attention', output)
  const residual = graph.add('x', traits.postNorms ? graph.norm(attended, 'post_attention_norm.weight') : attended, 'residual')
  const inputs = { x: width, attention: query }
  if (experts !== null) {
    const normed = graph.norm(residual, 'ffn_norm.weight', 'normed')
    graph.project(normed, graph.matrix('router_weight', width, graph.rows('ffn_gate_inp.weight', 0, experts.count)), null, 'router')
    return graph.done(`leave ${layer}`, inputs, { residual: width, normed: width, router: experts.count })
  }
  const gateUpRows = traits.fusedGateUp
    ? [graph.rows('ffn_up.weight', 0, 2 * feedForwardWidth)]
    : [graph.rows('ffn_gate.weight', 0, feedForwardWidth), graph.rows('ffn_up.weight', 0, feedForwardWidth)]
  const down = graph.rows('ffn_down.weight', 0, width)
  const fed = graph.feedForward(graph.norm(residual, 'ffn_norm.weight'), gateUpRows, down)
  graph.add(residual, traits.postNorms ? graph.norm(fed, 'post_ffw_norm.weight') : fed, 'y')
  return graph.done(`leave ${layer}`, inputs, { y: width })
}

/** One expert of a mixture: normed [rows, width] → y [rows, width], not weighted yet. */
export function expertGraph(config: ModelConfig, layer: number, expert: number): PlannedGraph {
  const { width, feedForwardWidth } = config
  const graph = new GraphBuilder(config, `blk.${layer}.`)
  const part = (name: string, count: number) => graph.rows(name, expert * count, count)
  const gateUp = [part('ffn_gate_exps.weight', feedForwardWidth), part('ffn_up_exps.weight', feedForwardWidth)]
  graph.feedForward('normed', gateUp, part('ffn_down_exps.weight', width), 'y')
  return graph.done(`expert ${layer}.${expert}`, { normed: width }, { y: width })
}

/** Outputs [from, from + count) of the head: x [rows, width], the last residual → logits [rows, count], not capped yet. */
export function headGraph(config: ModelConfig, matrix: string, from: number, count: number): PlannedGraph {
  const graph = new GraphBuilder(config, '')
  const normed = graph.norm('x', 'output_norm.weight')
  graph.project(normed, graph.matrix('head_weight', config.width, graph.rows(matrix, from, count)), null, 'logits')
  return graph.done(`head ${from}`, { x: config.width }, { logits: count })
}

class GraphBuilder {
  readonly #config: ModelConfig
  readonly #traits: ArchitectureTraits
  readonly #prefix: string
  readonly #nodes: OnnxNode[] = []
  readonly #weights: PlannedWeight[] = []
  #values = 0

  /** `prefix` is put before the names of tensors. */
  constructor(config: ModelConfig, prefix: string) {
    this.#config = config
    this.#traits = architectureTraits(config.architecture)
    this.#prefix = prefix
  }

  rows(tensor: string, from: number, count: number): TensorRows {
    return { tensor: this.#prefix + tensor, from, count }
  }

  /** [outputs, columns], as the file has it: rows are outputs. */
  matrix(name: string, columns: number, ...sources: readonly TensorRows[]): string {
    const outputs = sources.reduce((sum, { count }) => sum + count, 0)
    this.#weights.push({ name, dims: [outputs, columns], sources })
    return name
  }

  vector(name: string, ...parts: readonly (readonly [tensor: string, length: number])[]): string {
    const length = parts.reduce((sum, [, count]) => sum + count, 0)
    this.#weights.push({ name, dims: [length], sources: parts.map(([tensor]) => this.rows(tensor, 0, 1)) })
    return name
  }

  /** x / √(mean(x²) + ε) · weight over the last axis. */
  norm(x: string, tensor: string, output = this.#value()): string {
    const weight = this.vector(tensor, [tensor, this.#config.width])
    const attributes = { axis: { int: -1 }, epsilon: { float: this.#config.rmsEpsilon } }
    return this.#node('SimplifiedLayerNormalization', [x, weight], output, attributes)
  }

  /** x·Wᵀ + bias. */
  project(x: string, matrix: string, bias: string | null = null, output = this.#value()): string {
    return this.#node('Gemm', bias === null ? [x, matrix] : [x, matrix, bias], output, { transB: { int: 1 } })
  }

  add(a: string, b: string, output: string): string {
    return this.#node('Add', [a, b], output)
  }

  /** (activation(gate) · up)·downᵀ, where `gateUp` has the gate's outputs first. */
  feedForward(x: string, gateUp: readonly TensorRows[], down: TensorRows, output = this.#value()): string {
    const { width, feedForwardWidth } = this.#config
    const both = this.project(x, this.matrix('gate_up_weight', width, ...gateUp))
    const [gate, up] = [this.#value(), this.#value()]
    this.#nodes.push({ opType: 'Split', inputs: [both], outputs: [gate, up], attributes: { axis: { int: -1 } } })
    const activated = this.#node('Mul', [this.#activate(gate), up], this.#value())
    return this.project(activated, this.matrix('down_weight', feedForwardWidth, down), null, output)
  }

  done(name: string, inputs: Readonly<Record<string, number>>, outputs: Readonly<Record<string, number>>): PlannedGraph {
    const values = (widths: Readonly<Record<string, number>>) =>
      Object.entries(widths).map(([value, width]) => ({ name: value, type: 'f32' as const, dims: ['rows', width] }))
    return { name, nodes: this.#nodes, weights: this.#weights, inputs: values(inputs), outputs: values(outputs) }
  }

  #activate(gate: string): string {
    if (this.#traits.activation === 'silu') return this.#node('Mul', [gate, this.#node('Sigmoid', [gate], this.#value())], this.#value())
    return this.#node('FastGelu', [gate], this.#value(), {}, 'com.microsoft')
  }

  #node(opType: string, inputs: readonly string[], output: string, attributes: OnnxNode['attributes'] = {}, domain = ''): string {
    this.#nodes.push({ opType, domain, inputs, outputs: [output], attributes })
    return output
  }

  #value(): string {
    return `value_${this.#values++}`
  }
}
