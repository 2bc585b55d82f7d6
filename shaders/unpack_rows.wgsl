// unpack_rows: rows as they came from the wire, as f32: the inverse of pack_rows. unpack_rows_*.wgsl, each with its main.
// Grid      one row a workgroup in y, 64 pairs of columns in x.
// Numerics  whole numbers only; equal to decodeRows bit for bit.
struct Shape {
  width: u32,
  x_stride: u32,
  unused_0: u32,
  unused_1: u32,
}
@group(0) @binding(0) var<storage, read> packed: array<u32>;
@group(0) @binding(1) var<storage, read_write> x: array<u32>;
@group(0) @binding(2) var<uniform> shape: Shape;
//#include work
//#include unpack_rows_${ENCODING}
