// The state of the live link, for the shell to show on every page.

export type LinkState = "idle" | "connecting" | "live" | "lost";

const state = $state({ link: "idle" as LinkState, heard_ms: 0 });

export const link = {
  get state(): LinkState {
    return state.link;
  },
  /** When the server was last heard, by the browser's clock; 0 if never. */
  get heard_ms(): number {
    return state.heard_ms;
  },
  connecting(): void {
    if (state.link !== "lost") state.link = "connecting";
  },
  heard(): void {
    state.link = "live";
    state.heard_ms = Date.now();
  },
  lost(): void {
    state.link = "lost";
  },
  closed(): void {
    state.link = "idle";
  },
};
