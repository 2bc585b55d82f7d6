// block_q4_1: 32 columns of one output in 5 words: (scale, minimum) as two f16, then 4 words of 8 nibbles.
// Chunk 0 of word i is columns 4i…4i+3 (low nibbles), chunk 1 is columns 16+4i… (high nibbles). value = scale · q + minimum.
// Chunks are the nibbles where they stand, times CHUNK_UNIT: a mask and a conversion each, instead of two shifts and a mask more
// (SwiftShader: 0.30 instead of 0.18 GMAC/s a core). Powers of two, so nothing is rounded.
const CHUNK_UNIT = vec4f(1.0, 0x1p-8, 0x1p-16, 0x1p-24);
fn block_scale(at: u32) -> vec2f {
  return unpack2x16float(weights[at]);
}
fn block_lot(at: u32) -> vec4u {
  return vec4u(weights[at], 0u, 0u, 0u);
}
fn chunk_0(lot: vec4u) -> vec4f {
  return vec4f(vec4i(lot.xxxx & vec4u(0xfu, 0xf00u, 0xf0000u, 0xf000000u)));
}
fn chunk_1(lot: vec4u) -> vec4f {
  return vec4f(vec4i(vec4u(lot.x >> 4u) & vec4u(0xfu, 0xf00u, 0xf0000u, 0xf000000u)));
}
