/** Chance as a port: the only file of the libraries that touches the real one. */
export interface Random {
  /** A number from 0 (included) to 1 (excluded). */
  fraction(): number;
}

/** The host's generator. Fit for jitter, not for secrets. */
export const systemRandom: Random = { fraction: () => Math.random() };
