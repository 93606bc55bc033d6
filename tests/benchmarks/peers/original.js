// The original as its description has it: events in memory, a mutex for each, and every booking inserted into a SQLite
// file by itself before it is answered. Without its tokens and pages, which no booking meets.
"use strict";

const { Mutex } = require("async-mutex");
const express = require("express");
const knex = require("knex");

const [port, filename] = process.argv.slice(2);
const events = new Map();
const database = knex({ client: "sqlite3", connection: { filename }, useNullAsDefault: true });

const original = express();
original.use(express.json());

original.post("/initialize", organisersOnly, (request, response) => {
  const { eventId, tickets } = request.body;
  events.set(eventId, { total: tickets, booked: new Set(), waiting: [], mutex: new Mutex() });
  response.json({ eventId, tickets });
});

original.post("/book", (request, response, next) => {
  const { eventId, userId } = request.body;
  withEvent(eventId, response, async (event) => {
    const assigned = event.booked.size < event.total;
    if (assigned) {
      event.booked.add(userId);
    } else {
      event.waiting.push(userId);
    }
    await record(eventId, userId, assigned ? "booked" : "waiting");
    response.json({ assigned });
  }).catch(next);
});

original.post("/cancel", organisersOnly, (request, response, next) => {
  const { eventId, userId } = request.body;
  withEvent(eventId, response, async (event) => {
    const heldATicket = event.booked.delete(userId);
    event.waiting = event.waiting.filter((waiting) => waiting !== userId);
    await record(eventId, userId, "cancelled");
    const reassignedTo = (heldATicket && event.waiting.shift()) || null;
    if (reassignedTo) {
      event.booked.add(reassignedTo);
      await record(eventId, reassignedTo, "booked");
    }
    response.json({ reassignedTo });
  }).catch(next);
});

original.get("/status/:eventId", (request, response, next) => {
  const { eventId } = request.params;
  withEvent(eventId, response, async ({ total, booked, waiting }) => {
    response.json({ eventId, total, available: total - booked.size, waitingList: waiting.length });
  }).catch(next);
});

async function withEvent(eventId, response, act) {
  const event = events.get(eventId);
  if (event) {
    await event.mutex.runExclusive(() => act(event));
  } else {
    response.status(404).json({ error: "Event not found" });
  }
}

function record(eventId, userId, status) {
  return database("orders").insert({ event_id: eventId, user_id: userId, status });
}

function organisersOnly(request, response, next) {
  const expected = `Basic ${Buffer.from("admin:password").toString("base64")}`;
  if (request.get("Authorization") === expected) {
    next();
  } else {
    response.status(401).json({ error: "Unauthorized" });
  }
}

async function main() {
  await database.schema.createTable("orders", (table) => {
    table.increments("id");
    table.string("event_id").notNullable();
    table.string("user_id").notNullable();
    table.string("status").notNullable();
    table.timestamp("created_at").defaultTo(database.fn.now());
  });
  original.listen(Number(port), "127.0.0.1");
}

main();
