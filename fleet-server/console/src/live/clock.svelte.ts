// The server's time, by the browser's clock and the offset that the live feed tells. Ages are counted by it: a browser
// whose clock is wrong must not make a stale value look fresh.

/**
 * So many of the latest messages decide. What was held up on its way tells a time that is over, so the greatest offset
 * of them is the truest; a clock that was set anew is followed when all of them are of it.
 */
const MESSAGES = 8;

const state = $state({ offset_ms: 0, now_ms: Date.now() });
let offsets: readonly number[] = [];

setInterval(() => {
  state.now_ms = clock.exact();
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
  /** The server said what time it was when it sent its message. */
  set(server_ms: number): void {
    offsets = [...offsets, server_ms - Date.now()].slice(-MESSAGES);
    state.offset_ms = Math.max(...offsets);
    state.now_ms = clock.exact();
  },
};
