// expert_combine: y[r] += sum over the slots s of weight[r, s] * x[r, s], slots in order.
// Grid      64 columns a workgroup in x, one row in y.
struct Shape {
  width: u32,
  used: u32,
  unused_0: u32,
  unused_1: u32,
}
@group(0) @binding(0) var<storage, read> routes: array<vec2u>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> shape: Shape;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global: vec3u) {
  if (global.x >= shape.width) {
    return;
  }
  var sum = 0.0;
  for (var i = 0u; i < shape.used; i++) {
    let slot = global.y * shape.used + i;
    sum += bitcast<f32>(routes[slot].y) * x[slot * shape.width + global.x];
  }
  y[global.y * shape.width + global.x] += sum;
}
