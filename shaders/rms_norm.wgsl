// rms_norm: y[r] = x[r] / sqrt(mean(x[r]^2) + epsilon) * weight. With GATHER, row r of y comes from row work.selected[r] of x; with
// ADD it is added to y (the residual).
// Grid      one row a workgroup, 32 lanes. One barrier: each lane adds the 32 partial sums itself, in order.
struct Shape {
  width: u32,         // vec4s
  epsilon: f32,
  unused_0: u32,
  unused_1: u32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(3) var<uniform> shape: Shape;
//#include work
var<workgroup> partial: array<f32, 32>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  //#if GATHER
  let begin = work.selected[group.x / 4u][group.x % 4u] * shape.width;
  //#else
  let begin = group.x * shape.width;
  //#end
  var squares = 0.0;
  for (var column = lane; column < shape.width; column += 32u) {
    let v = x[begin + column];
    squares += dot(v, v);
  }
  partial[lane] = squares;
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < 32u; i++) {
    sum += partial[i];
  }
  let scale = 1.0 / sqrt(sum / f32(shape.width * 4u) + shape.epsilon);
  for (var column = lane; column < shape.width; column += 32u) {
    let to = group.x * shape.width + column;
    //#if ADD
    y[to] += x[begin + column] * scale * weight[column];
    //#else
    y[to] = x[begin + column] * scale * weight[column];
    //#end
  }
}
