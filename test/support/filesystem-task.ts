/** What `filesystem-child.ts` is told to do. */
export type FilesystemTask = { readonly dir: string } & (
  | { readonly do: 'increment'; readonly handle: string; readonly times: number }
  | { readonly do: 'write-until-killed'; readonly handles: readonly string[]; readonly name: string }
  | { readonly do: 'create'; readonly name: string; readonly times: number; readonly threshold: number }
  | {
      /** Everything once. */
      readonly do: 'try';
      readonly handle: string;
      /** The size of what it tries to write. */
      readonly bytes: number;
      /** Who it is when it was started by root. */
      readonly uid?: number;
    }
);
