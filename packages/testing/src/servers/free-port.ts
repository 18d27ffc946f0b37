import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Below the range from which Linux (and Windows' relatives) take ports for outgoing connections, so that none of those takes ours. */
const portMin = 20_000;
const portMax = 32_767;
const triesMax = 100;

/**
 * A TCP port on 127.0.0.1 that was free a moment ago, from 20000 to 32767. Nobody reserves it: who binds it must be ready to lose
 * the race and ask again.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < triesMax; attempt += 1) {
    const port = randomInt(portMin, portMax + 1);
    if (await canBind(port)) return port;
  }
  throw new Error(`Found no free port between ${portMin} and ${portMax} on 127.0.0.1 in ${triesMax} tries.`);
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}
