// Telling a human

export type { AlertHookOptions, StartedAlertHook } from "./alert-hook.ts";
export { alertHook } from "./alert-hook.ts";

// Confirmations of consumers that have no outbox

export type { Confirmation, ConfirmationReceiverOptions } from "./confirmation-receiver.ts";
export { confirmationReceiver } from "./confirmation-receiver.ts";
export type { ConfirmationSender, ConfirmationSenderOptions, SentConfirmation } from "./confirmation-sender.ts";
export { confirmationSender } from "./confirmation-sender.ts";

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
