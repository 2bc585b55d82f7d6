// dequantize: panels of quantized weights as f32, in the order that matmul reads: [panel][column][output in panel].
// Grid      one block a workgroup in x, one panel in y; an invocation an output.
// Numerics  scale * q + minimum in f32, rounded once or twice: as exact as the type's definition.
const PANEL = 64u;
struct Shape {
  blocks: u32,
  panel_first: u32,   // of the matrix; the output begins with it
  panels: u32,
  unused: u32,
}
@group(0) @binding(0) var<storage, read> weights: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<f32>;
@group(0) @binding(2) var<uniform> shape: Shape;
//#include ${BLOCK}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = group.x;
  let at = ((shape.panel_first + group.y) * shape.blocks + block) * ${BLOCK_WORDS * PANEL} + lane;
  let to = (group.y * shape.blocks + block) * ${BLOCK_COLUMNS * PANEL} + lane;
  //#if SCALED
  let scale = block_scale(at);
  //#end
  //#repeat i LOTS
  {
    let lot = block_lot(at + ${(SCALE_WORDS + i * LOT_WORDS) * PANEL}u);
    //#repeat c CHUNKS
    {
      //#if SCALED
      let value = scale.x * (chunk_${c}(lot) * CHUNK_UNIT) + scale.y;
      //#else
      let value = chunk_${c}(lot);
      //#end
      values[to + ${(i + c * LOTS) * 4 * PANEL}u] = value.x;
      values[to + ${((i + c * LOTS) * 4 + 1) * PANEL}u] = value.y;
      values[to + ${((i + c * LOTS) * 4 + 2) * PANEL}u] = value.z;
      values[to + ${((i + c * LOTS) * 4 + 3) * PANEL}u] = value.w;
    }
    //#end
  }
  //#end
}
