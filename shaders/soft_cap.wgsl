// soft_cap: y = cap * tanh(y / cap) in place, for rows of logits. What is not finite stays so.
// Grid      64 vec4s a workgroup in x, one row in y.
struct Shape {
  width: u32,         // vec4s
  stride: u32,        // vec4s
  cap: f32,
  unused: u32,
}
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<uniform> shape: Shape;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global: vec3u) {
  if (global.x >= shape.width) {
    return;
  }
  let at = global.y * shape.stride + global.x;
  let v = y[at];
  // tanh(10) is 1 in f32; some tanh overflow far beyond.
  let capped = shape.cap * tanh(clamp(v / shape.cap, vec4f(-10.0), vec4f(10.0)));
  let finite = (bitcast<vec4u>(v) & vec4u(0x7f800000u)) != vec4u(0x7f800000u);
  y[at] = select(v, capped, finite);
}
