// attention_combine: the sums of a decode row's splits, in order of position, as one attention output [row, heads * head size].
// Grid      one head of one row a workgroup in (x, y); an invocation four dimensions.
struct Shape {
  heads: u32,
  head_vec4s: u32,
  splits: u32,        // capacity of `partials` for each vector
  split_positions: u32,
  window: u32,
  unused_0: u32,
  unused_1: u32,
  unused_2: u32,
}
@group(0) @binding(0) var<storage, read> partials: array<vec4f>; // [row, head, split]: (maximum, total, 0, 0), then the sums
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> shape: Shape;
//#include work

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (lane >= shape.head_vec4s) {
    return;
  }
  let head = group.y * shape.heads + group.x;
  let last = rows[work.row_base + group.y].position;
  let first = select(0u, last + 1u - shape.window, last >= shape.window);
  let splits = last / shape.split_positions - first / shape.split_positions + 1u;
  let stride = shape.head_vec4s + 1u;
  let begin = head * shape.splits * stride;
  var best = partials[begin].x;
  for (var split = 1u; split < splits; split++) {
    best = max(best, partials[begin + split * stride].x);
  }
  var sum = vec4f();
  var total = 0.0;
  for (var split = 0u; split < splits; split++) {
    let at = begin + split * stride;
    let part = partials[at];
    // exp(0) need not be 1; one split alone must give what the attention shader writes by itself.
    let factor = select(exp(part.x - best), 1.0, part.x == best);
    total += part.y * factor;
    sum += partials[at + 1u + lane] * factor;
  }
  y[head * shape.head_vec4s + lane] = sum / total;
}
