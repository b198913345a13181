-- One sequence numbers all that happens (tally.number). A message takes as many numbers as its
-- deliveries, at least one an event: its own number is its first event's, an event's number is
-- its first delivery's. So a delivery leads to its event and message, and back, without an index.
--
-- Numbers of people and texts stand only in columns marked `sealed`: octets that one module
-- (bridge/store/rows.py) writes and reads. Look-ups by address go through keyed hashes.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tally (
  one          INTEGER PRIMARY KEY CHECK (one = 1),
  number       INTEGER NOT NULL,            -- the last one given
  messages     INTEGER NOT NULL DEFAULT 0,
  unrouted     INTEGER NOT NULL DEFAULT 0,
  pending      INTEGER NOT NULL DEFAULT 0,
  dead_letters INTEGER NOT NULL DEFAULT 0,
  quarantined  INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO tally (one, number) VALUES (1, 0);

-- The carrier side ---------------------------------------------------------------------------

-- Clustered by minute, so that old ones go from the front and new ones come at the end.
CREATE TABLE arrival (
  minute      INTEGER NOT NULL,
  link        TEXT NOT NULL,
  place       INTEGER NOT NULL,
  account     TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  received_at INTEGER NOT NULL,
  id          TEXT NOT NULL,                -- of what was stored for it
  PRIMARY KEY (minute, link, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE doubtful (
  account     TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  link        TEXT NOT NULL,
  place       INTEGER NOT NULL,
  id          TEXT NOT NULL,
  answered    INTEGER NOT NULL,
  until       INTEGER NOT NULL,
  PRIMARY KEY (account, fingerprint, link, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX doubtful_until ON doubtful (until);

CREATE TABLE message (
  n                INTEGER PRIMARY KEY,
  span             INTEGER NOT NULL,        -- how many numbers it took
  id               TEXT NOT NULL,
  kind             TEXT NOT NULL,
  received_at      INTEGER NOT NULL,
  account          TEXT NOT NULL,
  carrier          TEXT NOT NULL,
  tenant           TEXT NOT NULL,
  number           TEXT,
  encoding         TEXT NOT NULL,
  total            INTEGER NOT NULL,
  complete         INTEGER NOT NULL,
  duplicate_of     TEXT,
  routed           INTEGER NOT NULL,
  source_hash      INTEGER NOT NULL,
  destination_hash INTEGER NOT NULL,
  addresses        BLOB NOT NULL,           -- sealed
  raw              BLOB NOT NULL            -- sealed
) STRICT;
CREATE UNIQUE INDEX message_id ON message (id);
-- Hashes are random: an index over them alone would touch a page of its own for each message.
-- Grouped by 1,024 numbers the pages written to stay few; a look-up seeks once a group.
CREATE INDEX message_source ON message (n >> 10, source_hash);
CREATE INDEX message_destination ON message (n >> 10, destination_hash);
CREATE INDEX message_unrouted ON message (n) WHERE routed = 0;

CREATE TABLE event (
  n          INTEGER PRIMARY KEY,
  message    INTEGER NOT NULL,
  late       INTEGER NOT NULL,              -- came after its message: outside its numbers
  fan        INTEGER NOT NULL,              -- how many deliveries
  id         TEXT NOT NULL,
  type       TEXT NOT NULL,
  tenant     TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  body       BLOB NOT NULL                  -- sealed
) STRICT;
CREATE INDEX event_late ON event (message) WHERE late = 1;

CREATE TABLE quarantine (
  n           INTEGER PRIMARY KEY,
  id          TEXT NOT NULL,
  account     TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  reason      TEXT NOT NULL,
  raw         BLOB NOT NULL                 -- sealed
) STRICT;

CREATE TABLE fragment_set (
  id         INTEGER PRIMARY KEY,
  key        BLOB NOT NULL,                 -- keyed hash
  total      INTEGER NOT NULL,
  have       INTEGER NOT NULL,
  state      INTEGER NOT NULL,              -- 0 open, 1 delivered with gaps, 2 done
  fresh      INTEGER NOT NULL,              -- has parts that no delivery told of
  opened_at  INTEGER NOT NULL,
  patience   INTEGER NOT NULL,              -- milliseconds it may wait
  expires_at INTEGER NOT NULL,
  message_id TEXT
) STRICT;
CREATE INDEX fragment_set_key ON fragment_set (key);
CREATE INDEX fragment_set_time ON fragment_set (state, expires_at);
CREATE INDEX fragment_set_whole ON fragment_set (id) WHERE state < 2 AND have = total;

CREATE TABLE fragment (
  set_id INTEGER NOT NULL,
  seq    INTEGER NOT NULL,
  id     TEXT NOT NULL,
  digest BLOB NOT NULL,
  body   BLOB NOT NULL,                     -- sealed
  PRIMARY KEY (set_id, seq)
) STRICT, WITHOUT ROWID;

-- The delivery side --------------------------------------------------------------------------

CREATE TABLE lane (
  n        INTEGER PRIMARY KEY,
  name     TEXT NOT NULL UNIQUE,
  endpoint TEXT NOT NULL
) STRICT;

CREATE TABLE lease (
  lane  TEXT PRIMARY KEY,
  owner TEXT,
  token INTEGER NOT NULL,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Only what is still to be sent, so that it stays small.
CREATE TABLE delivery (
  id       INTEGER PRIMARY KEY,
  lane     INTEGER NOT NULL,
  event    INTEGER NOT NULL,
  due_at   INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  step     INTEGER NOT NULL
) STRICT;
CREATE INDEX delivery_due ON delivery (lane, due_at);

-- History. The attempt that succeeded stays with its delivery: mostly it is the only one.
CREATE TABLE delivered (
  id      INTEGER PRIMARY KEY,
  lane    INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  attempt BLOB NOT NULL                     -- sealed
) STRICT;

CREATE TABLE attempt (
  delivery INTEGER NOT NULL,
  number   INTEGER NOT NULL,
  status   INTEGER,
  error    TEXT,
  facts    BLOB NOT NULL,                   -- sealed
  PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letter (
  id       INTEGER PRIMARY KEY,
  lane     INTEGER NOT NULL,
  event    INTEGER NOT NULL,
  endpoint TEXT NOT NULL,
  died_at  INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  reason   TEXT NOT NULL
) STRICT;
CREATE INDEX dead_letter_endpoint ON dead_letter (endpoint, id);

-- Processes, links, configuration ------------------------------------------------------------

CREATE TABLE process (
  id     TEXT PRIMARY KEY,
  status BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE link (
  id        TEXT PRIMARY KEY,
  process   TEXT NOT NULL,
  closed_at INTEGER,
  status    BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX link_process ON link (process);

CREATE TABLE revision (
  number INTEGER PRIMARY KEY,
  source TEXT NOT NULL,
  at     INTEGER NOT NULL
) STRICT;

CREATE TABLE live_object (
  kind   TEXT NOT NULL,
  name   TEXT NOT NULL,
  source TEXT NOT NULL,
  json   BLOB NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
