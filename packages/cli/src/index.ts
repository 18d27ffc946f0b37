// For modules that --transport names
export type { TransportModule, TransportModuleContext } from "./load-transport.ts";
