// block_f16: 4 columns of one output in 2 words of two f16. Needs no `shader-f16`.
fn block_lot(at: u32) -> vec4u {
  return vec4u(weights[at], weights[at + PANEL], 0u, 0u);
}
fn chunk_0(lot: vec4u) -> vec4f {
  return vec4f(unpack2x16float(lot.x), unpack2x16float(lot.y));
}
