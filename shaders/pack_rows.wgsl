// pack_rows: rows as they go out, read as bits, in one of the encodings of protocol/rows: pack_rows_*.wgsl, each with its main.
// Anything that is not finite raises flags[0].
// Grid      one row a workgroup in x, 32 lanes.
// Numerics  whole numbers only; equal to encodeRows byte for byte.
struct Shape {
  width: u32,
  x_stride: u32,
  unused_0: u32,
  unused_1: u32,
}
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> packed: array<u32>;
@group(0) @binding(2) var<storage, read_write> flags: array<atomic<u32>>;
@group(0) @binding(3) var<uniform> shape: Shape;
//#include work
//#include pack_rows_${ENCODING}
