-- What is recognised when it comes again, what is read again, and how much may wait.

-- The carrier's own ids of messages, for accounts that tell repeats by them.
CREATE TABLE carrier_id (
  key   BLOB PRIMARY KEY,                   -- keyed hash
  until INTEGER NOT NULL,
  id    TEXT NOT NULL                       -- of what was stored for the first
) STRICT, WITHOUT ROWID;
CREATE INDEX carrier_id_until ON carrier_id (until);

-- Where a quarantined arrival came from, so that it can be read as if it came just then.
ALTER TABLE quarantine ADD COLUMN link TEXT NOT NULL DEFAULT '';
ALTER TABLE quarantine ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE quarantine ADD COLUMN duplicate_of TEXT;
CREATE INDEX quarantine_id ON quarantine (id);

-- How much of a carrier's waits for the rest: the sums over its open sets.
CREATE TABLE waiting (
  carrier TEXT PRIMARY KEY,
  parts   INTEGER NOT NULL,
  octets  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE fragment_set ADD COLUMN carrier TEXT NOT NULL DEFAULT '';
ALTER TABLE fragment_set ADD COLUMN octets INTEGER NOT NULL DEFAULT 0;
UPDATE fragment_set SET
  octets = (SELECT coalesce(sum(length(f.body)), 0) FROM fragment f WHERE f.set_id = fragment_set.id),
  carrier = coalesce((SELECT json_extract(CAST(f.body AS TEXT), '$.origin.carrier')
    FROM fragment f WHERE f.set_id = fragment_set.id LIMIT 1), '');
INSERT INTO waiting SELECT carrier, sum(have), sum(octets) FROM fragment_set
  WHERE state = 0 GROUP BY carrier;
