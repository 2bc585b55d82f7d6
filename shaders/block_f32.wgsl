// block_f32: 4 columns of one output in 4 words.
fn block_lot(at: u32) -> vec4u {
  return vec4u(weights[at], weights[at + PANEL], weights[at + 2u * PANEL], weights[at + 3u * PANEL]);
}
fn chunk_0(lot: vec4u) -> vec4f {
  return bitcast<vec4f>(lot);
}
