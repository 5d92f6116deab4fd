// Whether the server lets this browser in. Its token ends with the server's run, and all tabs share it: a link that is
// opened in one of them lets the others in, which find out by asking.

/** How often a locked console that is looked at asks whether it is let in by now. */
const AGAIN_MS = 30_000;
/** The question is a small one; a longer wait is for an answer that does not come. */
const PATIENCE_MS = 10_000;

const state = $state({ locked: false });
let asking: ReturnType<typeof setInterval> | undefined;

export const access = {
  get locked(): boolean {
    return state.locked;
  },
  lost(): void {
    if (state.locked) return;
    state.locked = true;
    asking = setInterval(ask, AGAIN_MS);
    document.addEventListener("visibilitychange", ask);
  },
};

/** How the server answers this browser now: a status of HTTP, and 0 if it does not. */
export async function knock(): Promise<number> {
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    return (await fetch("/api/v1/catalogue", { method: "HEAD", signal })).status;
  } catch {
    return 0;
  }
}

async function ask(): Promise<void> {
  if (document.hidden || (await knock()) !== 200) return;
  clearInterval(asking);
  document.removeEventListener("visibilitychange", ask);
  state.locked = false;
}
