/**
 * Logits of every prompt position to a file. Sits between a chain and its engine: where the last span is asked for candidates
 * of a prompt chunk, it asks for all logits instead, writes them, and makes the candidates of them. A chunk's are in memory
 * at once, never a whole prompt's.
 */

import { type FileHandle, open } from 'node:fs/promises'
import type { ChainEngine, ChainOutput, ChainSegment } from '../session/index.ts'
import { TabswarmError } from '../shared/index.ts'
import { bestCandidates, type Engine } from '../worker/index.ts'

export interface LogitsFile {
  readonly engine: ChainEngine
  close(): Promise<void>
}

/** Opens (and empties) `path`: [positions, vocabulary] f32, little-endian as every machine that Dawn runs on. */
export async function openLogitsFile(path: string, engine: Engine): Promise<LogitsFile> {
  const file = await open(path, 'w').catch((cause: unknown) => {
    throw new TabswarmError('cannot-write', `cannot write ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  })
  return {
    engine: {
      open: (request) => engine.open(request),
      truncate: (slot, length) => engine.truncate(slot, length),
      close: (slot) => engine.close(slot),
      forward: async (segments) => {
        const { outputs, computeMs } = await engine.forward(
          segments.map((segment) =>
            isWanted(segment) ? { ...segment, output: { kind: 'logits' as const, resultCount: rowCount(segment) } } : segment,
          ),
        )
        const kept: ChainOutput[] = []
        for (const [index, output] of outputs.entries()) {
          const segment = segments[index]
          kept.push(segment !== undefined && output.kind === 'logits' ? await keep(file, segment, output.values) : output)
        }
        return { outputs: kept, computeMs }
      },
    },
    close: () => file.close(),
  }
}

function isWanted({ kind, output }: ChainSegment): boolean {
  return kind === 'prompt' && output.kind === 'candidates'
}

function rowCount({ input }: ChainSegment): number {
  return input.kind === 'tokens' ? input.ids.length : input.rowCount
}

async function keep(file: FileHandle, segment: ChainSegment, values: Float32Array): Promise<ChainOutput> {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  for (let at = 0; at < bytes.byteLength; ) at += (await file.write(bytes, at)).bytesWritten
  const rows = rowCount(segment)
  const vocabulary = values.length / rows
  const { resultCount, topK } = segment.output.kind === 'candidates' ? segment.output : { resultCount: 0, topK: 0 }
  const first = rows - resultCount
  const positions = Array.from({ length: resultCount }, (_, index) => {
    const row = first + index
    return bestCandidates(segment.firstPosition + row, values.subarray(row * vocabulary, (row + 1) * vocabulary), topK)
  })
  return { kind: 'candidates', positions }
}
