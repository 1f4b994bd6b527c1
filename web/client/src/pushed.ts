/** Values that are pushed, for one reader that iterates over them. */
export class Pushed<Value> implements AsyncIterable<Value> {
  readonly #values: Value[] = [];
  #ended = false;
  #wake: () => void = () => {};

  push(value: Value): void {
    this.#values.push(value);
    this.#wake();
  }

  /** The reader receives the values that are there, and then the end. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Value> {
    for (;;) {
      yield* this.#values.splice(0);
      if (this.#ended && this.#values.length === 0) return;
      if (this.#values.length === 0) await new Promise<void>((resolve) => { this.#wake = resolve; });
    }
  }
}
