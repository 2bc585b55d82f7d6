/** Attention of decode and prompt rows alike: one head of one row at a time, over the paged keys and values of one layer. */

import { argument, pointer } from './arguments'
import { accumulate, exponential, firstLanes, largest, product, softCap, total, zero } from './lanes'

/** log2 of the positions of a KV block. */
const BLOCK_SHIFT: i32 = 5
const BLOCK_MASK: i32 = 31

/**
 * Items [first, end): row · heads + head. Arguments: query, keys, values, output, rows' places, scores: pointers; heads, heads that share
 * a KV head, head size, KV width (floats of a position), window (0: all positions), scale, cap (f32 bits; cap 0: none), positions that a thread's
 * scores hold. A row's place is two words: pointer to its slot's blocks (u32 each), its position. Query and output are
 * [rows, heads, head size], keys and values [blocks × 32, KV width].
 */
export function attend(first: i32, end: i32, thread: i32): void {
  for (let item = first; item < end; item++) attendHead(item / argument(6), item % argument(6), thread)
}

function attendHead(row: i32, head: i32, thread: i32): void {
  const size = argument(8)
  const place = pointer(4) + (row << 3)
  const blocks = <usize>load<i32>(place)
  const last = load<i32>(place + 4)
  const window = argument(10)
  const start = window === 0 ? 0 : max(0, last - window + 1)
  const query = pointer(0) + (((row * argument(6) + head) * size) << 2)
  const headAt = ((head / argument(7)) * size) << 2
  const scores = pointer(5) + ((thread * argument(13)) << 2)
  const count = last - start + 1
  score(query, pointer(1) + headAt, blocks, start, last, scores)
  const sum = weigh(scores, count)
  mix(scores, pointer(2) + headAt, blocks, start, last, 1 / sum, pointer(3) + (((row * argument(6) + head) * size) << 2))
}

function rowOf(blocks: usize, position: i32): i32 {
  return (load<i32>(blocks + ((<usize>(position >> BLOCK_SHIFT)) << 2)) << BLOCK_SHIFT) + (position & BLOCK_MASK)
}

/** Scaled and capped products of the query with each key. */
function score(query: usize, keys: usize, blocks: usize, start: i32, last: i32, scores: usize): void {
  const size = argument(8)
  const bytes = argument(9) << 2
  const scale = reinterpret<f32>(argument(11))
  const cap = reinterpret<f32>(argument(12))
  let to = scores
  for (let position = start; position <= last; position++) {
    const key = keys + <usize>rowOf(blocks, position) * bytes
    store<f32>(to, product(query, key, size) * scale)
    to += 4
  }
  if (cap === 0) return
  const count = last - start + 1
  for (let index = 0; index < count; index += 4) v128.store(scores + (index << 2), softCap(v128.load(scores + (index << 2)), cap))
}

/** Scores to e^(score − the greatest); their sum. Scores behind the last are written too: there is room for four. */
function weigh(scores: usize, count: i32): f32 {
  const endAt = scores + (count << 2)
  v128.store(endAt, f32x4.splat(-Infinity))
  let top = f32x4.splat(-Infinity)
  for (let at = scores; at < endAt; at += 16) top = f32x4.max(top, v128.load(at))
  const greatest = f32x4.splat(largest(top))
  let sum = zero()
  for (let at = scores; at < endAt; at += 16) {
    const weights = exponential(f32x4.sub(v128.load(at), greatest))
    v128.store(at, weights)
    sum = f32x4.add(sum, firstLanes(weights, <i32>((endAt - at) >> 2)))
  }
  return total(sum)
}

/** Sums of values, weighted. */
function mix(weights: usize, values: usize, blocks: usize, start: i32, last: i32, factor: f32, output: usize): void {
  const size = argument(8)
  const bytes = argument(9) << 2
  const factors = f32x4.splat(factor)
  let i = 0
  for (; i + 16 <= size; i += 16) {
    let a = zero()
    let b = zero()
    let c = zero()
    let d = zero()
    let weight = weights
    for (let position = start; position <= last; position++) {
      const value = values + <usize>rowOf(blocks, position) * bytes + (i << 2)
      const w = v128.load32_splat(weight)
      a = accumulate(a, w, value)
      b = accumulate(b, w, value + 16)
      c = accumulate(c, w, value + 32)
      d = accumulate(d, w, value + 48)
      weight += 4
    }
    const to = output + (i << 2)
    v128.store(to, f32x4.mul(a, factors))
    v128.store(to + 16, f32x4.mul(b, factors))
    v128.store(to + 32, f32x4.mul(c, factors))
    v128.store(to + 48, f32x4.mul(d, factors))
  }
  for (; i < size; i++) {
    let sum: f32 = 0
    for (let position = start; position <= last; position++) {
      sum += load<f32>(weights + ((position - start) << 2)) * load<f32>(values + <usize>rowOf(blocks, position) * bytes + (i << 2))
    }
    store<f32>(output + (i << 2), sum * factor)
  }
}
