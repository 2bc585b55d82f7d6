/** What a job is told: i32 words that the host writes. */

/** Operation, items, items a chunk, then what the operation takes. */
export const ARGUMENTS: usize = 512

/** How many items a thread takes at once; the last chunk may have fewer. */
export function itemsAtOnce(): i32 {
  return load<i32>(ARGUMENTS + 8)
}

export function argument(index: i32): i32 {
  return load<i32>(ARGUMENTS + 12 + ((<usize>index) << 2))
}

export function pointer(index: i32): usize {
  return <usize>argument(index)
}
