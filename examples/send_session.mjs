// Send one session to Showroom. Usage: node send_session.mjs [session.json].
import { readFileSync } from "node:fs";
import { Kafka, Partitioners } from "kafkajs";

const path = process.argv[2] ?? new URL("session.json", import.meta.url);
const session = JSON.parse(readFileSync(path, "utf8"));
session.started_at = new Date().toISOString();

const kafka = new Kafka({ clientId: "my-shop", brokers: [process.env.KAFKA ?? "127.0.0.1:19000"] });
// The partitioner of Kafka's own client: murmur2 of the key.
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
await producer.connect();
const [stored] = await producer.send({
  topic: "sessions.raw",
  acks: -1,
  messages: [{ key: session.user_id, value: JSON.stringify(session) }],
});
console.log(`stored in partition ${stored.partition} at offset ${stored.baseOffset}`);
await producer.disconnect();
