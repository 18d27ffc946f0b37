/**
 * The sockets of one kafkajs client, kept in our hands.
 *
 * Its `disconnect()` waits for a send that hangs, and a send that outlives it connects again and is written afterwards. So we never
 * call it. `destroy` ends every socket at once and refuses new ones: from then on nothing of this client can leave the process.
 * Every frame passes `leaving` before it is written, which may say what leaves in its place; one that may not leave is dropped, and
 * whoever waits for its answer is told otherwise by the one who said no. What comes in and cannot be read ends its socket: the library throws it at the process.
 */
import { isIP, connect as netConnect, type Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";
import type { KafkaTls } from "../connection-options.ts";
import { tlsOptions } from "../tls.ts";
import type { DriverSocketRequest } from "./driver.ts";

export interface Sockets {
  /** For the library: opens a socket. Throws once they are destroyed. */
  open(request: DriverSocketRequest): Socket;
  /** A second destroy does nothing. */
  destroy(): void;
}

const keepAliveDelayMs = 60_000;

export function createSockets(tls: KafkaTls | null, leaving: (frame: Uint8Array) => Uint8Array | null): Sockets {
  const opened = new Set<Socket>();
  let isDestroyed = false;

  const guardWrites = (socket: Socket): void => {
    const write = socket.write.bind(socket) as (bytes: Uint8Array, ...rest: unknown[]) => boolean;
    socket.write = ((bytes: Uint8Array, ...rest: unknown[]) => {
      const left = isDestroyed ? null : leaving(bytes);
      return left === null ? true : write(left, ...rest);
    }) as Socket["write"];
  };

  const guardReads = (socket: Socket): void => {
    const on = socket.on.bind(socket) as (name: string, listener: (...values: unknown[]) => void) => Socket;
    const guarded =
      (listener: (...values: unknown[]) => void) =>
      (...values: unknown[]): void => {
        try {
          listener(...values);
        } catch (error) {
          socket.destroy(error as Error);
        }
      };
    socket.on = ((name: string, listener: (...values: unknown[]) => void) =>
      on(name, name === "data" ? guarded(listener) : listener)) as Socket["on"];
  };

  return {
    open({ host, port, onConnect }) {
      if (isDestroyed) throw new Error("this client is destroyed");
      let isReady = false;
      const ready = (): void => {
        isReady = true;
        onConnect();
      };
      const socket =
        tls === null
          ? netConnect({ host, port }, ready)
          : tlsConnect({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...tlsOptions(tls) }, ready);
      socket.setNoDelay(true);
      socket.setKeepAlive(true, keepAliveDelayMs);
      guardWrites(socket);
      guardReads(socket);
      opened.add(socket);
      socket.once("close", () => opened.delete(socket));
      // The library waits for ever for a socket that ends before it is ready, such as plain TCP that was dialled with TLS.
      socket.once("end", () => {
        if (!isReady) socket.destroy(new Error("the broker closed the connection before it was ready"));
      });
      return socket;
    },
    destroy() {
      isDestroyed = true;
      // With an error, for the library takes no notice of a mere close: its timers would go on, and its sends pend.
      for (const socket of opened) socket.destroy(new Error("this client is destroyed"));
    },
  };
}
