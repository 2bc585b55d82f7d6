// attention_combine: the sums of a decode row's splits, in order of position, as one attention output [row, heads * head size].
// Grid      one head of one row a workgroup in (x, y), 64 dimensions at a time.
struct Shape {
  heads: u32,
  head_size: u32,
  splits: u32,        // capacity of `partials`
  split_positions: u32,
  window: u32,
  unused_0: u32,
  unused_1: u32,
  unused_2: u32,
}
@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> shape: Shape;
//#include work

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = group.y * shape.heads + group.x;
  let last = rows[work.row_base + group.y].position;
  let first = select(0u, last + 1u - shape.window, last >= shape.window);
  let splits = last / shape.split_positions - first / shape.split_positions + 1u;
  let stride = shape.head_size + 2u;
  let begin = head * shape.splits * stride;
  var best = partials[begin];
  for (var split = 1u; split < splits; split++) {
    best = max(best, partials[begin + split * stride]);
  }
  for (var d = lane; d < shape.head_size; d += 64u) {
    var sum = 0.0;
    var total = 0.0;
    for (var split = 0u; split < splits; split++) {
      let at = begin + split * stride;
      let factor = exp(partials[at] - best);
      total += partials[at + 1u] * factor;
      sum += partials[at + 2u + d] * factor;
    }
    y[head * shape.head_size + d] = sum / total;
  }
}
