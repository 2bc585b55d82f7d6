// route_experts: of each row's router logits the best `used` experts, ties to the lower one, and their weights: the softmax over the
// chosen, which is the softmax over all, made to sum to 1 again.
// Output    routes: [row, used] of (expert, weight's bits), best first.
// Grid      one row a workgroup, 64 lanes. An expert's rank is the number of better ones; each lane ranks its share.
struct Shape {
  experts: u32,
  used: u32,
  stride: u32,        // elements of a row of logits
  unused: u32,
}
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> routes: array<vec2u>;
@group(0) @binding(2) var<uniform> shape: Shape;
var<workgroup> chosen: array<u32, ${USED}>;
var<workgroup> values: array<f32, ${USED}>;

// Larger logits have larger keys, both zeros the same; NaN is above all, so that it is chosen and shows.
fn order_key(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return 0xffffffffu;
  }
  let one_zero = select(bits, 0u, bits == 0x80000000u);
  return one_zero ^ select(0x80000000u, 0xffffffffu, (one_zero >> 31u) == 1u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = group.x * shape.stride;
  for (var expert = lane; expert < shape.experts; expert += 64u) {
    let value = logits[begin + expert];
    let key = order_key(value);
    var rank = 0u;
    for (var other = 0u; other < shape.experts; other++) {
      let rival = order_key(logits[begin + other]);
      rank += select(0u, 1u, rival > key || (rival == key && other < expert));
    }
    if (rank < shape.used) {
      chosen[rank] = expert;
      values[rank] = value;
    }
  }
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < shape.used; i++) {
    total += exp(values[i] - values[0]);
  }
  for (var i = lane; i < shape.used; i += 64u) {
    routes[group.x * shape.used + i] = vec2u(chosen[i], bitcast<u32>(exp(values[i] - values[0]) / total));
  }
}
