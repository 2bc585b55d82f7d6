// embedding: x[row] = factor * the table's row of token `rows[row].token`, dequantized. The table lies in matvec's layout (a tied head
// shares it) and may be one of several parts; ids of other parts are left alone.
// Grid      one row a workgroup in y, 64 blocks in x.
const PANEL = 64u;
struct Shape {
  blocks: u32,
  id_first: u32,
  id_count: u32,
  x_stride: u32,      // vec4s
  factor: f32,
  unused_0: u32,
  unused_1: u32,
  unused_2: u32,
}
@group(0) @binding(0) var<storage, read> weights: array<u32>;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<uniform> shape: Shape;
//#include work
//#include ${BLOCK}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global: vec3u) {
  let row = work.row_first + global.y;
  let block = global.x;
  let id = rows[work.row_base + row].token - shape.id_first; // wraps to a large number below the part
  if (block >= shape.blocks || id >= shape.id_count) {
    return;
  }
  let at = ((id / PANEL) * shape.blocks + block) * ${BLOCK_WORDS * PANEL} + id % PANEL;
  let to = row * shape.x_stride + block * ${BLOCK_COLUMNS / 4};
  //#if SCALED
  let scale = block_scale(at);
  //#end
  //#repeat i LOTS
  {
    let lot = block_lot(at + ${(SCALE_WORDS + i * LOT_WORDS) * PANEL}u);
    //#repeat c CHUNKS
    //#if SCALED
    x[to + ${i + c * LOTS}u] = shape.factor * (scale.x * (chunk_${c}(lot) * CHUNK_UNIT) + scale.y);
    //#else
    x[to + ${i + c * LOTS}u] = shape.factor * chunk_${c}(lot);
    //#end
    //#end
  }
  //#end
}
