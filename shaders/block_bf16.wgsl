// block_bf16: 8 columns in a quad, two a word: the upper halves of f32.
//#include plain_group
fn widen(w: vec2u) -> vec4f {
  return bitcast<vec4f>(vec4u(w.x << 16u, w.x & 0xffff0000u, w.y << 16u, w.y & 0xffff0000u));
}
fn chunk_0(group: Group) -> vec4f {
  return widen(group.q.xy);
}
const UNIT_0 = vec4f(1.0);
fn chunk_1(group: Group) -> vec4f {
  return widen(group.q.zw);
}
const UNIT_1 = vec4f(1.0);
