-- What is ordered of the processes that serve links, and what carriers were refused.

CREATE TABLE link_order (
  id    TEXT PRIMARY KEY,
  until INTEGER NOT NULL,
  body  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Numbers grow; only the newest of an account are kept.
CREATE TABLE refusal (
  n       INTEGER PRIMARY KEY,
  account TEXT NOT NULL,                    -- empty: of strangers
  body    BLOB NOT NULL                     -- sealed
) STRICT;
CREATE INDEX refusal_account ON refusal (account, n);
