-- The ledger is the truth; events and orders are derived from it, in the transaction that writes it.
-- Times (`at`, `placed_at`) are microseconds since 1970, UTC.

CREATE TABLE events (
  id        TEXT PRIMARY KEY CHECK (id <> ''),
  capacity  INTEGER NOT NULL CHECK (capacity >= 0),
  booked    INTEGER NOT NULL CHECK (booked BETWEEN 0 AND capacity),
  waiting   INTEGER NOT NULL CHECK (waiting >= 0),
  head      INTEGER NOT NULL CHECK (head >= 1),
  head_hash BLOB NOT NULL CHECK (length(head_hash) = 32),
  opened_at INTEGER NOT NULL,
  CHECK (waiting = 0 OR booked = capacity)
) STRICT;

-- serves the list of events, newest first
CREATE INDEX events_newest_first ON events (opened_at, id);

-- All personal data is here and nowhere else. The salt goes when the person is erased.
CREATE TABLE orders (
  id        TEXT PRIMARY KEY,
  event_id  TEXT NOT NULL REFERENCES events (id),
  user_id   TEXT NOT NULL CHECK (user_id <> ''),
  status    TEXT NOT NULL CHECK (status IN ('booked', 'waiting', 'cancelled')),
  salt      BLOB CHECK (length(salt) = 16),
  placed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- one live order per guest and event; serves the check of a fold against the live orders
CREATE UNIQUE INDEX orders_one_live_per_guest ON orders (event_id, user_id) WHERE status <> 'cancelled';

CREATE TABLE ledger (
  event_id TEXT NOT NULL REFERENCES events (id),
  seq      INTEGER NOT NULL CHECK (seq >= 1),
  kind     TEXT NOT NULL CHECK (kind IN ('opened', 'resized', 'booked', 'joined', 'promoted', 'cancelled')),
  at       INTEGER NOT NULL,
  actor    TEXT NOT NULL CHECK (actor IN ('guest', 'organiser')),
  order_id TEXT REFERENCES orders (id) CHECK ((order_id IS NULL) = (kind IN ('opened', 'resized'))),
  reason   TEXT,
  detail   TEXT,
  hash     BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (event_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER ledger_entries_never_change BEFORE UPDATE ON ledger
BEGIN
  SELECT RAISE(ABORT, 'a ledger is append-only: its entries never change');
END;

CREATE TRIGGER ledger_entries_are_never_removed BEFORE DELETE ON ledger
BEGIN
  SELECT RAISE(ABORT, 'a ledger is append-only: its entries are never removed');
END;
