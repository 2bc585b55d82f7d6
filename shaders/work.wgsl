// work: what one dispatch works on. Everything else is bound once at load; this alone changes from pass to pass.
struct Work {
  row_base: u32,      // of the run's first row in `rows`
  row_first: u32,     // first row of this piece, within the run
  row_count: u32,     // rows of this piece
  io_word: u32,       // where this piece's bytes begin in the input or output buffer, in words
  top_k: u32,
  named: u32,         // how many of `selected` are tokens whose logits are wanted beside the best
  unused_0: u32,
  unused_1: u32,
  selected: array<vec4u, 2>, // up to 8: rows of the run whose logits are wanted, or tokens
}
struct Row {
  position: u32,
  table: u32,         // where the block table of this row's slot begins in `tables`
  token: u32,
  unused: u32,
}
@group(1) @binding(0) var<uniform> work: Work;
@group(1) @binding(1) var<storage, read> rows: array<Row>;
@group(1) @binding(2) var<storage, read> tables: array<u32>;
@group(1) @binding(3) var<storage, read> angles: array<vec2f>;
