// block_q8_0: 32 columns of one output in 9 words: the scale as f16 (high half 0), then 8 words of 4 signed bytes.
// value = scale · q. Chunks are the bytes at the top of a word each, times CHUNK_UNIT, so that the sign comes for nothing.
const CHUNK_UNIT = vec4f(0x1p-24);
fn block_scale(at: u32) -> vec2f {
  return unpack2x16float(weights[at]);
}
fn block_lot(at: u32) -> vec4u {
  return vec4u(weights[at], 0u, 0u, 0u);
}
fn chunk_0(lot: vec4u) -> vec4f {
  let w = lot.x;
  return vec4f(vec4i(vec4u(w << 24u, (w << 16u) & 0xff000000u, (w << 8u) & 0xff000000u, w & 0xff000000u)));
}
