// Where messages go out

export type { TlsOptions } from "./connections.ts";
export type { HttpDestination } from "./destination.ts";
export type { HttpCallerOptions } from "./http-caller.ts";
// Calling what somebody else configured
export { httpCaller } from "./http-caller.ts";
export type { HttpReceiver, HttpReceiverOptions, ListenOptions } from "./http-receiver.ts";
// Where messages come in
export { httpReceiver } from "./http-receiver.ts";
export type { HttpTransportOptions } from "./http-transport.ts";
export { httpTransport } from "./http-transport.ts";
