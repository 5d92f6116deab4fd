// When a map may be moved without being asked to: not while it is on its way to where somebody has sent it.

/**
 * Calls this once, when so long has passed and the map is at rest; never again after what is returned was called. While it
 * moves, it is looked at again after as long.
 */
export function onceAtRest(map: { isMoving(): boolean }, wait_ms: number, then: () => void): () => void {
  let waiting: ReturnType<typeof setTimeout>;
  const wait = (): void => {
    waiting = setTimeout(() => (map.isMoving() ? wait() : then()), wait_ms);
  };
  wait();
  return () => clearTimeout(waiting);
}
