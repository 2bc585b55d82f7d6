/**
 * y = W·x for rows of x. A weight row is read once for three or four rows of x, two weight rows at once for one row or two; either way one
 * output is summed in one order that depends on the columns alone: a row's result has the same bits in any company.
 *
 * Quantized weights are multiplied as integers, exactly: x is rounded to 16 bits for that, each block of 32 columns by a scale of its own
 * (`roundRows`). Half the instructions of floats; the error's mean square is below 10⁻⁸ of the result's.
 */

import { argument, pointer } from './arguments'
import { accumulate, largest, product, productOfFew, total, zero } from './lanes'

/** Columns of a block. */
const BLOCK: i32 = 32
/** The greatest i16. */
const INTEGER_MAX: f32 = 32767

/**
 * Rows [first, end) of x to i16, and their sums. Arguments: x, integers, block scales, group sums: pointers; columns, log2 of the weights' group size.
 * x is [rows, columns], scales [rows, columns / 32], sums [rows, groups]: what minimums are multiplied by. What is not finite makes its
 * block's scale so.
 */
export function roundRows(first: i32, end: i32): void {
  const columns = argument(4)
  const blocks = columns / BLOCK
  const size = 1 << argument(5)
  let x = pointer(0) + ((first * columns) << 2)
  let integers = pointer(1) + ((first * columns) << 1)
  let scale = pointer(2) + ((first * blocks) << 2)
  let sums = pointer(3) + (((first * columns) >> argument(5)) << 2)
  for (let block = first * blocks; block < end * blocks; block++) {
    let top = zero()
    for (let column = 0; column < BLOCK; column += 4) top = f32x4.max(top, f32x4.abs(v128.load(x + (column << 2))))
    const greatest = largest(top)
    const factor = f32x4.splat(greatest > 0 ? INTEGER_MAX / greatest : 0)
    store<f32>(scale, greatest / INTEGER_MAX)
    for (let column = 0; column < BLOCK; column += 8) {
      const low = integersOf(v128.load(x + (column << 2)), factor)
      const high = integersOf(v128.load(x + (column << 2) + 16), factor)
      v128.store(integers + (column << 1), i16x8.narrow_i32x4_s(low, high))
    }
    for (let column = 0; column < BLOCK; column += size) {
      let sum = zero()
      for (let at = column; at < column + size; at += 4) sum = f32x4.add(sum, v128.load(x + (at << 2)))
      store<f32>(sums, total(sum))
      sums += 4
    }
    x += BLOCK << 2
    integers += BLOCK << 1
    scale += 4
  }
}

function integersOf(x: v128, factor: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(x, factor)))
}

/**
 * Outputs [first, end). Arguments: weights, scales, minimums (0: none), and of x integers, block scales, group sums; y: pointers; columns, log2 of
 * the group size, outputs, rows, pointer to 16 levels (0: weights are i8). W is [outputs, columns] of i8, or of 4 bits that name a level,
 * a block's columns 0 to 15 in the lower halves of 16 bytes; scales and minimums are [outputs, groups], y is [rows, outputs].
 */
export function multiplyGroups(first: i32, end: i32): void {
  if (argument(11) === 0) multiplyAs<i8>(first, end)
  else multiplyAs<u8>(first, end)
}

/** `Form`: i8, or u8 for two weights of 4 bits each. */
function multiplyAs<Form>(first: i32, end: i32): void {
  const rows = argument(10)
  let row = 0
  // Of three the last is computed twice: that costs less than one alone.
  for (; row + 3 <= rows; row += 4) for (let output = first; output < end; output++) fourRows<Form>(output, row, min(row + 3, rows - 1))
  if (row + 2 <= rows) {
    for (let output = first; output < end; output += 2) fewRows<Form, i64>(output, min(output + 1, end - 1), row)
    row += 2
  }
  if (row < rows) for (let output = first; output < end; output += 2) fewRows<Form, i32>(output, min(output + 1, end - 1), row)
}

function blockBytes<Form>(): usize {
  return isSigned<Form>() ? 32 : 16
}

/** i8 weights of a block's columns 0 to 15. */
function firstHalf<Form>(w: usize, levels: v128): v128 {
  if (isSigned<Form>()) return v128.load(w)
  return i8x16.swizzle(levels, v128.and(v128.load(w), i8x16.splat(15)))
}

/** Of columns 16 to 31. */
function secondHalf<Form>(w: usize, levels: v128): v128 {
  if (isSigned<Form>()) return v128.load(w + 16)
  return i8x16.swizzle(levels, i8x16.shr_u(v128.load(w), 4))
}

/** Products of 16 weights and x, in four sums. */
function dot(weights: v128, x: usize): v128 {
  return i32x4.add(
    i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(weights), v128.load(x)),
    i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(weights), v128.load(x + 16)),
  )
}

/** sum + integers · scale. */
function scaled(sum: v128, integers: v128, scale: v128): v128 {
  return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(integers), scale))
}

function levelsOf<Form>(): v128 {
  return isSigned<Form>() ? zero() : v128.load(pointer(11))
}

/** Two outputs of one row or two. `Rows`: i32, or i64 for two. */
function fewRows<Form, Rows>(output: i32, other: i32, row: i32): void {
  const columns = argument(7)
  const blocks = columns / BLOCK
  const groups = columns >> argument(8)
  const isHalved = argument(8) === 4
  const levels = levelsOf<Form>()
  let w = pointer(0) + output * blocks * blockBytes<Form>()
  const toOtherW = (other - output) * blocks * blockBytes<Form>()
  let scale = pointer(1) + ((output * groups) << 2)
  const toOtherScale = ((other - output) * groups) << 2
  let x = pointer(3) + ((row * columns) << 1)
  const xBytes = columns << 1
  let xScale = pointer(4) + ((row * blocks) << 2)
  const xScaleBytes = blocks << 2
  let a = zero()
  let b = zero()
  let nextA = zero()
  let nextB = zero()
  for (let block = 0; block < blocks; block++) {
    let weights = firstHalf<Form>(w, levels)
    let others = firstHalf<Form>(w + toOtherW, levels)
    let partA = dot(weights, x)
    let partB = dot(others, x)
    let nextPartA = zero()
    let nextPartB = zero()
    if (isTwo<Rows>()) {
      nextPartA = dot(weights, x + xBytes)
      nextPartB = dot(others, x + xBytes)
    }
    const xScales = v128.load32_splat(xScale)
    const nextScales = isTwo<Rows>() ? v128.load32_splat(xScale + xScaleBytes) : xScales
    if (isHalved) {
      const scales = v128.load32_splat(scale)
      const otherScales = v128.load32_splat(scale + toOtherScale)
      a = scaled(a, partA, f32x4.mul(scales, xScales))
      b = scaled(b, partB, f32x4.mul(otherScales, xScales))
      partA = zero()
      partB = zero()
      if (isTwo<Rows>()) {
        nextA = scaled(nextA, nextPartA, f32x4.mul(scales, nextScales))
        nextB = scaled(nextB, nextPartB, f32x4.mul(otherScales, nextScales))
        nextPartA = zero()
        nextPartB = zero()
      }
      scale += 4
    }
    weights = secondHalf<Form>(w, levels)
    others = secondHalf<Form>(w + toOtherW, levels)
    const scales = v128.load32_splat(scale)
    const otherScales = v128.load32_splat(scale + toOtherScale)
    a = scaled(a, i32x4.add(partA, dot(weights, x + 32)), f32x4.mul(scales, xScales))
    b = scaled(b, i32x4.add(partB, dot(others, x + 32)), f32x4.mul(otherScales, xScales))
    if (isTwo<Rows>()) {
      nextA = scaled(nextA, i32x4.add(nextPartA, dot(weights, x + xBytes + 32)), f32x4.mul(scales, nextScales))
      nextB = scaled(nextB, i32x4.add(nextPartB, dot(others, x + xBytes + 32)), f32x4.mul(otherScales, nextScales))
    }
    scale += 4
    w += blockBytes<Form>()
    x += 64
    xScale += 4
  }
  storePair(output, other, row, a, b, groups)
  if (isTwo<Rows>()) storePair(output, other, row + 1, nextA, nextB, groups)
}

function isTwo<Rows>(): bool {
  return sizeof<Rows>() === 8
}

function storePair(output: i32, other: i32, row: i32, a: v128, b: v128, groups: i32): void {
  const y = pointer(6) + ((row * argument(9)) << 2)
  store<f32>(y + (output << 2), total(a) + minimumsOf(output, row, groups))
  store<f32>(y + (other << 2), total(b) + minimumsOf(other, row, groups))
}

/** What the minimums of an output add: each times the sum of x over its group. */
function minimumsOf(output: i32, row: i32, groups: i32): f32 {
  if (pointer(2) === 0) return 0
  return product(pointer(2) + ((output * groups) << 2), pointer(5) + ((row * groups) << 2), groups)
}

/** Rows `row` to `row` + 2, and the last one: the one behind them, or the third of them once more. */
function fourRows<Form>(output: i32, row: i32, last: i32): void {
  const columns = argument(7)
  const blocks = columns / BLOCK
  const groups = columns >> argument(8)
  const isHalved = argument(8) === 4
  const levels = levelsOf<Form>()
  let w = pointer(0) + output * blocks * blockBytes<Form>()
  let scale = pointer(1) + ((output * groups) << 2)
  let x = pointer(3) + ((row * columns) << 1)
  const xBytes = columns << 1
  let xScale = pointer(4) + ((row * blocks) << 2)
  const xScaleBytes = blocks << 2
  const toLast = (last - row) * xBytes
  const toLastScale = (last - row) * xScaleBytes
  let a = zero()
  let b = zero()
  let c = zero()
  let d = zero()
  for (let block = 0; block < blocks; block++) {
    const xA = v128.load32_splat(xScale)
    const xB = v128.load32_splat(xScale + xScaleBytes)
    const xC = v128.load32_splat(xScale + 2 * xScaleBytes)
    const xD = v128.load32_splat(xScale + toLastScale)
    let weights = firstHalf<Form>(w, levels)
    let partA = dot(weights, x)
    let partB = dot(weights, x + xBytes)
    let partC = dot(weights, x + 2 * xBytes)
    let partD = dot(weights, x + toLast)
    if (isHalved) {
      const scales = v128.load32_splat(scale)
      a = scaled(a, partA, f32x4.mul(scales, xA))
      b = scaled(b, partB, f32x4.mul(scales, xB))
      c = scaled(c, partC, f32x4.mul(scales, xC))
      d = scaled(d, partD, f32x4.mul(scales, xD))
      scale += 4
      partA = i32x4.splat(0)
      partB = i32x4.splat(0)
      partC = i32x4.splat(0)
      partD = i32x4.splat(0)
    }
    weights = secondHalf<Form>(w, levels)
    partA = i32x4.add(partA, dot(weights, x + 32))
    partB = i32x4.add(partB, dot(weights, x + xBytes + 32))
    partC = i32x4.add(partC, dot(weights, x + 2 * xBytes + 32))
    partD = i32x4.add(partD, dot(weights, x + toLast + 32))
    const scales = v128.load32_splat(scale)
    a = scaled(a, partA, f32x4.mul(scales, xA))
    b = scaled(b, partB, f32x4.mul(scales, xB))
    c = scaled(c, partC, f32x4.mul(scales, xC))
    d = scaled(d, partD, f32x4.mul(scales, xD))
    scale += 4
    w += blockBytes<Form>()
    x += 64
    xScale += 4
  }
  const outputBytes = argument(9) << 2
  const y = pointer(6) + (output << 2)
  store<f32>(y + row * outputBytes, total(a) + minimumsOf(output, row, groups))
  store<f32>(y + (row + 1) * outputBytes, total(b) + minimumsOf(output, row + 1, groups))
  store<f32>(y + (row + 2) * outputBytes, total(c) + minimumsOf(output, row + 2, groups))
  store<f32>(y + last * outputBytes, total(d) + minimumsOf(output, last, groups))
}

/** Outputs [first, end) of a matrix of f32. Arguments: weights, x, y: pointers; columns, outputs, rows. */
export function multiplyFloats(first: i32, end: i32): void {
  const rows = argument(5)
  let row = 0
  for (; row + 4 <= rows; row += 4) for (let output = first; output < end; output++) floatsOfFourRows(output, row)
  for (; row < rows; row++) for (let output = first; output < end; output++) floatsOfOneRow(output, row)
}

function floatsOfOneRow(output: i32, row: i32): void {
  const columns = argument(3)
  const sum = product(pointer(0) + ((output * columns) << 2), pointer(1) + ((row * columns) << 2), columns)
  store<f32>(pointer(2) + ((row * argument(4) + output) << 2), sum)
}

function floatsOfFourRows(output: i32, row: i32): void {
  const columns = argument(3)
  let w = pointer(0) + ((output * columns) << 2)
  let x = pointer(1) + ((row * columns) << 2)
  const xBytes = columns << 2
  let a = zero()
  let b = zero()
  let c = zero()
  let d = zero()
  let column = 0
  for (; column + 4 <= columns; column += 4) {
    const weights = v128.load(w)
    a = accumulate(a, weights, x)
    b = accumulate(b, weights, x + xBytes)
    c = accumulate(c, weights, x + 2 * xBytes)
    d = accumulate(d, weights, x + 3 * xBytes)
    w += 16
    x += 16
  }
  const rest = columns - column
  const outputBytes = argument(4) << 2
  let y = pointer(2) + row * outputBytes + (output << 2)
  store<f32>(y, total(a) + productOfFew(w, x, rest))
  y += outputBytes
  store<f32>(y, total(b) + productOfFew(w, x + xBytes, rest))
  y += outputBytes
  store<f32>(y, total(c) + productOfFew(w, x + 2 * xBytes, rest))
  y += outputBytes
  store<f32>(y, total(d) + productOfFew(w, x + 3 * xBytes, rest))
}
