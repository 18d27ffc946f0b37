/** All scenarios that there are, by code. */
import type { Scenario } from "./scenario.ts";
import { writerKilled } from "./scenarios/r01-writer-killed.ts";
import { databaseRestarted } from "./scenarios/r02-database-restarted.ts";
import { commitUnanswered } from "./scenarios/r03-commit-unanswered.ts";
import { deadlocks } from "./scenarios/r04-deadlocks.ts";
import { rolledBack } from "./scenarios/r05-rolled-back.ts";
import { noTransaction } from "./scenarios/r06-no-transaction.ts";
import { sameId } from "./scenarios/r07-same-id.ts";
import { oddText } from "./scenarios/r09-odd-text.ts";
import { exactBytes } from "./scenarios/r10-exact-bytes.ts";
import { oneTransaction } from "./scenarios/r12-one-transaction.ts";
import { noHint } from "./scenarios/r13-no-hint.ts";
import { poolTaken } from "./scenarios/r14-pool-taken.ts";
import { routeRemoved } from "./scenarios/r16-route-removed.ts";
import { interleavings } from "./scenarios/r17-interleavings.ts";
import { openTransaction } from "./scenarios/r18-open-transaction.ts";
import { cursorSave } from "./scenarios/r19-cursor-save.ts";
import { newSubscription } from "./scenarios/r22-new-subscription.ts";
import { statements } from "./scenarios/r25-statements.ts";
import { hintsDead } from "./scenarios/r26-hints-dead.ts";
import { pooler } from "./scenarios/r27-pooler.ts";
import { notReady } from "./scenarios/r28-not-ready.ts";
import { readOnly } from "./scenarios/r29-read-only.ts";
import { delayed } from "./scenarios/r31-delayed.ts";
import { relayKilled } from "./scenarios/r33-relay-killed.ts";
import { relayEnded } from "./scenarios/r34-relay-ended.ts";
import { relayFrozen } from "./scenarios/r35-relay-frozen.ts";
import { loopBlocked } from "./scenarios/r36-loop-blocked.ts";
import { silentTransport } from "./scenarios/r38-silent-transport.ts";
import { manyStart } from "./scenarios/r39-many-start.ts";
import { takeoverBacklog } from "./scenarios/r40-takeover-backlog.ts";
import { otherConfiguration } from "./scenarios/r41-other-configuration.ts";
import { hintAndPoll } from "./scenarios/r42-hint-and-poll.ts";
import { brokerDown } from "./scenarios/r45-broker-down.ts";
import { brokerRestarted } from "./scenarios/r46-broker-restarted.ts";
import { produceUnanswered } from "./scenarios/r48-produce-unanswered.ts";
import { unroutable } from "./scenarios/r49-unroutable.ts";
import { poison } from "./scenarios/r50-poison.ts";
import { topicMissing } from "./scenarios/r51-topic-missing.ts";
import { keyFails } from "./scenarios/r54-key-fails.ts";
import { hotKey } from "./scenarios/r55-hot-key.ts";
import { headDead } from "./scenarios/r56-head-dead.ts";
import { slowDestination } from "./scenarios/r57-slow-destination.ts";
import { deadLetterUnwritten } from "./scenarios/r58-dead-letter-unwritten.ts";
import { unsafeSettings } from "./scenarios/r61-unsafe-settings.ts";
import { httpAnswers } from "./scenarios/r62-http-answers.ts";
import { hostileEndpoints } from "./scenarios/r63-hostile-endpoints.ts";
import { consumerKilled } from "./scenarios/r64-consumer-killed.ts";
import { consumerFrozen } from "./scenarios/r65-consumer-frozen.ts";
import { settlementLost } from "./scenarios/r66-settlement-lost.ts";
import { handlersCollide } from "./scenarios/r67-handlers-collide.ts";
import { sameMessageTwice } from "./scenarios/r68-same-message-twice.ts";
import { twoNames } from "./scenarios/r69-two-names.ts";
import { deadlyMessage } from "./scenarios/r71-deadly-message.ts";
import { retentionTooShort } from "./scenarios/r72-retention-too-short.ts";
import { smallHeap } from "./scenarios/r73-small-heap.ts";
import { confirmations } from "./scenarios/r74-confirmations.ts";

export const scenarios: readonly Scenario[] = [
  writerKilled,
  databaseRestarted,
  commitUnanswered,
  deadlocks,
  rolledBack,
  noTransaction,
  sameId,
  oddText,
  exactBytes,
  oneTransaction,
  noHint,
  poolTaken,
  routeRemoved,
  interleavings,
  openTransaction,
  cursorSave,
  newSubscription,
  statements,
  hintsDead,
  pooler,
  notReady,
  readOnly,
  delayed,
  relayKilled,
  relayEnded,
  relayFrozen,
  loopBlocked,
  silentTransport,
  manyStart,
  takeoverBacklog,
  otherConfiguration,
  hintAndPoll,
  brokerDown,
  brokerRestarted,
  produceUnanswered,
  unroutable,
  poison,
  topicMissing,
  keyFails,
  hotKey,
  headDead,
  slowDestination,
  deadLetterUnwritten,
  unsafeSettings,
  httpAnswers,
  hostileEndpoints,
  consumerKilled,
  consumerFrozen,
  settlementLost,
  handlersCollide,
  sameMessageTwice,
  twoNames,
  deadlyMessage,
  retentionTooShort,
  smallHeap,
  confirmations,
];

/** Undefined: there is none of this code. */
export const scenarioOf = (code: string): Scenario | undefined => scenarios.find((one) => one.code.toLowerCase() === code.toLowerCase());
