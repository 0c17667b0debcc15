// Writes to the Redis of REDIS_URL without pause, with a client for JavaScript, and reports what was acknowledged: as
// hack/writer does with a client for Go. CLIENT is ioredis or node-redis. Both are used with their default settings.
"use strict";

const http = require("http");
const os = require("os");

const url = process.env.REDIS_URL;
const counts = { id: `${os.hostname()}`, set: 0, counted: 0, failed: 0, open: 0, longestMs: 0, ended: false };
let ending = false;

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function connect() {
  if (process.env.CLIENT === "ioredis") {
    const Ioredis = require("ioredis");
    const client = new Ioredis(url);
    client.on("error", () => {}); // every command says it, too
    return client;
  }
  const { createClient } = require("redis");
  const client = createClient({ url });
  client.on("error", () => {});
  await client.connect();
  return client;
}

async function loop(client, number) {
  let open = false;
  for (let n = 0; !ending; ) {
    const began = Date.now();
    open = n % 5 !== 0;
    try {
      if (n % 5 === 0) {
        await client.incr("counter");
        counts.counted++;
      } else {
        await client.set(`w:${counts.id}:${number}:${n}`, `${n}`);
        counts.set++;
      }
      n++; // what failed is tried again
      open = false;
    } catch (error) {
      counts.failed++;
      counts.error = error.message;
    }
    counts.longestMs = Math.max(counts.longestMs, Date.now() - began);
    await sleep(Number(process.env.PAUSE));
  }
  counts.open += open ? 1 : 0;
}

function report() {
  return new Promise((resolve, reject) => {
    const request = http.request(process.env.REPORT, { method: "POST", timeout: 2000 }, (response) => {
      response.resume();
      response.on("end", () => (response.statusCode === 200 ? resolve() : reject(new Error(`${response.statusCode}`))));
    });
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.end(JSON.stringify(counts));
  });
}

async function main() {
  const client = await connect();
  await client.ping();
  http.createServer((_request, response) => response.end()).listen(8080); // the kubelet asks
  process.on("SIGTERM", () => (ending = true));
  const loops = [0, 1, 2, 3].map((number) => loop(client, number));
  while (!ending) {
    await sleep(1000);
    await report().catch(console.error);
  }
  await Promise.all(loops);
  counts.ended = true;
  for (let tries = 0; tries < 20; tries++) {
    try {
      await report();
      break;
    } catch (error) {
      console.error(error);
      await sleep(200);
    }
  }
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
