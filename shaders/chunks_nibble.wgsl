// chunks_nibble: 32 columns of 4 bits. Word i holds columns 4i … 4i+3 in its bytes' low nibbles, 16+4i … in the high ones. Nibbles are
// converted where they stand: shifts are slow on SwiftShader.
struct Group {
  q: vec4u,
}
//#repeat k 4
fn chunk_${k}(group: Group) -> vec4f {
  return vec4f(vec4i(vec4u(group.q[${k}]) & vec4u(0xfu, 0xf00u, 0xf0000u, 0xf000000u)));
}
const UNIT_${k} = UNIT;
fn chunk_${k + 4}(group: Group) -> vec4f {
  let w = group.q[${k}];
  return vec4f(vec3f(vec3i(vec3u(w) & vec3u(0xf0u, 0xf000u, 0xf00000u))), f32(w & 0xf0000000u));
}
const UNIT_${k + 4} = UNIT * 0x1p-4;
//#end
// The group whose chunks 0 and 4 are this one's 1 and 5: what a loop over the words goes on with.
fn next_chunk(group: Group) -> Group {
  return Group(group.q.yzwx);
}
