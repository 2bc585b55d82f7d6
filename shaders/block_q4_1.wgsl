// block_q4_1: 32 columns of one output in 5 words: (scale, minimum) as two f16, then 4 words of 8 nibbles.
// Chunk 0 of word i is columns 4i…4i+3 (low nibbles), chunk 1 is columns 16+4i… (high nibbles). value = scale · q + minimum.
fn block_scale(at: u32) -> vec2f {
  return unpack2x16float(weights[at]);
}
fn block_lot(at: u32) -> vec4u {
  return vec4u(weights[at], 0u, 0u, 0u);
}
fn chunk_0(lot: vec4u) -> vec4f {
  return vec4f(unpack4xU8(lot.x & 0x0f0f0f0fu));
}
fn chunk_1(lot: vec4u) -> vec4f {
  return vec4f(unpack4xU8((lot.x >> 4u) & 0x0f0f0f0fu));
}
