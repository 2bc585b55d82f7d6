/** What lies between the matrices. */

import { argument, itemsAtOnce, pointer } from './arguments'
import { exponential, firstLanes, sigmoid, softCap, total } from './lanes'

/** y = x / √(mean(x²) + ε) · weight for vectors [first, end). Arguments: x, weight, y: pointers; width, ε (f32 bits). y may be x. */
export function rmsNorm(first: i32, end: i32): void {
  const width = argument(3)
  const weight = pointer(1)
  for (let vector = first; vector < end; vector++) {
    const x = pointer(0) + ((vector * width) << 2)
    const y = pointer(2) + ((vector * width) << 2)
    const scale = <f32>(1 / sqrt<f64>(squares(x, width) / <f64>width + <f64>reinterpret<f32>(argument(4))))
    const scales = f32x4.splat(scale)
    let i = 0
    for (; i + 4 <= width; i += 4) {
      v128.store(y + (i << 2), f32x4.mul(f32x4.mul(v128.load(x + (i << 2)), scales), v128.load(weight + (i << 2))))
    }
    for (; i < width; i++) store<f32>(y + (i << 2), load<f32>(x + (i << 2)) * scale * load<f32>(weight + (i << 2)))
  }
}

/** In f64: the square of a large f32 is none. */
function squares(x: usize, count: i32): f64 {
  let sum: f64 = 0
  for (let i = 0; i < count; i++) {
    const value = <f64>load<f32>(x + (i << 2))
    sum += value * value
  }
  return sum
}

/**
 * gate = activation(gate) · up, four values an item: items [first, end); the buffers hold whole items. Arguments: gate, up: pointers;
 * 0: SiLU, 1: GELU (tanh form).
 */
export function gateUp(first: i32, end: i32): void {
  const gelu = argument(2) === 1
  for (let item = first; item < end; item++) {
    const at = pointer(0) + (item << 4)
    const x = v128.load(at)
    // 0.5·(1 + tanh u) is sigmoid(2u).
    const turned = gelu ? f32x4.mul(f32x4.splat(1.5957691216057308), f32x4.add(x, f32x4.mul(f32x4.splat(0.044715), cube(x)))) : x
    v128.store(at, f32x4.mul(f32x4.mul(x, sigmoid(turned)), v128.load(pointer(1) + (item << 4))))
  }
}

function cube(x: v128): v128 {
  return f32x4.mul(f32x4.mul(x, x), x)
}

/** x = cap · tanh(x / cap), four values an item. Arguments: x; cap (f32 bits). */
export function capValues(first: i32, end: i32): void {
  const cap = reinterpret<f32>(argument(1))
  for (let item = first; item < end; item++) {
    const at = pointer(0) + (item << 4)
    v128.store(at, softCap(v128.load(at), cap))
  }
}

/** x = x + delta, four values an item. Arguments: x, delta: pointers. */
export function add(first: i32, end: i32): void {
  for (let item = first; item < end; item++) {
    const at = pointer(0) + (item << 4)
    v128.store(at, f32x4.add(v128.load(at), v128.load(pointer(1) + (item << 4))))
  }
}

/**
 * Turns the leading elements of each head of rows [first, end). Arguments: vectors [rows, heads, head size], angles [rows, pairs, (cos, sin)]:
 * pointers; heads, head size, pairs, distance of a pair's elements, distance of pairs.
 */
export function rotate(first: i32, end: i32): void {
  const heads = argument(2)
  const pairs = argument(4)
  const apart = (<usize>argument(5)) << 2
  const stride = (<usize>argument(6)) << 2
  for (let row = first; row < end; row++) {
    let head = pointer(0) + ((row * heads * argument(3)) << 2)
    for (let index = 0; index < heads; index++) {
      let at = head
      let angle = pointer(1) + ((row * pairs) << 3)
      for (let pair = 0; pair < pairs; pair++) {
        const cosine = load<f32>(angle)
        const sine = load<f32>(angle + 4)
        const a = load<f32>(at)
        const b = load<f32>(at + apart)
        store<f32>(at, a * cosine - b * sine)
        store<f32>(at + apart, a * sine + b * cosine)
        at += stride
        angle += 8
      }
      head += argument(3) << 2
    }
  }
}

/**
 * Sums of e^(x − greatest), one for each chunk: the order of a sum depends on the size of chunks alone. Items of four values [first, end).
 * Arguments: x, sums (f64 for each chunk): pointers; greatest (f32 bits), values.
 */
export function sumPowers(first: i32, end: i32): void {
  const greatest = f32x4.splat(reinterpret<f32>(argument(2)))
  const values = argument(3)
  const x = pointer(0)
  let sum: f64 = 0
  for (let item = first; item < end; item++) {
    const powers = exponential(f32x4.sub(v128.load(x + (item << 4)), greatest))
    sum += total(firstLanes(powers, values - (item << 2)))
  }
  store<f64>(pointer(1) + ((first / itemsAtOnce()) << 3), sum)
}
