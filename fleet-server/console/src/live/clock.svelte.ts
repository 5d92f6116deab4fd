// The server's time, by the browser's clock and the offset that the live feed tells. Ages are counted by it: a browser
// whose clock is wrong must not make a stale value look fresh.

const state = $state({ offset_ms: 0, now_ms: Date.now() });

setInterval(() => {
  state.now_ms = Date.now() + state.offset_ms;
}, 1000);

export const clock = {
  /** Milliseconds since 1970 by the server's clock; moves on once a second, and whatever reads it is drawn anew. */
  get now_ms(): number {
    return state.now_ms;
  },
  /** The same, at this moment, for what is not drawn. */
  exact(): number {
    return Date.now() + state.offset_ms;
  },
  /** The server has just said what time it is. */
  set(server_ms: number): void {
    state.offset_ms = server_ms - Date.now();
    state.now_ms = server_ms;
  },
};
