// block_f32: 4 columns in a quad.
//#include plain_group
fn chunk_0(group: Group) -> vec4f {
  return bitcast<vec4f>(group.q);
}
const UNIT_0 = vec4f(1.0);
