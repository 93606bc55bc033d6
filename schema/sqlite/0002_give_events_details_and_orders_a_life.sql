-- Events get a title, times and more; orders get a contact, a check-in and an end with a reason; and answers are kept,
-- so that a wish sent twice is fulfilled once. CHECKs cannot be altered: the tables are made anew and filled.

CREATE TABLE events_new (
  id          TEXT PRIMARY KEY CHECK (id <> ''),
  capacity    INTEGER NOT NULL CHECK (capacity >= 0),
  booked      INTEGER NOT NULL CHECK (booked BETWEEN 0 AND capacity),
  waiting     INTEGER NOT NULL CHECK (waiting >= 0),
  checked_in  INTEGER NOT NULL CHECK (checked_in BETWEEN 0 AND booked),
  has_lapsed  INTEGER NOT NULL CHECK (has_lapsed IN (0, 1)), -- promotions are over
  is_deleted  INTEGER NOT NULL CHECK (is_deleted IN (0, 1)),
  revision    INTEGER NOT NULL CHECK (revision BETWEEN 1 AND head),
  head        INTEGER NOT NULL CHECK (head >= 1),
  head_hash   BLOB NOT NULL CHECK (length(head_hash) = 32),
  opened_at   INTEGER NOT NULL,
  title       TEXT NOT NULL DEFAULT '',
  description TEXT NOT NULL DEFAULT '',
  venue       TEXT NOT NULL DEFAULT '',
  starts_at   INTEGER,
  ends_at     INTEGER,
  time_zone   TEXT NOT NULL DEFAULT 'UTC',
  opens_at    INTEGER,
  closes_at   INTEGER,
  hidden      INTEGER NOT NULL DEFAULT 0 CHECK (hidden IN (0, 1)),
  CHECK (waiting = 0 OR booked = capacity OR has_lapsed),
  CHECK (booked + waiting = 0 OR NOT is_deleted)
) STRICT;

INSERT INTO events_new (
  id, capacity, booked, waiting, checked_in, has_lapsed, is_deleted, revision, head, head_hash, opened_at
)
SELECT id, capacity, booked, waiting, 0, 0, 0,
       (SELECT max(seq) FROM ledger WHERE event_id = id AND kind IN ('opened', 'resized')),
       head, head_hash, opened_at
  FROM events;

DROP TABLE events;

ALTER TABLE events_new RENAME TO events;

-- serves the list of events, newest first
CREATE INDEX events_newest_first ON events (opened_at, id);

CREATE TABLE ledger_new (
  event_id TEXT NOT NULL REFERENCES events (id),
  seq      INTEGER NOT NULL CHECK (seq >= 1),
  kind     TEXT NOT NULL CHECK (kind IN (
             'opened', 'resized', 'revised', 'lapsed', 'deleted',
             'booked', 'joined', 'promoted', 'cancelled', 'checked_in', 'check_in_undone', 'erased'
           )),
  at       INTEGER NOT NULL,
  actor    TEXT NOT NULL CHECK (actor IN ('guest', 'organiser')),
  order_id TEXT REFERENCES orders (id) CHECK (
             (order_id IS NULL) = (kind IN ('opened', 'resized', 'revised', 'lapsed', 'deleted'))
           ),
  reason   TEXT,
  detail   TEXT,
  hash     BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (event_id, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO ledger_new (event_id, seq, kind, at, actor, order_id, reason, detail, hash)
SELECT event_id, seq, kind, at, actor, order_id, reason, detail, hash FROM ledger ORDER BY event_id, seq;

-- All personal data is here and nowhere else. The salt goes when the person is erased.
CREATE TABLE orders_new (
  id            TEXT PRIMARY KEY,
  event_id      TEXT NOT NULL REFERENCES events (id),
  user_id       TEXT NOT NULL CHECK (user_id <> ''),
  status        TEXT NOT NULL CHECK (status IN ('booked', 'waiting', 'cancelled')),
  salt          BLOB CHECK (length(salt) = 16),
  placed_at     INTEGER NOT NULL,
  placed_entry  INTEGER NOT NULL CHECK (placed_entry >= 1), -- the number of the ledger's entry that placed it
  name          TEXT,
  email         TEXT,
  cancel_reason TEXT CHECK (cancel_reason IS NULL OR status = 'cancelled'),
  checked_in_at INTEGER CHECK (checked_in_at IS NULL OR status = 'booked'),
  gate          TEXT CHECK (gate IS NULL OR checked_in_at IS NOT NULL),
  erased_at     INTEGER CHECK (erased_at IS NULL OR coalesce(salt, name, email, cancel_reason) IS NULL)
) STRICT, WITHOUT ROWID;

-- or the next statement would look through the whole ledger for every order
CREATE INDEX placings ON ledger_new (order_id, seq) WHERE kind IN ('booked', 'joined');

INSERT INTO orders_new (id, event_id, user_id, status, salt, placed_at, placed_entry)
SELECT orders.id, orders.event_id, user_id, status, salt, placed_at, seq
  FROM orders LEFT JOIN ledger_new AS placing ON placing.order_id = orders.id AND kind IN ('booked', 'joined')
 ORDER BY orders.id;

DROP INDEX placings;

DROP TABLE orders;

ALTER TABLE orders_new RENAME TO orders;

-- one live order per guest and event; serves the check of a fold against the live orders
CREATE UNIQUE INDEX orders_one_live_per_guest ON orders (event_id, user_id) WHERE status <> 'cancelled';

DROP TABLE ledger;

ALTER TABLE ledger_new RENAME TO ledger;

CREATE TRIGGER ledger_entries_never_change BEFORE UPDATE ON ledger
BEGIN
  SELECT RAISE(ABORT, 'a ledger is append-only: its entries never change');
END;

CREATE TRIGGER ledger_entries_are_never_removed BEFORE DELETE ON ledger
BEGIN
  SELECT RAISE(ABORT, 'a ledger is append-only: its entries are never removed');
END;

-- Bookings, which a rush is made of, are in neither of the next two, and so pay for none of them.
-- serves why somebody stands where he stands
CREATE INDEX ledger_turns_at_events ON ledger (event_id, seq)
WHERE kind IN ('cancelled', 'promoted', 'resized', 'revised');

-- serves what happened to an order
CREATE INDEX ledger_turns_of_orders ON ledger (order_id) WHERE kind NOT IN ('booked', 'joined');

-- Answers that were given under somebody's Idempotency-Key: no secrets, and nothing personal but orders' ids.
CREATE TABLE kept_answers (
  key      BLOB PRIMARY KEY CHECK (length(key) = 32),
  request  BLOB NOT NULL CHECK (length(request) = 32),
  event_id TEXT NOT NULL REFERENCES events (id),
  at       INTEGER NOT NULL,
  text     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- serves forgetting the old ones
CREATE INDEX kept_answers_oldest_first ON kept_answers (at);
