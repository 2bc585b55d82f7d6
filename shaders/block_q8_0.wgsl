// block_q8_0: 32 columns of one output in 9 words: the scale as f16 (high half 0), then 8 words of 4 signed bytes.
// value = scale · q.
fn block_scale(at: u32) -> vec2f {
  return unpack2x16float(weights[at]);
}
fn block_lot(at: u32) -> vec4u {
  return vec4u(weights[at], 0u, 0u, 0u);
}
fn chunk_0(lot: vec4u) -> vec4f {
  return vec4f(unpack4xI8(lot.x));
}
