/**
 * y = W·x for rows of x. A weight row is read once for four rows of x, or two weight rows at once for a single one; either way one
 * output is summed in one order that depends on the columns alone: a row's result has the same bits in any company.
 */

import { argument, pointer } from './arguments'
import { accumulate, highFloats, lowFloats, product, productOfFew, total, zero } from './lanes'

/**
 * Outputs [first, end). Arguments: quants, scales, minimums (0: none), x, sums of x by groups, y: pointers; columns, log2 of the group
 * size, outputs, rows. W is [outputs, columns] of i8, scales and minimums are [outputs, groups], x [rows, columns], sums [rows, groups],
 * y [rows, outputs].
 */
export function multiplyGroups(first: i32, end: i32): void {
  const rows = argument(9)
  let row = 0
  for (; row + 4 <= rows; row += 4) for (let output = first; output < end; output++) groupsOfFourRows(output, row)
  for (; row < rows; row++) for (let output = first; output < end; output += 2) groupsOfOneRow(output, min(output + 1, end - 1), row)
}

function groupsOfOneRow(output: i32, other: i32, row: i32): void {
  const columns = argument(6)
  const shift = argument(7)
  const groups = columns >> shift
  const halves = 1 << (shift - 4)
  let w = pointer(0) + output * columns
  const toOtherW = (other - output) * columns
  let scale = pointer(1) + ((output * groups) << 2)
  const toOtherScale = ((other - output) * groups) << 2
  let x = pointer(3) + ((row * columns) << 2)
  let a = zero()
  let b = zero()
  for (let group = 0; group < groups; group++) {
    let partA = zero()
    let partB = zero()
    for (let half = 0; half < halves; half++) {
      partA = octet(octet(partA, w, x), w + 8, x + 32)
      partB = octet(octet(partB, w + toOtherW, x), w + toOtherW + 8, x + 32)
      w += 16
      x += 64
    }
    a = f32x4.add(a, f32x4.mul(v128.load32_splat(scale), partA))
    b = f32x4.add(b, f32x4.mul(v128.load32_splat(scale + toOtherScale), partB))
    scale += 4
  }
  const y = pointer(5) + ((row * argument(8)) << 2)
  store<f32>(y + (output << 2), total(a) + minimumsOf(output, row, groups))
  store<f32>(y + (other << 2), total(b) + minimumsOf(other, row, groups))
}

/** Eight weights times eight values. */
function octet(sum: v128, w: usize, x: usize): v128 {
  const weights = v128.load8x8_s(w)
  return accumulate(accumulate(sum, lowFloats(weights), x), highFloats(weights), x + 16)
}

/** What the minimums of an output add: each times the sum of x over its group. */
function minimumsOf(output: i32, row: i32, groups: i32): f32 {
  if (pointer(2) === 0) return 0
  return product(pointer(2) + ((output * groups) << 2), pointer(4) + ((row * groups) << 2), groups)
}

function groupsOfFourRows(output: i32, row: i32): void {
  const columns = argument(6)
  const shift = argument(7)
  const groups = columns >> shift
  const octets = 1 << (shift - 3)
  let w = pointer(0) + output * columns
  let scale = pointer(1) + ((output * groups) << 2)
  let x = pointer(3) + ((row * columns) << 2)
  const xBytes = columns << 2
  let a = zero()
  let b = zero()
  let c = zero()
  let d = zero()
  for (let group = 0; group < groups; group++) {
    let partA = zero()
    let partB = zero()
    let partC = zero()
    let partD = zero()
    for (let index = 0; index < octets; index++) {
      const weights = v128.load8x8_s(w)
      const low = lowFloats(weights)
      const high = highFloats(weights)
      const x1 = x + xBytes
      const x2 = x1 + xBytes
      const x3 = x2 + xBytes
      partA = accumulate(accumulate(partA, low, x), high, x + 16)
      partB = accumulate(accumulate(partB, low, x1), high, x1 + 16)
      partC = accumulate(accumulate(partC, low, x2), high, x2 + 16)
      partD = accumulate(accumulate(partD, low, x3), high, x3 + 16)
      w += 8
      x += 32
    }
    const scales = v128.load32_splat(scale)
    a = f32x4.add(a, f32x4.mul(scales, partA))
    b = f32x4.add(b, f32x4.mul(scales, partB))
    c = f32x4.add(c, f32x4.mul(scales, partC))
    d = f32x4.add(d, f32x4.mul(scales, partD))
    scale += 4
  }
  const outputBytes = argument(8) << 2
  let y = pointer(5) + row * outputBytes + (output << 2)
  store<f32>(y, total(a) + minimumsOf(output, row, groups))
  y += outputBytes
  store<f32>(y, total(b) + minimumsOf(output, row + 1, groups))
  y += outputBytes
  store<f32>(y, total(c) + minimumsOf(output, row + 2, groups))
  y += outputBytes
  store<f32>(y, total(d) + minimumsOf(output, row + 3, groups))
}

/** Sums of x by groups, [rows, groups]: what minimums are multiplied by. Rows [first, end). Arguments as in `multiplyGroups`. */
export function sumGroups(first: i32, end: i32): void {
  const size = 1 << argument(7)
  const groups = argument(6) >> argument(7)
  let x = pointer(3) + ((first * argument(6)) << 2)
  let sums = pointer(4) + ((first * groups) << 2)
  for (let group = first * groups; group < end * groups; group++) {
    let sum = zero()
    for (let column = 0; column < size; column += 4) {
      sum = f32x4.add(sum, v128.load(x))
      x += 16
    }
    store<f32>(sums, total(sum))
    sums += 4
  }
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
