// The check of a ledger in the browser: every hash is worked out anew, and every rule followed, from nothing but what
// anybody can read through the program interface. What a hash is taken over is told at /docs#checking.

const PER_PAGE = 100; // as many as are answered at once
const AT_ONCE = 4; // pages asked for ahead
const TIMEOUT_MS = 30_000;
const LATE = "late"; // the reason to stop where an answer does not come
const GENESIS = "0".repeat(64); // the hash that the first entry builds on
const SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** What is wrong with a ledger, in a sentence. */
export class Wrong extends Error {}

/** The microseconds since 1970, as a BigInt, of a time such as 2026-11-22T19:31:13.000000Z; null where it is none. */
export function microseconds(at) {
  const [, seconds, fraction] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})Z$/.exec(at) ?? [];
  const milliseconds = Date.parse(`${seconds}Z`);
  return Number.isNaN(milliseconds) ? null : BigInt(milliseconds) * 1000n + BigInt(fraction);
}

/** What the hash of an entry is taken over, besides the hash before it: eight values as JSON without white space. */
export function canonical(eventId, { seq, kind, at, actor, order_id, reason, detail }) {
  const before = JSON.stringify([eventId, seq, kind]);
  const behind = JSON.stringify([actor, order_id, reason, detail]);
  return `${before.slice(0, -1)},${microseconds(at)},${behind.slice(1)}`;
}

/** The hash, in 64 hexadecimal digits, that an entry must have behind the one with the hash `previous`. */
export async function seal(previous, eventId, entry) {
  const content = new TextEncoder().encode(canonical(eventId, entry));
  const bytes = new Uint8Array(32 + content.length);
  for (let at = 0; at < 32; at++) bytes[at] = parseInt(previous.slice(2 * at, 2 * at + 2), 16);
  bytes.set(content, 32);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What stands for an order in the sentences of the page: the public part of its code, and the end of its id. */
export function short(order) {
  const placed = parseInt(String(order).slice(0, 10), 16);
  let code = "";
  for (let at = 7; at >= 0; at--) code += SIGNS[Math.floor(placed / 32 ** at) % 32];
  return `${code.slice(0, 4)}-${code.slice(4)}·${String(order).slice(-4)}`;
}

/** The state of an event as its entries lead to it, and the rules that each of them must keep. */
export class Replay {
  isOpen = false;
  capacity = 0;
  booked = 0;
  waiting = 0;
  hasLapsed = false; // whether promotions are over
  orders = new Map(); // id -> booked, waiting, arrived or cancelled
  line = []; // ids in the order of joining, also of those who have left it since
  first = 0; // where in the line the first may be who still waits
  times = { opens_at: null, closes_at: null, starts_at: null };

  get isSettled() {
    return this.hasLapsed || this.capacity === this.booked || this.waiting === 0;
  }

  get longestWaiting() {
    while (this.first < this.line.length && this.orders.get(this.line[this.first]) !== "waiting") this.first++;
    return this.line[this.first];
  }

  /** Let an entry happen. Throws Wrong where a rule forbids it. */
  follow(entry) {
    const require = (isKept, why) => {
      if (!isKept) throw new Wrong(`Entry ${group(entry.seq)} breaks a rule: ${typeof why === "string" ? why : why()}.`);
    };
    const change = Object.hasOwn(CHANGES, entry.kind) && CHANGES[entry.kind];
    require(change, "this page does not know what happened there");
    require(microseconds(entry.at) !== null, "its time cannot be read");
    require(this.isOpen || entry.kind === "opened", "the event was not open");
    require(this.isSettled || ENDS_WAITING.has(entry.kind), () => this.neglect);
    change(this, entry, require);
  }

  /** Throws Wrong where the entries must not end here. */
  end() {
    if (!this.isSettled) throw new Wrong(`At the end, ${this.neglect}.`);
  }

  get neglect() {
    return `a ticket was free while order ${short(this.longestWaiting)} waited for one`;
  }
}

// What may follow while a ticket is free and somebody waits; a booking breaks another rule then.
const ENDS_WAITING = new Set(["promoted", "lapsed", "booked"]);

const CHANGES = {
  opened(event, entry, require) {
    require(!event.isOpen, "the event was open already");
    event.isOpen = true;
    event.capacity = tickets(entry, require);
    event.times = new Replay().times;
  },
  resized(event, entry, require) {
    const capacity = tickets(entry, require);
    require(capacity >= event.booked, () => `${event.booked} tickets were booked, and cannot become ${capacity}`);
    event.capacity = capacity;
  },
  revised(event, entry, require) {
    const { opens_at, closes_at, starts_at } = details(entry, require);
    const { times } = event;
    const isSame = opens_at === times.opens_at && closes_at === times.closes_at && starts_at === times.starts_at;
    if (!isSame) event.hasLapsed = false;
    event.times = { opens_at, closes_at, starts_at };
  },
  lapsed(event, entry, require) {
    const { starts_at, closes_at } = event.times;
    const isOver = starts_at !== null && microseconds(entry.at) >= Math.max(starts_at, closes_at ?? starts_at);
    require(isOver && !event.hasLapsed, "tickets still went to those who wait at that time");
    event.hasLapsed = true;
  },
  deleted(event, entry, require) {
    require(event.orders.size === 0, "somebody had booked");
    event.isOpen = false;
  },
  booked(event, entry, require) {
    asked(event, entry, require);
    require(!event.waiting, () => `order ${short(entry.order_id)} got a ticket, but order ${short(event.longestWaiting)} had waited for one`);
    require(event.booked < event.capacity, () => `all ${event.capacity} tickets were booked already, and this is one more`);
    event.orders.set(entry.order_id, "booked");
    event.booked++;
  },
  joined(event, entry, require) {
    asked(event, entry, require);
    require(event.booked === event.capacity || event.waiting, () => `a ticket was free, but order ${short(entry.order_id)} had to wait`);
    event.orders.set(entry.order_id, "waiting");
    event.line.push(entry.order_id);
    event.waiting++;
  },
  promoted(event, entry, require) {
    const { order_id } = entry;
    require(event.orders.get(order_id) === "waiting", () => `order ${short(order_id)} did not wait`);
    require(event.longestWaiting === order_id, () => `order ${short(order_id)} got a ticket, but order ${short(event.longestWaiting)} had waited longer`);
    require(!event.hasLapsed, "no more tickets went to those who wait");
    require(event.booked < event.capacity, () => `all ${event.capacity} tickets were booked already, and this is one more`);
    event.orders.set(order_id, "booked");
    event.waiting--;
    event.booked++;
  },
  cancelled(event, entry, require) {
    const status = event.orders.get(entry.order_id);
    require(status === "booked" || status === "waiting", () => `order ${short(entry.order_id)} was not one to be cancelled`);
    event.orders.set(entry.order_id, "cancelled");
    event[status]--;
  },
  checked_in(event, entry, require) {
    require(event.orders.get(entry.order_id) === "booked", () => `order ${short(entry.order_id)} had no ticket to come in with`);
    event.orders.set(entry.order_id, "arrived");
  },
  check_in_undone(event, entry, require) {
    require(event.orders.get(entry.order_id) === "arrived", () => `order ${short(entry.order_id)} had not arrived`);
    event.orders.set(entry.order_id, "booked");
  },
  erased(event, entry, require) {
    require(event.orders.has(entry.order_id), "there was no such order");
  },
};

function asked(event, { at, order_id }, require) {
  const { opens_at, closes_at, starts_at } = event.times;
  const ends = closes_at ?? starts_at;
  require(typeof order_id === "string" && !event.orders.has(order_id), "there was such an order already");
  require(opens_at === null || microseconds(at) >= opens_at, "booking had not opened yet");
  require(ends === null || microseconds(at) < ends, "booking had closed");
}

function tickets({ detail }, require) {
  require(/^\d+$/.test(detail), "its number of tickets cannot be read");
  return Number(detail);
}

function details({ detail }, require) {
  let found = null;
  try {
    found = JSON.parse(detail);
  } catch {
    found = null;
  }
  require(found !== null && typeof found === "object", "its times cannot be read");
  for (const name of ["opens_at", "closes_at", "starts_at"]) {
    found[name] ??= null;
    require(found[name] === null || Number.isFinite(found[name]), "its times cannot be read");
  }
  return found;
}

/**
 * Check the ledger of an event of `count` entries, which `pages` gives in lists, in order. `checked` is told now and
 * then how far it has come. Returns the hashes of all entries as one array of bytes. Throws Wrong.
 */
export async function check(eventId, count, pages, checked = () => {}) {
  const event = new Replay();
  const hashes = new Uint8Array(32 * count);
  let previous = GENESIS;
  let seq = 0;
  for await (const entries of pages) {
    const before = [previous, ...entries.map((entry) => entry.hash)];
    // All at once, since each builds on what the one before it says that its hash is, which is checked as well.
    const seals = await Promise.all(entries.map((entry, at) => seal(String(before[at]), eventId, entry)));
    for (const [at, entry] of entries.entries()) {
      if (seq === count) break; // it has come since the check began
      seq++;
      if (entry.seq !== seq) throw new Wrong(`Entry ${group(seq)} is missing: in its place is number ${group(entry.seq)}.`);
      if (seals[at] !== entry.hash) throw new Wrong(`Entry ${group(seq)} was altered: its hash does not follow from what it says and from the hash before it.`);
      event.follow(entry);
      hashes.set(bytes(entry.hash), 32 * (seq - 1));
      previous = entry.hash;
    }
    checked(seq);
  }
  if (seq < count) throw new Wrong(`Entry ${group(seq + 1)} is missing: the event has ${group(count)}, but its ledger ends before.`);
  event.end();
  return hashes;
}

function bytes(hash) {
  return Uint8Array.from({ length: 32 }, (_, at) => parseInt(hash.slice(2 * at, 2 * at + 2), 16));
}

function group(number) {
  return Number(number).toLocaleString("en-GB");
}

/** What there is to say of a receipt, once all entries have been checked: a sentence, and whether it is in the chain. */
export function receiptVerdict(hashes, entry, hash) {
  const count = hashes.length / 32;
  if (!(entry >= 1 && entry <= count)) return [`The ledger has no entry ${group(entry)}: it ends with number ${group(count)}.`, false];
  if (!/^[0-9a-f]{64}$/.test(hash)) return ["A hash has 64 signs: digits, and letters from a to f. Please copy all of it.", false];
  const isSame = bytes(hash).every((byte, at) => byte === hashes[32 * (entry - 1) + at]);
  if (isSame) return [`Your receipt is in it: entry ${group(entry)} has this very hash.`, true];
  return [`But entry ${group(entry)} has another hash than your receipt. If both are copied right, the ledger is not the one that you were told of.`, false];
}

/** The entries of an event, page by page, the next ones asked for while these are looked at. */
async function* pages(resource, count, stopping) {
  const asked = [];
  let after = 0;
  const askForMore = () => {
    if (after >= count) return;
    const page = read(`${resource}/ledger?after=${after}&limit=${PER_PAGE}`, stopping);
    page.catch(() => {}); // it is told where it is waited for
    asked.push(page);
    after += PER_PAGE;
  };
  for (let ahead = 0; ahead < AT_ONCE; ahead++) askForMore();
  while (asked.length) {
    const { items } = await asked.shift();
    askForMore();
    yield items;
  }
}

async function read(address, stopping) {
  const late = setTimeout(() => stopping.abort(LATE), TIMEOUT_MS);
  try {
    const answer = await fetch(address, { signal: stopping.signal });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return await answer.json();
  } finally {
    clearTimeout(late);
  }
}

function start(panel) {
  const button = panel.querySelector("button");
  const progress = panel.querySelector("progress");
  const outcome = document.getElementById("outcome");
  const form = document.getElementById("receipt");
  const asking = button.textContent;
  let running = null;

  if (!globalThis.isSecureContext || !crypto.subtle) {
    document.getElementById("insecure").hidden = false;
    return;
  }
  panel.hidden = false;
  button.addEventListener("click", () => (running ? running.abort() : run()));
  form.addEventListener("submit", (submission) => {
    const entry = Number(form.elements.entry.value.replace(/[\s,]/g, ""));
    const hash = form.elements.hash.value.replace(/\s/g, "").toLowerCase();
    if (!hash || !Number.isInteger(entry)) return; // the server finds the entry, or says what is wrong
    submission.preventDefault();
    if (!running) run({ entry, hash });
  });

  async function run(receipt = null) {
    running = new AbortController();
    button.textContent = "Stop";
    progress.hidden = false;
    progress.value = 0;
    say("", "");
    let seen = 0;
    try {
      const { entry: count } = await read(panel.dataset.resource, running);
      progress.max = count;
      const found = pages(panel.dataset.resource, count, running);
      const hashes = await check(panel.dataset.event, count, found, (seq) => (progress.value = seen = seq));
      fits(count, hashes, receipt);
    } catch (error) {
      if (error instanceof Wrong) say("mistakes", error.message);
      else if (running.signal.aborted && running.signal.reason !== LATE) say("notice", `Stopped at entry ${group(seen)}. So far, everything fits.`);
      else say("mistakes", `The check could not go on: not all entries could be read${seen ? `, only the first ${group(seen)}, which fit` : ""}. Please try again.`);
    }
    running.abort();
    running = null;
    button.textContent = asking;
    progress.hidden = true;
  }

  function fits(count, hashes, receipt) {
    const whole = count === 1 ? "The only entry fits." : `All ${group(count)} entries fit together. Nobody overtook.`;
    const [verdict, isIn] = receipt ? receiptVerdict(hashes, receipt.entry, receipt.hash) : ["", true];
    const newest = Array.from(hashes.slice(-32), (byte) => byte.toString(16).padStart(2, "0")).join("");
    say(isIn ? "answer" : "mistakes", [whole, verdict].filter(Boolean).join(" "));
    const keep = document.createElement("span");
    const hash = document.createElement("code");
    keep.className = "quiet keepsake";
    hash.textContent = newest;
    keep.append(`Keep number ${group(count)} and its hash, and you can show later whether anything up to it was changed: `, hash);
    outcome.append(keep);
  }

  function say(kind, text) {
    outcome.className = kind;
    outcome.textContent = text;
  }
}

const panel = globalThis.document?.getElementById("check");
if (panel) start(panel);
