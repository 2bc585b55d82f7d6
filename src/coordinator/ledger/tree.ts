/**
 * The Merkle tree over events, as RFC 6962 (section 2.1) has it: an account that kept a head of 72 bytes can check that one line is in it, and
 * that a later head extends it, with one hash for each doubling of the ledger. Complete subtrees of every 256 leaves are kept, so
 * that no proof needs more than some thousand hashes.
 */

import { assert, concatBytes, fromHex, required, type Sha256, toHex } from '../../shared/index.ts'

/** A complete subtree: 2^level leaves from `index`·2^level on. Level 0 is an event's hash. */
export interface TreeNode {
  readonly level: number
  readonly index: number
  /** SHA-256 in hex. */
  readonly hash: string
}

/** Hashes of `count` nodes of one level from `first` on. Asked only for levels that are multiples of NODE_LEVELS. */
export type ReadNodes = (level: number, first: number, count: number) => Promise<readonly string[]>

/** Levels between those that are kept. */
export const NODE_LEVELS = 8
const NODE = new Uint8Array([1])

async function hashPair(left: string, right: string, sha256: Sha256): Promise<string> {
  return toHex(await sha256(concatBytes([NODE, fromHex(left), fromHex(right)])))
}

/** The right edge of a growing tree: its largest complete subtrees from left to right, one of a level at most. */
export class TreeEdge {
  readonly #sha256: Sha256
  readonly #peaks: TreeNode[]

  constructor(sha256: Sha256, peaks: readonly TreeNode[] = []) {
    this.#sha256 = sha256
    this.#peaks = [...peaks]
  }

  get peaks(): readonly TreeNode[] {
    return this.#peaks
  }

  /** Leaves so far. */
  get size(): number {
    return this.#peaks.reduce((sum, { level }) => sum + 2 ** level, 0)
  }

  /** Appends a complete subtree no larger than the last; gives all that it completed, itself not. */
  async push(level: number, hash: string): Promise<readonly TreeNode[]> {
    const completed: TreeNode[] = []
    let node: TreeNode = { level, index: this.size / 2 ** level, hash }
    assert(Number.isInteger(node.index), `a subtree of level ${level} behind ${this.size} leaves`)
    for (let last = this.#peaks.at(-1); last?.level === node.level; last = this.#peaks.at(-1)) {
      this.#peaks.pop()
      node = { level: node.level + 1, index: last.index / 2, hash: await hashPair(last.hash, node.hash, this.#sha256) }
      completed.push(node)
    }
    this.#peaks.push(node)
    return completed
  }

  /** The root over all leaves; of an empty tree the hash of nothing. */
  async root(): Promise<string> {
    let root: string | null = null
    for (const { hash } of [...this.#peaks].reverse()) root = root === null ? hash : await hashPair(hash, root, this.#sha256)
    return root ?? toHex(await this.#sha256(new Uint8Array()))
  }
}

/** The path from leaf `index` to the root of the first `size` leaves (RFC 6962, 2.1.1). */
export async function inclusionProof(index: number, size: number, read: ReadNodes, sha256: Sha256): Promise<readonly string[]> {
  assert(0 <= index && index < size, `leaf ${index} of ${size}`)
  const path: string[] = []
  let first = 0
  let end = size
  while (end - first > 1) {
    const middle = first + largestPowerBelow(end - first)
    const [other, mine] =
      index < middle
        ? [
            [middle, end],
            [first, middle],
          ]
        : [
            [first, middle],
            [middle, end],
          ]
    path.push(await rangeRoot(other[0] ?? 0, other[1] ?? 0, read, sha256))
    first = mine[0] ?? 0
    end = mine[1] ?? 0
  }
  return path.reverse()
}

/** Shows that the first `size` leaves begin with the first `oldSize` (RFC 6962, 2.1.2). Empty where nothing needs showing. */
export async function consistencyProof(oldSize: number, size: number, read: ReadNodes, sha256: Sha256): Promise<readonly string[]> {
  assert(0 <= oldSize && oldSize <= size, `${oldSize} of ${size} leaves`)
  if (oldSize === 0 || oldSize === size) return []
  const path: string[] = []
  let first = 0
  let end = size
  while (end !== oldSize) {
    const middle = first + largestPowerBelow(end - first)
    if (oldSize <= middle) {
      path.push(await rangeRoot(middle, end, read, sha256))
      end = middle
    } else {
      path.push(await rangeRoot(first, middle, read, sha256))
      first = middle
    }
  }
  if (first > 0) path.push(await rangeRoot(first, end, read, sha256))
  return path.reverse()
}

/** Whether `leaf`, an event's hash, is leaf `index` of the tree of `size` leaves under `root`. */
export async function verifyInclusion(
  claim: { readonly leaf: string; readonly index: number; readonly size: number; readonly root: string },
  path: readonly string[],
  sha256: Sha256,
): Promise<boolean> {
  const { leaf, index, size, root } = claim
  const steps = index < size ? climb(index, size - 1, path) : null
  if (steps === null) return false
  let hash = leaf
  for (const { other, isLeft } of steps) hash = isLeft ? await hashPair(other, hash, sha256) : await hashPair(hash, other, sha256)
  return hash === root
}

/** Whether the tree of `size` leaves under `root` begins with that of `oldSize` leaves under `oldRoot`. */
export async function verifyConsistency(
  claim: { readonly oldSize: number; readonly oldRoot: string; readonly size: number; readonly root: string },
  path: readonly string[],
  sha256: Sha256,
): Promise<boolean> {
  const { oldSize, oldRoot, size, root } = claim
  if (oldSize >= size) return oldSize === size && path.length === 0 && oldRoot === root
  if (oldSize === 0) return path.length === 0
  let index = oldSize - 1
  let last = size - 1
  while (index % 2 === 1) [index, last] = [Math.floor(index / 2), Math.floor(last / 2)]
  // A complete old tree is itself where the path begins.
  const [seed, ...rest] = index === 0 ? [oldRoot, ...path] : path
  const steps = climb(index, last, rest)
  if (seed === undefined || steps === null) return false
  let oldHash = seed
  let hash = seed
  for (const { other, isLeft } of steps) {
    if (isLeft) oldHash = await hashPair(other, oldHash, sha256)
    hash = isLeft ? await hashPair(other, hash, sha256) : await hashPair(hash, other, sha256)
  }
  return oldHash === oldRoot && hash === root
}

/** The sides on which the hashes of `path` join on the way up from node `index` of a row that ends with `last`; null if their number is wrong. */
function climb(index: number, last: number, path: readonly string[]): readonly { other: string; isLeft: boolean }[] | null {
  const steps: { other: string; isLeft: boolean }[] = []
  for (const other of path) {
    if (last === 0) return null
    const isLeft = index % 2 === 1 || index === last
    steps.push({ other, isLeft })
    // The last node of an odd row has no neighbour, and goes up as it is.
    while (isLeft && index % 2 === 0 && index !== 0) [index, last] = [index / 2, Math.floor(last / 2)]
    ;[index, last] = [Math.floor(index / 2), Math.floor(last / 2)]
  }
  return last === 0 ? steps : null
}

/** The root over leaves [first, end) as a tree of their own; `first` is a multiple of a power of two that is no smaller than their number. */
async function rangeRoot(first: number, end: number, read: ReadNodes, sha256: Sha256): Promise<string> {
  const edge = new TreeEdge(sha256)
  let at = first
  while (at < end) {
    const level = Math.floor(Math.log2(end - at) / NODE_LEVELS) * NODE_LEVELS
    const width = 2 ** level
    const count = Math.floor((end - at) / width)
    const hashes = await read(level, at / width, count)
    for (let index = 0; index < count; index++)
      await edge.push(level, required(hashes[index], `node ${at / width + index} of level ${level}`))
    at += count * width
  }
  return edge.root()
}

/** The largest power of two below `count`, which is more than 1. */
function largestPowerBelow(count: number): number {
  return 2 ** Math.ceil(Math.log2(count) - 1)
}
