import { describe, expect, it } from 'vitest'
import { sha256Of } from '../../network/index.ts'
import { concatBytes, fromHex, toHex } from '../../shared/index.ts'
import { consistencyProof, inclusionProof, NODE_LEVELS, type ReadNodes, TreeEdge, verifyConsistency, verifyInclusion } from './tree.ts'

const sha256 = sha256Of(crypto.subtle)

/** The leaves and roots of Certificate Transparency's own tests. */
const KNOWN_LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const KNOWN_ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

interface Tree {
  /** roots[n]: of the first n leaves. */
  readonly roots: readonly string[]
  readonly leaves: readonly string[]
  readonly read: ReadNodes
}

/** A tree with the nodes that a store keeps, and no other. */
async function grow(leaves: readonly string[]): Promise<Tree> {
  const edge = new TreeEdge(sha256)
  const kept = new Map<string, string>()
  const roots = [await edge.root()]
  for (const [index, leaf] of leaves.entries()) {
    kept.set(`0/${index}`, leaf)
    for (const { level, index: at, hash } of await edge.push(0, leaf)) if (level % NODE_LEVELS === 0) kept.set(`${level}/${at}`, hash)
    roots.push(await edge.root())
  }
  const read: ReadNodes = async (level, first, count) =>
    Array.from({ length: count }, (_, at) => kept.get(`${level}/${first + at}`) ?? 'missing')
  return { roots, leaves, read }
}

async function numberedLeaves(count: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, async (_, index) => toHex(await sha256(Uint8Array.of(index % 256, index >> 8)))))
}

describe('tree', () => {
  it('gives the roots of RFC 6962', async () => {
    const leaves = await Promise.all(KNOWN_LEAVES.map(async (data) => toHex(await sha256(concatBytes([Uint8Array.of(0), fromHex(data)])))))
    expect((await grow(leaves)).roots.slice(1)).toEqual(KNOWN_ROOTS)
  })

  it('proves each leaf in each head, and no other leaf or place', async () => {
    const { roots, leaves, read } = await grow(await numberedLeaves(20))
    for (let size = 1; size <= 20; size++)
      for (let index = 0; index < size; index++) {
        const path = await inclusionProof(index, size, read, sha256)
        const claim = { leaf: leaves[index] ?? '', index, size, root: roots[size] ?? '' }
        expect(await verifyInclusion(claim, path, sha256)).toBe(true)
        expect(await verifyInclusion({ ...claim, leaf: leaves[(index + 1) % 20] ?? '' }, path, sha256)).toBe(false)
        expect(await verifyInclusion({ ...claim, root: roots[size - 1] ?? '' }, path, sha256)).toBe(false)
        expect(await verifyInclusion(claim, [...path, leaves[0] ?? ''], sha256)).toBe(false)
        if (size > 1) expect(await verifyInclusion({ ...claim, index: (index + 1) % size }, path, sha256)).toBe(false)
        if (size > 1) expect(await verifyInclusion(claim, path.slice(1), sha256)).toBe(false)
      }
  })

  it('proves that each head extends each earlier one, and refuses a fork', async () => {
    const leaves = await numberedLeaves(20)
    const { roots, read } = await grow(leaves)
    for (let size = 0; size <= 20; size++)
      for (let oldSize = 0; oldSize <= size; oldSize++) {
        const path = await consistencyProof(oldSize, size, read, sha256)
        const claim = { oldSize, oldRoot: roots[oldSize] ?? '', size, root: roots[size] ?? '' }
        expect(await verifyConsistency(claim, path, sha256)).toBe(true)
        if (oldSize === 0) continue
        const forked = leaves.map((leaf, index) => (index === oldSize - 1 ? (leaves[(index + 1) % 20] ?? '') : leaf))
        const fork = await grow(forked.slice(0, size))
        const path2 = await consistencyProof(oldSize, size, fork.read, sha256)
        expect(await verifyConsistency({ ...claim, root: fork.roots[size] ?? '' }, path2, sha256)).toBe(false)
      }
  })

  it('proves leaves of a tree that is larger than one kept subtree', async () => {
    const { roots, leaves, read } = await grow(await numberedLeaves(1_000))
    for (const [index, size] of [
      [0, 1_000],
      [255, 257],
      [256, 513],
      [999, 1_000],
      [511, 767],
    ] as const) {
      const path = await inclusionProof(index, size, read, sha256)
      expect(await verifyInclusion({ leaf: leaves[index] ?? '', index, size, root: roots[size] ?? '' }, path, sha256)).toBe(true)
      const grown = await consistencyProof(index + 1, size, read, sha256)
      const claim = { oldSize: index + 1, oldRoot: roots[index + 1] ?? '', size, root: roots[size] ?? '' }
      expect(await verifyConsistency(claim, grown, sha256)).toBe(true)
    }
  })
})
