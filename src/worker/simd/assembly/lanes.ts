/** Four f32 values at a time. */

export function zero(): v128 {
  return f32x4.splat(0)
}

/** The sum of the lanes, always in one order. */
export function total(a: v128): f32 {
  return f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 1) + (f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3))
}

export function largest(a: v128): f32 {
  return max(max(f32x4.extract_lane(a, 0), f32x4.extract_lane(a, 1)), max(f32x4.extract_lane(a, 2), f32x4.extract_lane(a, 3)))
}

/** The first `count` lanes; the others are zero. */
export function firstLanes(a: v128, count: i32): v128 {
  return count >= 4 ? a : v128.and(a, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count)))
}

/** sum + w · the four values at x. */
export function accumulate(sum: v128, w: v128, x: usize): v128 {
  return f32x4.add(sum, f32x4.mul(w, v128.load(x)))
}

/** a · b over `count` values. */
export function product(a: usize, b: usize, count: i32): f32 {
  let sum = zero()
  let i = 0
  for (; i + 4 <= count; i += 4) {
    sum = accumulate(sum, v128.load(a), b)
    a += 16
    b += 16
  }
  return total(sum) + productOfFew(a, b, count - i)
}

/** The same of the few values that do not fill the lanes. */
export function productOfFew(a: usize, b: usize, count: i32): f32 {
  let sum: f32 = 0
  for (let i = 0; i < count; i++) sum += load<f32>(a + (i << 2)) * load<f32>(b + (i << 2))
  return sum
}

/**
 * e^x within 2 units in the last place, for x bent into −87 … 88, where neither end leaves f32. NaN stays NaN. Source of the polynomial: Cephes
 * (expf): x = n·ln 2 + r, e^r by a polynomial of degree 7.
 */
export function exponential(x: v128): v128 {
  const bent = f32x4.max(f32x4.min(x, f32x4.splat(88)), f32x4.splat(-87))
  const n = f32x4.nearest(f32x4.mul(bent, f32x4.splat(<f32>Math.LOG2E)))
  let r = f32x4.sub(bent, f32x4.mul(n, f32x4.splat(0.693359375)))
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.1219444e-4)))
  let p = f32x4.splat(1.98756915e-4)
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.3981999507e-3))
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3))
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2))
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1))
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1))
  const power = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1))
  // 2^n by its exponent's bits.
  const bits = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23)
  return f32x4.mul(power, bits)
}

/** 1 / (1 + e^−x). */
export function sigmoid(x: v128): v128 {
  const one = f32x4.splat(1)
  return f32x4.div(one, f32x4.add(one, exponential(f32x4.neg(x))))
}

/** cap · tanh(x / cap). */
export function softCap(x: v128, cap: f32): v128 {
  const turned = sigmoid(f32x4.mul(x, f32x4.splat(2 / cap)))
  return f32x4.mul(f32x4.splat(cap), f32x4.sub(f32x4.add(turned, turned), f32x4.splat(1)))
}
