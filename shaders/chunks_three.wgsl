// chunks_three: 32 columns of 3 bits: the lower two as in chunks_two; bit 8j+k of `high` is the third bit of column 4k+j.
struct Group {
  low: vec2u,
  high: u32,
}
//#repeat k 4
fn chunk_${k}(group: Group) -> vec4f {
  return spread(((group.low.x >> ${2 * k}u) & 0x03030303u) | (((group.high >> ${k}u) & 0x01010101u) << 2u));
}
const UNIT_${k} = UNIT;
fn chunk_${k + 4}(group: Group) -> vec4f {
  return spread(((group.low.y >> ${2 * k}u) & 0x03030303u) | (((group.high >> ${k + 4}u) & 0x01010101u) << 2u));
}
const UNIT_${k + 4} = UNIT;
//#end
// The group whose chunks 0 and 4 are this one's 1 and 5: what a loop over the words goes on with.
fn next_chunk(group: Group) -> Group {
  return Group(group.low >> vec2u(2u), group.high >> 1u);
}
