// matmul_inputs: what both forms of mat-mat are given; y is bound by each as it writes it.
struct Shape {
  blocks: u32,
  outputs: u32,
  x_stride: u32,      // vec4s
  y_stride: u32,
  y_offset: u32,
  accumulate: u32,    // 1: y += instead of y =
  unused_0: u32,
  unused_1: u32,
}
@group(0) @binding(0) var<storage, read> weights: array<u32>;
@group(0) @binding(1) var<storage, read> quads: array<vec4u>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(4) var<uniform> shape: Shape;
