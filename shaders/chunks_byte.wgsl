// chunks_byte: 32 columns of signed bytes, word k columns 4k … 4k+3. The highest byte brings its sign along; the others lie 128 too high.
struct Group {
  low: vec4u,
  high: vec4u,
}
fn signed_bytes(w: u32) -> vec4f {
  let biased = vec4u(w ^ 0x00808080u) & vec4u(0xffu, 0xff00u, 0xff0000u, 0xff000000u);
  return vec4f(vec4i(biased)) - vec4f(0x1p7, 0x1p15, 0x1p23, 0.0);
}
//#repeat k 4
fn chunk_${k}(group: Group) -> vec4f {
  return signed_bytes(group.low[${k}]);
}
const UNIT_${k} = UNIT;
fn chunk_${k + 4}(group: Group) -> vec4f {
  return signed_bytes(group.high[${k}]);
}
const UNIT_${k + 4} = UNIT;
//#end
// The group whose chunks 0 and 4 are this one's 1 and 5: what a loop over the words goes on with.
fn next_chunk(group: Group) -> Group {
  return Group(group.low.yzwx, group.high.yzwx);
}
