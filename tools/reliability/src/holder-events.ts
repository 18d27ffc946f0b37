/** Events that the holder of the lease passes in every run of load L: the places where it is killed, stopped, or told to end. */
export const holderEvents = [
  "relay.batchReading",
  "relay.batchRead",
  "relay.batchApplied",
  "relay.publishing",
  "relay.published",
  "relay.cursorSaving",
  "relay.cursorSaved",
  "relay.leaseRenewed",
  "relay.holesLooking",
  "relay.holesProved",
  "relay.holesForgotten",
] as const;
