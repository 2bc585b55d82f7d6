// chunks_two: 32 columns of 2 bits: bits 8j+2k, 8j+2k+1 of low[h] are column 16h+4k+j.
struct Group {
  low: vec2u,
}
//#repeat k 4
fn chunk_${k}(group: Group) -> vec4f {
  return spread((group.low.x >> ${2 * k}u) & 0x03030303u);
}
const UNIT_${k} = UNIT;
fn chunk_${k + 4}(group: Group) -> vec4f {
  return spread((group.low.y >> ${2 * k}u) & 0x03030303u);
}
const UNIT_${k + 4} = UNIT;
//#end
// The group whose chunks 0 and 4 are this one's 1 and 5: what a loop over the words goes on with.
fn next_chunk(group: Group) -> Group {
  return Group(group.low >> vec2u(2u));
}
