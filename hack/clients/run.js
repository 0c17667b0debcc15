// Connects to the Redis of REDIS_URL with the clients that most apps in JavaScript use, and does with each what apps do.
// It prints one line for each, and ends with 1 if one of them failed. What it writes, it removes.
"use strict";

const { Queue, QueueEvents, Worker } = require("bullmq");
const Ioredis = require("ioredis");
const { createClient } = require("redis");

const url = process.env.REDIS_URL;
const patience = 10_000; // milliseconds for each

// once is the first value that a callback is called with.
function once(subscribe) {
  return new Promise((resolve) => subscribe(resolve));
}

function expect(got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want)) {
    throw new Error(`got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
  }
}

// ioredis asks INFO before it says that it is ready, and names its connections.
async function ioredis() {
  const client = new Ioredis(url, { connectionName: "ioredis", maxRetriesPerRequest: 1, lazyConnect: true });
  client.on("error", () => {}); // every command says it, too
  await client.connect();
  const checks = {
    "its name": async () => expect(await client.client("GETNAME"), "ioredis"),
    "a transaction": async () => {
      await client.watch("ioredis:n");
      expect(await client.multi().incr("ioredis:n").get("ioredis:n").exec(), [[null, 1], [null, "1"]]);
    },
    "a pipeline": async () => expect((await client.pipeline().set("ioredis:k", "v").expire("ioredis:k", 60).exec()).length, 2),
    "a command of its own, as a script": async () => {
      client.defineCommand("twice", { numberOfKeys: 1, lua: "return redis.call('INCRBY', KEYS[1], 2 * ARGV[1])" });
      expect(await client.twice("ioredis:n", 3), 7);
    },
    "messages": async () => {
      const subscriber = client.duplicate();
      const message = once((resolve) => subscriber.on("pmessage", (_pattern, _channel, text) => resolve(text)));
      await subscriber.psubscribe("ioredis:*");
      await client.publish("ioredis:news", "hello");
      expect(await message, "hello");
      await subscriber.quit();
    },
    "a stream with a group": async () => {
      await client.xgroup("CREATE", "ioredis:stream", "group", "0", "MKSTREAM");
      await client.xadd("ioredis:stream", "*", "k", "v");
      expect((await client.xreadgroup("GROUP", "group", "one", "COUNT", 1, "STREAMS", "ioredis:stream", ">"))[0][1].length, 1);
      expect((await client.xinfo("GROUPS", "ioredis:stream")).length, 1);
    },
    "a list that is waited for": async () => {
      const waiting = client.duplicate();
      const job = waiting.blpop("ioredis:jobs", 5);
      await client.rpush("ioredis:jobs", "a");
      expect(await job, ["ioredis:jobs", "a"]);
      await waiting.quit();
    },
    "all keys, and to remove them": async () => {
      const keys = [];
      for await (const some of client.scanStream({ match: "ioredis:*" })) keys.push(...some);
      expect(await client.unlink(...keys), keys.length);
    },
  };
  return { checks, end: () => client.quit() };
}

// node-redis tells the server its name and version, and asks to be told what others change.
async function nodeRedis() {
  const client = createClient({
    url, name: "node-redis", RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: "LRU" },
    socket: { reconnectStrategy: false },
  });
  client.on("error", () => {}); // every command says it, too
  await client.connect();
  const checks = {
    "its name": async () => expect(await client.clientGetName(), "node-redis"),
    "a transaction": async () => {
      await client.watch("node-redis:n");
      expect(await client.multi().incr("node-redis:n").get("node-redis:n").exec(), [1, "1"]);
    },
    "a script": async () => {
      const sha = await client.scriptLoad("return redis.call('INCRBY', KEYS[1], ARGV[1])");
      expect(await client.evalSha(sha, { keys: ["node-redis:n"], arguments: ["2"] }), 3);
    },
    "messages, and to shards": async () => {
      const subscriber = client.duplicate({ clientSideCache: undefined });
      subscriber.on("error", () => {});
      await subscriber.connect();
      const message = once((resolve) => subscriber.pSubscribe("node-redis:*", resolve).then(() => client.publish("node-redis:news", "hello")));
      expect(await message, "hello");
      const sharded = once((resolve) => subscriber.sSubscribe("node-redis:shard", resolve).then(() => client.sPublish("node-redis:shard", "hi")));
      expect(await sharded, "hi");
      await subscriber.close();
    },
    "a stream with a group": async () => {
      await client.xGroupCreate("node-redis:stream", "group", "0", { MKSTREAM: true });
      await client.xAdd("node-redis:stream", "*", { k: "v" });
      const read = await client.xReadGroup("group", "one", { key: "node-redis:stream", id: ">" }, { COUNT: 1 });
      expect(Object.keys(read).length, 1);
    },
    "a list that is waited for": async () => {
      const waiting = client.duplicate({ clientSideCache: undefined });
      waiting.on("error", () => {});
      await waiting.connect();
      const job = waiting.blMove("node-redis:jobs", "node-redis:doing", "LEFT", "RIGHT", 5);
      await client.rPush("node-redis:jobs", "a");
      expect(await job, "a");
      await waiting.close();
    },
    "all keys, and to remove them": async () => {
      const keys = [];
      for await (const some of client.scanIterator({ MATCH: "node-redis:*" })) keys.push(...some);
      expect(await client.unlink(keys), keys.length);
    },
  };
  return { checks, end: () => client.close() };
}

// BullMQ is a queue on ioredis: scripts, streams and blocking pops, and a look at the server's version and its policy.
async function bullmq() {
  const connection = { url, maxRetriesPerRequest: null };
  const queue = new Queue("bullmq", { connection });
  const events = new QueueEvents("bullmq", { connection });
  const worker = new Worker("bullmq", async (job) => job.data.n * 2, { connection });
  for (const part of [queue, events, worker]) part.on("error", () => {});
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady(), worker.waitUntilReady()]);
  const checks = {
    "a job, and its result": async () => {
      const job = await queue.add("double", { n: 21 });
      expect(await job.waitUntilFinished(events, patience), 42);
    },
    "a job that is put off": async () => {
      const job = await queue.add("later", { n: 1 }, { delay: 100 });
      expect(await job.waitUntilFinished(events, patience), 2);
    },
    "who its workers are": async () => expect((await queue.getWorkers()).length, 1),
    "its end": async () => {
      await worker.close();
      await queue.obliterate({ force: true });
    },
  };
  return { checks, end: () => Promise.all([events.close(), queue.close()]) };
}

async function main() {
  let failed = 0;
  async function attempt(what, act) {
    let late;
    const timeout = new Promise((_, reject) => (late = setTimeout(() => reject(new Error(`not after ${patience / 1000} s`)), patience)));
    try {
      const result = await Promise.race([act(), timeout]);
      console.log(`ok      ${what}`);
      return result;
    } catch (error) {
      failed++;
      console.log(`failed  ${what}: ${error.message}`);
      return undefined;
    } finally {
      clearTimeout(late);
    }
  }
  for (const [name, connect] of Object.entries({ ioredis, "node-redis": nodeRedis, BullMQ: bullmq })) {
    const client = await attempt(`${name} connects`, connect);
    for (const [what, check] of Object.entries(client?.checks ?? {})) await attempt(`${name}: ${what}`, check);
    if (client) await attempt(`${name} disconnects`, client.end);
  }
  process.exit(failed === 0 ? 0 : 1); // a client that failed may still try to connect
}

main();
