import { connect } from "node:net";

/** Whether anybody takes TCP connections on a port of 127.0.0.1. It need not be whom one looks for. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
