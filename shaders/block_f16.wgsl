// block_f16: 8 columns in a quad, two a word. Needs no `shader-f16`.
//#include plain_group
fn chunk_0(group: Group) -> vec4f {
  return vec4f(unpack2x16float(group.q.x), unpack2x16float(group.q.y));
}
const UNIT_0 = vec4f(1.0);
fn chunk_1(group: Group) -> vec4f {
  return vec4f(unpack2x16float(group.q.z), unpack2x16float(group.q.w));
}
const UNIT_1 = vec4f(1.0);
