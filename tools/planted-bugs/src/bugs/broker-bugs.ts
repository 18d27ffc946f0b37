/** Bugs of what stands between us and a broker: when something is confirmed, and whom an acknowledgement or a commit belongs to. */
import type { PlantedBug } from "../planted-bug.ts";

export const brokerBugs: readonly PlantedBug[] = [
  {
    name: "no-mandatory",
    defect: "RabbitMQ is not told to return what no queue takes, and acks it",
    replacements: [
      {
        packageName: "rabbitmq",
        module: "binary-mode",
        find: "mandatory: true,",
        replace: "mandatory: false,",
      },
      {
        packageName: "rabbitmq",
        module: "publish-frames",
        find: "bytes[at] = 1;",
        replace: "bytes[at] = 0;",
      },
    ],
    test: {
      project: "server",
      file: "packages/rabbitmq/test/rabbitmq-defects.test.ts",
      name: "a message that no queue takes is never confirmed",
      says: "expected 'confirmed' to be 'retry topic unroutable 312'",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "return-ignored",
    defect: "a message that RabbitMQ has returned counts as confirmed by the ack that follows",
    replacements: [
      {
        packageName: "rabbitmq",
        module: "exchange-publisher",
        find: "sent.returnedCode = String(fields.replyCode);",
        replace: "if (sent !== undefined) return;",
      },
    ],
    test: {
      project: "unit",
      file: "packages/rabbitmq/src/exchange-publisher.test.ts",
      name: "A2 a message that was returned is not confirmed by the ack that follows",
      says: "expected { kind: 'confirmed' } to match object",
    },
    torture: [],
    isQuick: true,
  },
  {
    name: "partition-missing-accepted",
    defect: "an answer of Kafka's that says nothing of the partition that was written to counts as stored",
    replacements: [
      {
        packageName: "kafka",
        module: "kafkajs/kafkajs-producer",
        find: '? { kind: "unanswered", reason: "partitionMissing", code: null }',
        replace: '? { kind: "stored", baseOffset: 0n }',
      },
    ],
    test: {
      project: "server",
      file: "packages/kafka/test/kafkajs-defects-fake.test.ts",
      name: "an answer that leaves the partition out proves nothing",
      says: "expected [ 'confirmed' ] to deeply equal [ 'unknown topic partitionMissing' ]",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "ack-on-new-channel",
    defect: "what RabbitMQ delivered on a channel that has ended is acked on the one that came after it",
    replacements: [
      {
        packageName: "rabbitmq",
        module: "queue-consumer",
        find: "isCurrent: () => from.isOpen,",
        replace: "isCurrent: () => true,",
      },
      {
        packageName: "rabbitmq",
        module: "queue-consumer",
        find: "on.settle(delivered);",
        replace: "(channel ?? on).settle(delivered);",
      },
    ],
    test: {
      project: "server",
      file: "packages/rabbitmq/test/rabbitmq-source.faults.test.ts",
      name: "A12 a settlement that comes after its channel is gone acks nothing and harms no other channel",
      says: "in vain until all came 3 times",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "commit-with-old-generation",
    defect: "a Kafka consumer goes on committing for a generation that is over",
    replacements: [
      {
        packageName: "kafka",
        module: "assignment",
        find: "if (ending.signal.aborted)",
        replace: "if (false)",
      },
      {
        packageName: "kafka",
        module: "assignment",
        find: "committer.end();",
        replace: "void committer;",
      },
      {
        packageName: "kafka",
        module: "assignment",
        find: "inTurn.length = 0;",
        replace: "void inTurn;",
      },
    ],
    test: {
      project: "unit",
      file: "packages/kafka/src/consumer-session.test.ts",
      name: "what was handed over in one is not committed in the next",
      says: "to deeply equal []",
    },
    torture: [],
    isQuick: true,
  },
  {
    name: "partition-not-resumed",
    defect: "a partition of Kafka's that rests because enough of it is held is not fetched again when that is settled",
    replacements: [
      {
        packageName: "kafka",
        module: "assignment",
        find: "if (buffer.toCommit() !== null)",
        replace: "if (buffer.toCommit() !== null) committer.soon(); return handOver(); if (false)",
      },
    ],
    test: {
      project: "unit",
      file: "packages/kafka/src/consumer-session.test.ts",
      name: "a partition rests when it holds enough, and is resumed when half of that is settled",
      says: "to be 2500n",
    },
    torture: [],
    isQuick: true,
  },
];
