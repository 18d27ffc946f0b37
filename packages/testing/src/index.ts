// Benchmarks

export type { BenchmarkResult, Comparison } from "./benchmark.ts";
export { benchmarkJson, benchmarkResult, compare, limitResult, timed } from "./benchmark.ts";
export { cpuMsOf } from "./cpu-use.ts";

// Real servers

export type { BrokerTopics, BrokerTopicsOptions } from "./broker-topics.ts";
export { openBrokerTopics } from "./broker-topics.ts";
export type { Child, ChildEnd, ChildEvent, StartChildOptions, WaitForEventOptions } from "./child.ts";
// Children that are killed
export { startChild } from "./child.ts";
// Contracts: cases for any runner
export type { ContractCase } from "./contracts/contract-case.ts";
export type { FiledLetter, InboxStoreContractOptions, InboxStoreFixture } from "./contracts/inbox-store-contract.ts";
export { inboxStoreContract } from "./contracts/inbox-store-contract.ts";
export type { LedgerCapabilities, LedgerContractOptions, LedgerFixture } from "./contracts/ledger-contract.ts";
export { ledgerContract } from "./contracts/ledger-contract.ts";
export type { LedgerWriter, MysqlLedgerWriterOptions, NewLedgerRow, PostgresLedgerWriterOptions } from "./contracts/ledger-writer.ts";
export { mysqlLedgerWriter, postgresLedgerWriter } from "./contracts/ledger-writer.ts";
export type { CarriedFields } from "./contracts/same-message.ts";
export type { SourceCapabilities, SourceContractOptions, SourceFixture } from "./contracts/source-contract.ts";
export { sourceContract } from "./contracts/source-contract.ts";
export type { TransportCapabilities, TransportContractOptions, TransportFixture, TransportHarm } from "./contracts/transport-contract.ts";
export { transportContract } from "./contracts/transport-contract.ts";
// Faults on a link
export { endSessions } from "./end-sessions.ts";
export type { FakeKafka, FakeKafkaOptions, FakeKafkaRecord, FakeProduce, FakeProduceAnswer } from "./fake-kafka.ts";
export { startFakeKafka } from "./fake-kafka.ts";
export type { DealtFault, FaultDeck } from "./fault-deck.ts";
export { dealFaults } from "./fault-deck.ts";
export type { AtPattern, Fault, FaultProxy, FaultProxyOptions } from "./fault-proxy.ts";
export { startFaultProxy } from "./fault-proxy.ts";
export type { FaultTrigger, InjectedFault } from "./fault-trigger.ts";
export type { KillOnEventOptions } from "./kill-on-event.ts";
export { killOnEvent, tellParent } from "./kill-on-event.ts";
// What is written under a lease
export type { LeaseJudgement, LeaseRecordClient, LeaseWrite } from "./lease-record.ts";
export { createLeaseRecord, judgeLease, readLeaseWrites } from "./lease-record.ts";
export type { LedgerStanding } from "./ledger-standing.ts";
export { leasesEnd, readLedgerStanding } from "./ledger-standing.ts";
export type { ManualClock, ManualClockOptions } from "./manual-clock.ts";
// Time, chance and waiting
export { manualClock } from "./manual-clock.ts";
export type { MemorySource, MemorySourceOptions } from "./memory-source.ts";
export { memorySource } from "./memory-source.ts";
export type { InjectedMemoryFault, MemoryFault, MemoryTransport, MemoryTransportOptions } from "./memory-transport.ts";

// Ports without a broker
export { memoryTransport } from "./memory-transport.ts";
// Command lines of runs
export type { BrokerName, DatabaseName, ServerChoice } from "./run-options.ts";
export { brokerNames, brokerOf, databaseNames, databaseOf, minutesOf, parseUsage, seedOf, UsageError } from "./run-options.ts";
// Places for processes that are killed and come back
export type { Seat, SeatCommand, SeatOptions } from "./seat.ts";
export { createSeat } from "./seat.ts";
export { seededRandom } from "./seeded-random.ts";
export { selfSigned } from "./self-signed.ts";
export { freePort } from "./servers/free-port.ts";
export type { StartedGalera, StartGaleraOptions } from "./servers/galera.ts";
export { startGalera } from "./servers/galera.ts";
export type { KafkaPorts, StartedBroker, StartedKafka, StartKafkaOptions } from "./servers/kafka.ts";
export { startKafka } from "./servers/kafka.ts";
export type { StartMariadbOptions } from "./servers/mariadb.ts";
export { startMariadb } from "./servers/mariadb.ts";
export type { StartMysqlOptions } from "./servers/mysql.ts";
export { startMysql } from "./servers/mysql.ts";
export { type StartPgbouncerOptions, startPgbouncer } from "./servers/pgbouncer.ts";
export type { StartPostgresOptions } from "./servers/postgres.ts";
export { startPostgres } from "./servers/postgres.ts";
export type { PostgresGreeting } from "./servers/postgres-greeting.ts";
export { postgresGreeting } from "./servers/postgres-greeting.ts";
export type { ProvidedServer, ProvideServerOptions, ServerProvider } from "./servers/provide-server.ts";
export { provideServer } from "./servers/provide-server.ts";
export type { StartedRabbitmq, StartRabbitmqOptions } from "./servers/rabbitmq.ts";
export { startRabbitmq } from "./servers/rabbitmq.ts";
export type { ServerKindName } from "./servers/server-kinds.ts";
export type { StartedServer } from "./servers/started-server.ts";
// An application's connection
export type { Session, SessionDialect, SessionRow, SessionSql } from "./session.ts";
export { connectSession, outcomeOfFailedCommit, sessionDialect } from "./session.ts";
export type { TestDatabase, TestDatabaseOptions } from "./test-database.ts";
export { testDatabase } from "./test-database.ts";
export { testName } from "./test-name.ts";
export type { LazyServerName, TestDatabaseServer, TestServer } from "./test-servers.ts";
// The servers of a test run, and a database of one's own
export {
  forEachDatabase,
  forEachDatabaseInTurn,
  forEachMysql,
  forEachPostgres,
  forEachRabbitmq,
  testBroker,
  testServer,
  testServers,
} from "./test-servers.ts";
export { hasTurn } from "./test-turn.ts";
export type { WaitUntilOptions } from "./wait-until.ts";
export { WaitGivenUp, waitUntil } from "./wait-until.ts";
