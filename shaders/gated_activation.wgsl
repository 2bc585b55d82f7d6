// gated_activation: y[r, c] = activation(gate[r, c]) * up[r, c], gate and up as the joined projection leaves them: [row, gate | up], or
// with PANELS [row, (64 of the gate | 64 of up) ...], the last ones filled up. Activation: SiLU, or GELU in its tanh form, which is gate * sigmoid(2u), u = sqrt(2/pi) (gate + 0.044715 gate^3).
// Grid      64 elements a workgroup in x, one row in y.
struct Shape {
  width: u32,         // of the feed-forward
  unused_0: u32,
  unused_1: u32,
  unused_2: u32,
}
@group(0) @binding(0) var<storage, read> gate_up: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global: vec3u) {
  if (global.x >= shape.width) {
    return;
  }
  //#if PANELS
  let at = global.y * 128u * ((shape.width + 63u) / 64u) + global.x + (global.x & ~63u);
  let up_at = at + 64u;
  //#else
  let at = global.y * 2u * shape.width + global.x;
  let up_at = at + shape.width;
  //#end
  let gate = gate_up[at];
  //#if GELU
  let z = 1.5957691216057308 * (gate + 0.044715 * gate * gate * gate);
  //#else
  let z = gate;
  //#end
  // Below -80 the sigmoid is 0 in f32 anyway; the bound keeps exp finite.
  y[global.y * shape.width + global.x] = gate / (1.0 + exp(min(-z, 80.0))) * gate_up[up_at];
}
