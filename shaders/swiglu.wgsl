// swiglu: y[r, c] = silu(gate[r, c]) * up[r, c], gate and up side by side as the fused mat-mul leaves them: [row, gate | up].
// Grid      64 vec4s a workgroup in x, one row in y.
struct Shape {
  width: u32,         // of the feed-forward, vec4s
  unused_0: u32,
  unused_1: u32,
  unused_2: u32,
}
@group(0) @binding(0) var<storage, read> gate_up: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global: vec3u) {
  if (global.x >= shape.width) {
    return;
  }
  let at = global.y * 2u * shape.width + global.x;
  let gate = gate_up[at];
  // Below -80 silu is 0 in f32 anyway; the bound keeps exp finite.
  y[global.y * shape.width + global.x] = gate / (1.0 + exp(min(-gate, vec4f(80.0)))) * gate_up[at + shape.width];
}
