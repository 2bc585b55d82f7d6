/** What a worker says that it found, for tests that have none. */

import type { DetectedEngine } from '../../src/peer/index.ts'

export const detectedEngine: DetectedEngine = {
  engine: 'webgpu',
  adapter: 'Test adapter',
  software: false,
  numericClass: 'test',
  kernelVersion: '1',
  macsPerSecond: 1e9,
}
