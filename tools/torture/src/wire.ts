/** What a relay and the destination say to each other: a JSON object a line, over a socket. */
export interface SentMessage {
  readonly id: string;
  readonly topic: string;
  readonly key: string | null;
  readonly sequence: string;
  /** base64; null: none. */
  readonly payload: string | null;
}

/** One call of the transport. */
export interface Call {
  readonly call: number;
  readonly messages: readonly SentMessage[];
}

/** `behind`: not taken, because an earlier one of its key was not confirmed. */
export type Answer = "confirmed" | "rejected" | "retryMessage" | "retryTopic" | "retryTransport" | "unknown" | "behind";

export interface Reply {
  readonly call: number;
  /** One for each message, in their order. */
  readonly answers: readonly Answer[];
}

/** Cuts a stream of text into lines and hands each on as the object it holds. */
export function objectsIn<Line>(onLine: (line: Line) => void): (text: string) => void {
  let rest = "";
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(JSON.parse(line) as Line);
  };
}
