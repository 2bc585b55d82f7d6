// row_blocks: the layout of an i8b row, as protocol/rowBlocks has it.
// Layout    exponent; OUTLIERS words of column | f16 mantissa << 16, largest first; two f16 scales a word, one a block of 32 columns;
//           four quants a word. A narrower row has fewer outliers.
const OUTLIERS = 8u;

struct BlockRow {
  outliers: u32,      // how many
  scales_at: u32,     // words from the row's begin
  quants_at: u32,
  words: u32,
}

fn block_row() -> BlockRow {
  let outliers = min(OUTLIERS, shape.width);
  let scales_at = 1u + outliers;
  let quants_at = scales_at + (shape.width + 63u) / 64u;
  return BlockRow(outliers, scales_at, quants_at, quants_at + (shape.width + 3u) / 4u);
}

// Orders outliers: larger magnitudes first, then lower columns. No two columns have the same, and none has 0.
fn outlier_key(half: u32, column: u32) -> u32 {
  return ((half & 0x7fffu) << 16u) | (0xffffu - column);
}

// An f16 magnitude is significand * 2^(exponent - 25).
fn half_exponent(magnitude: u32) -> u32 {
  return max(magnitude >> 10u, 1u);
}
fn half_significand(magnitude: u32) -> u32 {
  return select(magnitude, 1024u | (magnitude & 1023u), magnitude >= 1024u);
}
