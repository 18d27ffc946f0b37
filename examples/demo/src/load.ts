/**
 * Makes the planned requests and does not give up: one without an answer, or with one that says "again", is repeated with its own id until it is known what
 * became of it. So a killed service costs time and nothing else.
 */
import type { Intent } from "@waybill/auditor";

/** Something to be done once, such as an order to be placed. */
export interface PlannedRequest {
  /** By which the service knows it; the id of the message that tells of it, too. */
  readonly id: string;
  /** The message's. */
  readonly key: string;
  readonly body: object;
}

export interface Load {
  /** Requests whose end is known. */
  answered(): number;
  /** Requests that were repeated. */
  repeated(): number;
  /** What the writers meant and learnt, for the audit. A request that nobody answered until the deadline is unknown. */
  run(): Promise<readonly Intent[]>;
}

export interface LoadOptions {
  readonly requests: readonly PlannedRequest[];
  /** Where they go: 200 and 201 say done, 402 refused. */
  readonly url: string;
  readonly concurrency: number;
  /** Of the messages. */
  readonly topic: string;
  /** How many requests may have been begun by now. Others wait. */
  readonly mayBegin: () => number;
  /** Ends all attempts. */
  readonly signal: AbortSignal;
}

const requestDeadlineMs = 5_000;
const repeatAfterMs = 50;
const lookEveryMs = 5;

export function createLoad({ requests, url, concurrency, topic, mayBegin, signal }: LoadOptions): Load {
  const intents: Intent[] = [];
  let next = 0;
  let repeated = 0;

  const make = async ({ body }: PlannedRequest): Promise<Intent["outcome"]> => {
    while (!signal.aborted) {
      const status = await post(url, body, signal);
      if (status === 201 || status === 200) return "committed";
      if (status === 402) return "rolledBack";
      if (status !== null && status < 500) throw new Error(`${url} answered ${status} to a request of the plan.`);
      repeated += 1;
      await new Promise((resolve) => setTimeout(resolve, repeatAfterMs));
    }
    return "unknown";
  };

  const work = async (): Promise<void> => {
    for (let index = next++; index < requests.length; index = next++) {
      while (index >= mayBegin() && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      const request = requests[index] as PlannedRequest;
      const outcome = await make(request);
      intents.push({ messageId: request.id, topic, key: request.key, outcome });
    }
  };

  return {
    answered: () => intents.length,
    repeated: () => repeated,
    async run() {
      await Promise.all(Array.from({ length: concurrency }, work));
      return intents;
    },
  };
}

/** The status of the answer; null if there was none. */
async function post(url: string, body: object, signal: AbortSignal): Promise<number | null> {
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(requestDeadlineMs)]),
    });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return null;
  }
}
