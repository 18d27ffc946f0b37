/** The client library that a run of the tests is about: WAYBILL_TEST_KAFKA_CLIENT, else kafkajs. */
import type { KafkaClientName } from "@waybill/kafka";

export const client: KafkaClientName = process.env["WAYBILL_TEST_KAFKA_CLIENT"] === "platformatic" ? "platformatic" : "kafkajs";
export const isKafkajs: boolean = client === "kafkajs";
