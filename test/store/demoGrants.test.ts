/** A coordinator without a store of its own, as in `demo`: credits are gone with it, and whoever asks is given some. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { DEFAULT_STARTER_POLICY, DEMO_STARTER_POLICY } from '../../src/coordinator/accounts/index.ts'
import { hashManifest } from '../../src/model/index.ts'
import { createServer } from '../../src/server.ts'
import { KERNEL_VERSION } from '../../src/worker/index.ts'
import { testData } from '../support/gguf.ts'
import { openTinyModel } from '../support/tinyModels.ts'
import { identified, pledge, serveNext, sha256 } from '../unit/coordinator/serverWorld.ts'

/** More than any limit of the default policy lets through from one place. */
const NEWCOMERS = 8

it('[E5] in demo the limits of starter grants are off: no block’s, and no day’s', async () => {
  const webRoot = await mkdtemp(path.join(tmpdir(), 'tabswarm-demo-'))
  onTestFinished(() => rm(webRoot, { recursive: true, force: true }))
  await writeFile(path.join(webRoot, 'index.html'), '<title>Tabswarm</title>')
  const { manifest } = await openTinyModel('llama')
  const bytes = testData('tiny/llama.gguf')
  const read = async ({ byteOffset, byteLength }: { byteOffset: number; byteLength: number }) =>
    bytes.subarray(byteOffset, byteOffset + byteLength)
  const models = [{ hashedManifest: { manifest, hash: await hashManifest(manifest, sha256) }, source: { read } }]
  const server = await createServer({ host: '127.0.0.1', port: 0, models, minStages: 1, webRoot })
  onTestFinished(() => server.close())
  const control = new URL('/control', server.url.replace(/^http/, 'ws')).href
  const volunteer = await identified(control)
  volunteer.client.send({ ...pledge(), kernelVersion: KERNEL_VERSION })
  await serveNext(volunteer.client)
  // From here on its store is open.
  await volunteer.client.next('account')
  const grants: bigint[] = []
  for (let index = 0; index < NEWCOMERS; index++) {
    const { client } = await identified(control)
    client.send({ type: 'admit', requestId: 'r', modelId: manifest.id, promptTokens: 3, maxTokens: 4 })
    for (;;) {
      const { granted, held } = await client.next('account')
      if (granted === '0') continue
      // All that is held came from it.
      grants.push(BigInt(granted) + BigInt(held))
      break
    }
  }
  expect(grants).toEqual(Array(NEWCOMERS).fill(DEMO_STARTER_POLICY.amount))
  expect(BigInt(NEWCOMERS) * DEMO_STARTER_POLICY.amount).toBeGreaterThan(DEFAULT_STARTER_POLICY.poolADay)
})
