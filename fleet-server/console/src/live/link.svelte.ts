// The state of the live link, for the shell to show on every page.

export type LinkState = "idle" | "connecting" | "live" | "lost";

const state = $state({ link: "idle" as LinkState });

export const link = {
  get state(): LinkState {
    return state.link;
  },
  /** On the way to being live; a link that was lost stays that until it is. */
  connecting(): void {
    if (state.link !== "lost") state.link = "connecting";
  },
  heard(): void {
    state.link = "live";
  },
  lost(): void {
    state.link = "lost";
  },
  /** Nothing is followed. */
  closed(): void {
    state.link = "idle";
  },
};
