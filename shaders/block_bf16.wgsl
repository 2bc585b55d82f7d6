// block_bf16: 4 columns of one output in 2 words of two bf16: the upper halves of f32.
fn block_lot(at: u32) -> vec4u {
  return vec4u(weights[at], weights[at + PANEL], 0u, 0u);
}
fn chunk_0(lot: vec4u) -> vec4f {
  return bitcast<vec4f>(vec4u(lot.x << 16u, lot.x & 0xffff0000u, lot.y << 16u, lot.y & 0xffff0000u));
}
