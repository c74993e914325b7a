-- +goose Up

-- Who had which address when. Subnets and names are text, since the record outlives what it names.
-- The highest IDs are kept.
CREATE TABLE lease_history (
    id        {{id}},
    subnet    TEXT NOT NULL,
    ip        TEXT NOT NULL,
    mac       TEXT NOT NULL,
    client_id TEXT NOT NULL,
    hostname  TEXT NOT NULL,
    began     BIGINT NOT NULL,
    -- When the lease runs out, and when it ended (0 = it has not) and how.
    expires   BIGINT NOT NULL,
    ended     BIGINT NOT NULL,
    how       TEXT NOT NULL
);
CREATE INDEX lease_history_ip ON lease_history (ip, began);
CREATE INDEX lease_history_mac ON lease_history (mac, began);
CREATE INDEX lease_history_end ON lease_history (ended, expires);
