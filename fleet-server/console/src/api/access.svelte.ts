// Whether the server lets this browser in. Its token ends with the server's run.

const state = $state({ locked: false });

export const access = {
  get locked(): boolean {
    return state.locked;
  },
  lost(): void {
    state.locked = true;
  },
};
