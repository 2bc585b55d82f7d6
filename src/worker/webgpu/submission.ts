/**
 * Submission: one command buffer, one upload of what it works on, one readback. A pass is one submission unless it has more
 * rows or results than the scratch buffers hold; then it is several, one after the other, with the same bits.
 */

import {
  candidatesWords,
  ROW_WORDS,
  readCandidates,
  readNamed,
  WORK_STRIDE_BYTES,
  type Work,
  type WorkBinding,
  writeRopeAngles,
  writeWork,
} from '../../kernels/index.ts'
import type { ModelConfig } from '../../model/index.ts'
import { rowBytes } from '../../protocol/index.ts'
import { assert } from '../../shared/index.ts'
import { namedTokens } from '../batch.ts'
import type { Segment, SegmentOutput } from '../engine.ts'
import { EngineError } from '../errors.ts'
import type { KvSlot } from '../kvBlocks.ts'
import type { Scratch } from './buffers.ts'
import { SUBMISSION_ROWS, SUBMISSION_WORKS } from './memory.ts'
import type { Piece, ResultRow, Run } from './passPlan.ts'
import type { SpanProgram } from './spanProgram.ts'

/** What a submission computes with; one for each loaded span. */
export interface SubmissionTarget {
  readonly device: GPUDevice
  readonly config: ModelConfig
  readonly scratch: Scratch
  readonly workGroup: GPUBindGroup
  readonly program: SpanProgram
  readonly staging: Staging
  /** Of each table, see ropeTables.ts. */
  readonly ropeFrequencies: readonly Float64Array[]
}

/** What a submission uploads, in main memory; made once, since one submission is filled at a time. */
export interface Staging {
  readonly works: Uint32Array<ArrayBuffer>
  readonly rows: Uint32Array<ArrayBuffer>
  readonly tables: Uint32Array<ArrayBuffer>
  readonly angles: Float32Array<ArrayBuffer>
}

export function createStaging({ works, rows, tables, angles }: Scratch): Staging {
  return {
    works: new Uint32Array(works.size / 4),
    rows: new Uint32Array(rows.size / 4),
    tables: new Uint32Array(tables.size / 4),
    angles: new Float32Array(angles.size / 4),
  }
}

/** A batch on its way: its segments, their slots, and the outputs that submissions fill. */
export interface Batch {
  readonly segments: readonly Segment[]
  readonly slots: readonly KvSlot[]
  readonly outputs: readonly SegmentOutput[]
}

/** Reads its part of the mapped output. */
type Reader = (words: Uint32Array) => void

export class Submission {
  readonly #target: SubmissionTarget
  readonly #batch: Batch
  readonly #encoder: GPUCommandEncoder
  readonly #pass: GPUComputePassEncoder
  readonly #tableOf = new Map<number, number>()
  readonly #readers: Reader[] = []
  #workCount = 0
  #rowCount = 0
  #tableWords = 0
  #inputBytes = 0
  #outputWords = 0

  constructor(target: SubmissionTarget, batch: Batch) {
    this.#target = target
    this.#batch = batch
    this.#encoder = target.device.createCommandEncoder()
    this.#encoder.clearBuffer(target.scratch.flags)
    this.#pass = this.#encoder.beginComputePass()
  }

  /** Layers of one run, or false when this submission has no room left for it. */
  addRun(run: Run): boolean {
    const inputBytes = run.pieces.reduce((sum, piece) => sum + this.#inputBytesOf(piece), 0)
    const { input } = this.#target.scratch
    if (this.#rowCount + run.rowCount > SUBMISSION_ROWS || !this.#hasWorks(1 + run.pieces.length)) return false
    if (this.#inputBytes + inputBytes > input.size) return false
    const { program } = this.#target
    const rowBase = this.#rowCount
    let positionLast = 0
    const pieces = run.pieces.map((piece) => {
      const ioWord = this.#inputBytes / 4
      positionLast = Math.max(positionLast, this.#addRows(piece))
      const work = this.#addWork({ rowBase, rowFirst: piece.runRow, rowCount: piece.rowCount, ioWord, topK: 0, selected: [] })
      this.#encodeInput(piece, work)
      return { rows: piece.rowCount, work }
    })
    const work = this.#addWork({ rowBase, rowFirst: 0, rowCount: run.rowCount, ioWord: 0, topK: 0, selected: [] })
    program.encodeLayers(this.#pass, { kind: run.kind, span: run.span, rows: run.rowCount, positionLast, work, pieces })
    return true
  }

  /** Packs one piece's rows out of the residual, or false when there is no room. */
  addRowsOutput(piece: Piece): boolean {
    const segment = this.#segment(piece)
    const output = this.#batch.outputs[piece.segmentIndex]
    assert(segment.output.kind === 'rows' && output?.kind === 'rows', `segment ${piece.segmentIndex} has rows as output`)
    const { encoding } = segment.output
    const bytes = piece.rowCount * rowBytes(encoding, this.#target.config.width)
    if (!this.#hasWorks(1) || !this.#hasOutput(bytes / 4)) return false
    const ioWord = this.#takeOutput(bytes / 4)
    const work = this.#addWork({ rowBase: 0, rowFirst: piece.runRow, rowCount: piece.rowCount, ioWord, topK: 0, selected: [] })
    this.#target.program.pack(this.#pass, encoding, piece.rowCount, work)
    const at = (piece.segmentRow * bytes) / piece.rowCount
    this.#readers.push((words) => output.bytes.set(new Uint8Array(words.buffer, words.byteOffset + 4 * ioWord, bytes), at))
    return true
  }

  /** Head and results of up to 8 rows of the run that is still in the residual, or false when there is no room. */
  addHeadGroup(group: readonly ResultRow[]): boolean {
    const words = group.map((row) => this.#resultWords(row))
    if (!this.#hasWorks(1 + group.length) || !this.#hasOutput(words.reduce((sum, count) => sum + count, 0))) return false
    const selected = group.map((row) => row.runRow)
    const work = this.#addWork({ rowBase: 0, rowFirst: 0, rowCount: group.length, ioWord: 0, topK: 0, selected })
    this.#target.program.head(this.#pass, group.length, work)
    for (const [index, row] of group.entries()) this.#addResult(index, row, words[index] ?? 0)
    return true
  }

  /** Uploads, computes, reads; resolves to the number of bytes read. Rejects with an EngineError `not-finite`, and with what the device says when it is lost. */
  async finish(): Promise<number> {
    const { device, scratch } = this.#target
    this.#pass.end()
    const outputBytes = 4 * this.#outputWords
    this.#encoder.copyBufferToBuffer(scratch.flags, 0, scratch.readback, 0, scratch.flags.size)
    if (outputBytes > 0) this.#encoder.copyBufferToBuffer(scratch.output, 0, scratch.readback, scratch.flags.size, outputBytes)
    this.#upload()
    device.queue.submit([this.#encoder.finish()])
    const size = scratch.flags.size + outputBytes
    await scratch.readback.mapAsync(GPUMapMode.READ, 0, size)
    try {
      const mapped = new Uint32Array(scratch.readback.getMappedRange(0, size))
      if (mapped[0] !== 0) throw new EngineError('not-finite', notFiniteMessage)
      const words = mapped.subarray(scratch.flags.size / 4)
      for (const read of this.#readers) read(words)
      return size
    } finally {
      scratch.readback.unmap()
    }
  }

  #upload(): void {
    const { queue } = this.#target.device
    const { scratch, staging } = this.#target
    queue.writeBuffer(scratch.works, 0, staging.works, 0, (this.#workCount * WORK_STRIDE_BYTES) / 4)
    if (this.#rowCount === 0) return
    queue.writeBuffer(scratch.rows, 0, staging.rows, 0, this.#rowCount * ROW_WORDS)
    queue.writeBuffer(scratch.tables, 0, staging.tables, 0, this.#tableWords)
    queue.writeBuffer(scratch.angles, 0, staging.angles, 0, this.#rowCount * this.#rowAngles)
  }

  /** Words of a row's angles. */
  get #rowAngles(): number {
    return this.#target.ropeFrequencies.length * this.#target.config.ropeDimensions
  }

  /** Metadata of a piece's rows; returns its last position. */
  #addRows(piece: Piece): number {
    const segment = this.#segment(piece)
    const table = this.#addTable(piece.segmentIndex)
    const { ropeFrequencies, config, staging } = this.#target
    const first = segment.firstPosition + piece.segmentRow
    for (let row = 0; row < piece.rowCount; row++) {
      const token = segment.input.kind === 'tokens' ? (segment.input.ids[piece.segmentRow + row] ?? 0) : 0
      staging.rows.set([first + row, table, token, 0], this.#rowCount * ROW_WORDS)
      for (const [index, frequencies] of ropeFrequencies.entries()) {
        const at = this.#rowCount * this.#rowAngles + index * config.ropeDimensions
        writeRopeAngles(staging.angles, at, first + row, frequencies, config.ropeMagnitude)
      }
      this.#rowCount++
    }
    return first + piece.rowCount - 1
  }

  /** Where the slot's block table begins among the uploaded tables. */
  #addTable(segmentIndex: number): number {
    const known = this.#tableOf.get(segmentIndex)
    if (known !== undefined) return known
    const at = this.#tableWords
    const blocks = this.#batch.slots[segmentIndex]?.blocks ?? new Uint32Array()
    this.#target.staging.tables.set(blocks, at)
    this.#tableOf.set(segmentIndex, at)
    this.#tableWords += blocks.length
    return at
  }

  #inputBytesOf(piece: Piece): number {
    const { input } = this.#segment(piece)
    return input.kind === 'tokens' ? 0 : piece.rowCount * rowBytes(input.encoding, this.#target.config.width)
  }

  #encodeInput(piece: Piece, work: WorkBinding): void {
    const { input } = this.#segment(piece)
    const { program, device, scratch } = this.#target
    if (input.kind === 'tokens') {
      program.embed(this.#pass, piece.rowCount, work)
      return
    }
    const bytes = this.#inputBytesOf(piece)
    const from = (piece.segmentRow * bytes) / piece.rowCount
    // A copy: `bytes` of a stranger may lie anywhere in a larger buffer.
    device.queue.writeBuffer(scratch.input, this.#inputBytes, input.bytes.slice(from, from + bytes))
    this.#inputBytes += bytes
    program.unpack(this.#pass, input.encoding, piece.rowCount, work)
  }

  #resultWords(row: ResultRow): number {
    const output = this.#batch.segments[row.segmentIndex]?.output
    return output?.kind === 'candidates' ? candidatesWords(output.topK, this.#named(row).length) : this.#target.config.vocabularySize
  }

  #named({ segmentIndex, resultIndex }: ResultRow): Uint32Array {
    const segment = this.#batch.segments[segmentIndex]
    return (segment === undefined ? null : namedTokens(segment, resultIndex)) ?? NO_TOKENS
  }

  #addResult(logitsRow: number, row: ResultRow, wordCount: number): void {
    const wanted = this.#batch.segments[row.segmentIndex]?.output
    const output = this.#batch.outputs[row.segmentIndex]
    const ioWord = this.#takeOutput(wordCount)
    const topK = wanted?.kind === 'candidates' ? wanted.topK : 0
    const ids = this.#named(row)
    const work = this.#addWork({ rowBase: 0, rowFirst: logitsRow, rowCount: 1, ioWord, topK, selected: [...ids], named: ids.length })
    if (output?.kind === 'candidates') {
      this.#target.program.candidates(this.#pass, work)
      const slot = output.positions[row.resultIndex]
      this.#readers.push((words) => {
        const own = words.subarray(ioWord, ioWord + wordCount)
        const named = ids.length === 0 ? {} : { named: { ids, logits: readNamed(own, topK) } }
        if (slot !== undefined) Object.assign(slot, readCandidates(own, topK), named)
      })
    } else if (output?.kind === 'logits') {
      this.#target.program.packLogits(this.#pass, work)
      this.#readers.push((words) => {
        output.values.set(new Float32Array(words.buffer, words.byteOffset + 4 * ioWord, wordCount), row.resultIndex * wordCount)
      })
    }
  }

  #segment(piece: Piece): Segment {
    const segment = this.#batch.segments[piece.segmentIndex]
    assert(segment !== undefined, `segment ${piece.segmentIndex} of ${this.#batch.segments.length}`)
    return segment
  }

  #hasWorks(count: number): boolean {
    return this.#workCount + count <= SUBMISSION_WORKS
  }

  #hasOutput(words: number): boolean {
    return 4 * (this.#outputWords + words) <= this.#target.scratch.output.size
  }

  #takeOutput(words: number): number {
    const at = this.#outputWords
    this.#outputWords += words
    return at
  }

  #addWork(work: Work): WorkBinding {
    writeWork(this.#target.staging.works, this.#workCount, work)
    return { group: this.#target.workGroup, index: this.#workCount++ }
  }
}

const NO_TOKENS = new Uint32Array(0)

const notFiniteMessage =
  'the outputs hold NaN or infinity: the input rows, the weights or this device are broken; nothing of this pass was kept'
