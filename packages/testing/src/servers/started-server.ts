/** The one shape of all launchers: a server of our own, in a folder of its own, on a port of its own. */
export interface StartedServer {
  /** How a driver connects. Stays the same over `restart`. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** The server's own version, such as `18.4`. */
  readonly version: string;
  /** The process to send signals to; null while none runs. */
  pid(): number | null;
  /**
   * Sends a signal. Resolves when the process is gone, or at once for SIGSTOP, SIGCONT and SIGHUP, which do not end it.
   * Does nothing when none runs.
   */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts again on the same data and port, after a `kill` or instead of the running one, which is stopped first. */
  restart(): Promise<void>;
  /** Ends the server – politely, then by force – and removes its folder. A second stop resolves with the first. */
  stop(): Promise<void>;
}
