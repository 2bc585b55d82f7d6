// chunks_table: 32 columns of 4 bits that name one of the 16 values in `table`. Nibbles lie as in chunks_nibble.
struct Group {
  q: vec4u,
}
fn named(w: u32) -> vec4f {
  return vec4f(table[w & 15u], table[(w >> 8u) & 15u], table[(w >> 16u) & 15u], table[(w >> 24u) & 15u]);
}
//#repeat k 4
fn chunk_${k}(group: Group) -> vec4f {
  return named(group.q[${k}]);
}
const UNIT_${k} = vec4f(1.0);
fn chunk_${k + 4}(group: Group) -> vec4f {
  return named(group.q[${k}] >> 4u);
}
const UNIT_${k + 4} = vec4f(1.0);
//#end
// The group whose chunks 0 and 4 are this one's 1 and 5: what a loop over the words goes on with.
fn next_chunk(group: Group) -> Group {
  return Group(group.q.yzwx);
}
