/** What vite.config.ts makes of assembly/: WebAssembly in base64url. */
declare module 'virtual:simd-kernels' {
  export const sharedKernels: string
  export const unsharedKernels: string
}
