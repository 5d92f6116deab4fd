// Work that must not pile up: a server that answers slower than it is asked is not asked again before it has answered.

export class OneAtATime {
  readonly #work: () => Promise<void>;
  #running = false;
  #again = false;

  /** `work` deals with what goes wrong in it by itself. */
  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** Does the work, unless it is being done. */
  unlessRunning(): void {
    if (!this.#running) void this.#run();
  }

  /** Does the work; if it is being done, once more after that: what has just changed may not be in it. */
  soon(): void {
    if (this.#running) this.#again = true;
    else void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      do {
        this.#again = false;
        await this.#work();
      } while (this.#again);
    } finally {
      this.#running = false;
    }
  }
}
