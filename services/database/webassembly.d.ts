// The part that schema-engine.ts uses. TypeScript declares WebAssembly in its DOM library only, which a server must not pull in.
declare namespace WebAssembly {
  type ModuleImports = Record<string, unknown>
  interface Instance { readonly exports: Record<string, unknown> }
  function instantiate (bytes: Uint8Array, imports: Record<string, ModuleImports>): Promise<{ instance: Instance }>
}
