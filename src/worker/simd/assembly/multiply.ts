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
    for (let output = first; output < end; output += 2) twoRows<Form>(output, min(output + 1, end - 1), row)
    row += 2
  }
  if (row < rows) for (let output = first; output < end; output += 2) oneRow<Form>(output, min(output + 1, end - 1), row)
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
  return dotOf(i16x8.extend_low_i8x16_s(weights), i16x8.extend_high_i8x16_s(weights), x)
}

/** The same of weights that are i16 already, 8 and 8: several rows of x share them. */
function dotOf(low: v128, high: v128, x: usize): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(low, v128.load(x)), i32x4.dot_i16x8_s(high, v128.load(x + 16)))
}

/** sum + integers · scale. */
function scaled(sum: v128, integers: v128, scale: v128): v128 {
  return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(integers), scale))
}

function levelsOf<Form>(): v128 {
  return isSigned<Form>() ? zero() : v128.load(pointer(11))
}

function oneRow<Form>(output: i32, other: i32, row: i32): void {
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
  let xScale = pointer(4) + ((row * blocks) << 2)
  let a = zero()
  let b = zero()
  for (let block = 0; block < blocks; block++) {
    const xScales = v128.load32_splat(xScale)
    let partA = dot(firstHalf<Form>(w, levels), x)
    let partB = dot(firstHalf<Form>(w + toOtherW, levels), x)
    const restA = dot(secondHalf<Form>(w, levels), x + 32)
    const restB = dot(secondHalf<Form>(w + toOtherW, levels), x + 32)
    if (isHalved) {
      a = scaled(a, partA, f32x4.mul(v128.load32_splat(scale), xScales))
      b = scaled(b, partB, f32x4.mul(v128.load32_splat(scale + toOtherScale), xScales))
      scale += 4
      partA = restA
      partB = restB
    } else {
      partA = i32x4.add(partA, restA)
      partB = i32x4.add(partB, restB)
    }
    a = scaled(a, partA, f32x4.mul(v128.load32_splat(scale), xScales))
    b = scaled(b, partB, f32x4.mul(v128.load32_splat(scale + toOtherScale), xScales))
    scale += 4
    w += blockBytes<Form>()
    x += 64
    xScale += 4
  }
  const y = pointer(6) + ((row * argument(9)) << 2)
  store<f32>(y + (output << 2), total(a) + minimumsOf(output, row, groups))
  store<f32>(y + (other << 2), total(b) + minimumsOf(other, row, groups))
}

/** What the minimums of an output add: each times the sum of x over its group. */
function minimumsOf(output: i32, row: i32, groups: i32): f32 {
  if (pointer(2) === 0) return 0
  return product(pointer(2) + ((output * groups) << 2), pointer(5) + ((row * groups) << 2), groups)
}

/** Two outputs of two rows. */
function twoRows<Form>(output: i32, other: i32, row: i32): void {
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
  let c = zero()
  let d = zero()
  for (let block = 0; block < blocks; block++) {
    const xA = v128.load32_splat(xScale)
    const xB = v128.load32_splat(xScale + xScaleBytes)
    let weights = firstHalf<Form>(w, levels)
    let others = firstHalf<Form>(w + toOtherW, levels)
    let low = i16x8.extend_low_i8x16_s(weights)
    let high = i16x8.extend_high_i8x16_s(weights)
    let otherLow = i16x8.extend_low_i8x16_s(others)
    let otherHigh = i16x8.extend_high_i8x16_s(others)
    let partA = dotOf(low, high, x)
    let partB = dotOf(low, high, x + xBytes)
    let partC = dotOf(otherLow, otherHigh, x)
    let partD = dotOf(otherLow, otherHigh, x + xBytes)
    if (isHalved) {
      const scales = v128.load32_splat(scale)
      const otherScales = v128.load32_splat(scale + toOtherScale)
      a = scaled(a, partA, f32x4.mul(scales, xA))
      b = scaled(b, partB, f32x4.mul(scales, xB))
      c = scaled(c, partC, f32x4.mul(otherScales, xA))
      d = scaled(d, partD, f32x4.mul(otherScales, xB))
      scale += 4
      partA = i32x4.splat(0)
      partB = i32x4.splat(0)
      partC = i32x4.splat(0)
      partD = i32x4.splat(0)
    }
    weights = secondHalf<Form>(w, levels)
    others = secondHalf<Form>(w + toOtherW, levels)
    low = i16x8.extend_low_i8x16_s(weights)
    high = i16x8.extend_high_i8x16_s(weights)
    otherLow = i16x8.extend_low_i8x16_s(others)
    otherHigh = i16x8.extend_high_i8x16_s(others)
    partA = i32x4.add(partA, dotOf(low, high, x + 32))
    partB = i32x4.add(partB, dotOf(low, high, x + xBytes + 32))
    partC = i32x4.add(partC, dotOf(otherLow, otherHigh, x + 32))
    partD = i32x4.add(partD, dotOf(otherLow, otherHigh, x + xBytes + 32))
    const scales = v128.load32_splat(scale)
    const otherScales = v128.load32_splat(scale + toOtherScale)
    a = scaled(a, partA, f32x4.mul(scales, xA))
    b = scaled(b, partB, f32x4.mul(scales, xB))
    c = scaled(c, partC, f32x4.mul(otherScales, xA))
    d = scaled(d, partD, f32x4.mul(otherScales, xB))
    scale += 4
    w += blockBytes<Form>()
    x += 64
    xScale += 4
  }
  let y = pointer(6) + ((row * argument(9)) << 2)
  store<f32>(y + (output << 2), total(a) + minimumsOf(output, row, groups))
  store<f32>(y + (other << 2), total(c) + minimumsOf(other, row, groups))
  y += argument(9) << 2
  store<f32>(y + (output << 2), total(b) + minimumsOf(output, row + 1, groups))
  store<f32>(y + (other << 2), total(d) + minimumsOf(other, row + 1, groups))
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
    let low = i16x8.extend_low_i8x16_s(weights)
    let high = i16x8.extend_high_i8x16_s(weights)
    let partA = dotOf(low, high, x)
    let partB = dotOf(low, high, x + xBytes)
    let partC = dotOf(low, high, x + 2 * xBytes)
    let partD = dotOf(low, high, x + toLast)
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
    low = i16x8.extend_low_i8x16_s(weights)
    high = i16x8.extend_high_i8x16_s(weights)
    partA = i32x4.add(partA, dotOf(low, high, x + 32))
    partB = i32x4.add(partB, dotOf(low, high, x + xBytes + 32))
    partC = i32x4.add(partC, dotOf(low, high, x + 2 * xBytes + 32))
    partD = i32x4.add(partD, dotOf(low, high, x + toLast + 32))
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
  for (; row + 2 <= rows; row += 4) for (let output = first; output < end; output++) floatsOfFourRows(output, row, rows - 1)
  for (; row < rows; row++) for (let output = first; output < end; output++) floatsOfOneRow(output, row)
}

function floatsOfOneRow(output: i32, row: i32): void {
  const columns = argument(3)
  const sum = product(pointer(0) + ((output * columns) << 2), pointer(1) + ((row * columns) << 2), columns)
  store<f32>(pointer(2) + ((row * argument(4) + output) << 2), sum)
}

/** Rows `row` to `row` + 3; where there are fewer, the last one instead. */
function floatsOfFourRows(output: i32, row: i32, last: i32): void {
  const columns = argument(3)
  let w = pointer(0) + ((output * columns) << 2)
  let x = pointer(1) + ((row * columns) << 2)
  const xBytes = columns << 2
  const third = min(row + 2, last)
  const fourth = min(row + 3, last)
  const toThird = (third - row) * xBytes
  const toFourth = (fourth - row) * xBytes
  let a = zero()
  let b = zero()
  let c = zero()
  let d = zero()
  let column = 0
  for (; column + 4 <= columns; column += 4) {
    const weights = v128.load(w)
    a = accumulate(a, weights, x)
    b = accumulate(b, weights, x + xBytes)
    c = accumulate(c, weights, x + toThird)
    d = accumulate(d, weights, x + toFourth)
    w += 16
    x += 16
  }
  const rest = columns - column
  const outputBytes = argument(4) << 2
  const y = pointer(2) + (output << 2)
  store<f32>(y + row * outputBytes, total(a) + productOfFew(w, x, rest))
  store<f32>(y + (row + 1) * outputBytes, total(b) + productOfFew(w, x + xBytes, rest))
  store<f32>(y + third * outputBytes, total(c) + productOfFew(w, x + toThird, rest))
  store<f32>(y + fourth * outputBytes, total(d) + productOfFew(w, x + toFourth, rest))
}
