/** The functions of TanStack AI that the adapter uses. Its types are not installed here, because the page does not need them. */
declare module "@tanstack/ai/client" {
  /** Throws if the value is not JSON. */
  export function canonicalInterruptJson(value: unknown): string;
  export function digestInterruptJson(canonicalJson: string): string;
}
