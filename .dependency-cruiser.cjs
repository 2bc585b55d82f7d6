/**
 * The walls between the rooms, see docs/ARCHITECTURE.md. `only(room, others)`: files of `room` may import these rooms and
 * nothing else of src/; through index.ts, a room's only door.
 */
const only = (room, rooms) => ({
  name: `${room.replace('/', '-')}-walls`,
  comment: `src/${room} may only import: ${rooms.join(', ') || 'nothing'}`,
  severity: 'error',
  from: { path: `^src/${room}/`, pathNot: ['\\.test\\.tsx?$', '\\.worker\\.ts$'] },
  to: { path: '^src/', pathNot: [`^src/${room}/`, ...rooms.map((name) => `^src/${name}/`)] },
})

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'one-door',
      // worker/engine.ts is the half of worker's door that knows no GPU type: the pure rooms enter there.
      comment: 'a folder is entered through its index.ts',
      severity: 'error',
      from: { path: '^src/([^/]+(?:/(?:core|verification|server|accounts|audits|economy|gateway|ledger|store|browser|suite|locks))?)/' },
      to: {
        path: '^src/[^/]+/',
        pathNot: [
          '^src/$1/',
          '^src/[^/]+/(?:(?:core|verification|server|accounts|audits|economy|gateway|ledger|store|browser|suite|locks)/)?index\\.ts$',
          '^src/worker/engine\\.ts$',
        ],
      },
    },
    {
      name: 'roots-use-doors',
      comment: 'composition roots enter folders through index.ts too',
      severity: 'error',
      from: { path: '^src/[^/]+\\.tsx?$' },
      to: {
        path: '^src/[^/]+/',
        pathNot: [
          '^src/[^/]+/(?:(?:core|verification|server|accounts|audits|economy|gateway|ledger|store|browser|suite|locks)/)?index\\.tsx?$',
          '^src/ui/app\\.tsx$',
          '^src/cli/',
        ],
      },
    },
    only('shared', []),
    only('model', ['shared']),
    only('onnx', ['shared']),
    only('kernels', ['model', 'onnx', 'shared']),
    only('protocol', ['shared']),
    only('worker', ['kernels', 'model', 'protocol', 'shared']),
    only('network', ['protocol', 'shared']),
    only('account', ['protocol', 'shared']),
    only('receipts', ['protocol', 'shared']),
    only('session', ['model', 'protocol', 'receipts', 'shared']),
    only('cheats', ['model', 'protocol', 'shared', 'worker']),
    only('tolerance', ['cheats', 'coordinator/verification', 'kernels', 'model', 'protocol', 'shared', 'worker']),
    {
      name: 'cheats-stay-out',
      comment: 'engines that cheat are for benchmarks and tests: nothing that is built for a browser may reach them (decision 0263)',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/(cheats|tolerance|cli)/', '^src/worker/cheating\\.worker\\.ts$', '\\.test\\.tsx?$'] },
      to: { path: ['^src/(cheats|tolerance)/', '^src/worker/cheating\\.worker\\.ts$'] },
    },
    only('stage', ['model', 'protocol', 'receipts', 'shared', 'worker']),
    only('peer', ['coordinator/ledger', 'model', 'network', 'protocol', 'receipts', 'session', 'shared', 'stage', 'worker']),
    only('sim', ['coordinator/core', 'coordinator/verification', 'model', 'protocol', 'receipts', 'session', 'shared', 'stage', 'worker']),
    only('coordinator/core', ['protocol', 'model', 'shared']),
    only('coordinator/verification', ['protocol', 'shared']),
    only('coordinator/accounts', ['shared']),
    only('coordinator/ledger', ['model', 'shared']),
    only('coordinator/store', [
      'coordinator/accounts',
      'coordinator/ledger',
      'coordinator/verification',
      'network',
      'node/locks',
      'shared',
    ]),
    only('coordinator/economy', [
      'coordinator/accounts',
      'coordinator/core',
      'coordinator/ledger',
      'coordinator/store',
      'coordinator/verification',
      'model',
      'protocol',
      'shared',
    ]),
    only('coordinator/gateway', ['coordinator/accounts', 'coordinator/economy', 'coordinator/store', 'model', 'protocol', 'shared']),
    only('coordinator/audits', ['coordinator/economy', 'coordinator/verification', 'model', 'protocol', 'shared']),
    only('coordinator/server', [
      'coordinator/accounts',
      'coordinator/audits',
      'coordinator/core',
      'coordinator/economy',
      'coordinator/gateway',
      'coordinator/ledger',
      'coordinator/verification',
      'driver',
      'model',
      'network',
      'protocol',
      'shared',
    ]),
    only('driver', ['coordinator/gateway', 'model', 'network', 'peer', 'session', 'shared']),
    only('ui', ['peer', 'model', 'protocol', 'shared', 'kernels']),
    {
      name: 'pure-rooms',
      comment: 'no host in the pure rooms',
      severity: 'error',
      from: {
        path: '^src/(shared|model|protocol|receipts|session|stage|coordinator/core|coordinator/accounts|coordinator/audits|coordinator/ledger|coordinator/verification)/',
        pathNot: '\\.test\\.ts$',
      },
      to: { dependencyTypes: ['core'] },
    },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, path: '^src/', pathNot: ['\\.d\\.ts$', '\\.test\\.ts$'] }, to: {} },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.node.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.tsx', '.mjs', '.js'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'default'],
    },
  },
}
