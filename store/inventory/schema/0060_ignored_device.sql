-- +goose Up

-- What is known of devices that an operator ignored, by the rule of the setting discovery_ignore
-- that ignores them. The setting decides; a row goes with its rule.
CREATE TABLE ignored_device (
    id       {{id}},
    rule     TEXT NOT NULL UNIQUE,
    at       BIGINT NOT NULL,
    ip       TEXT NOT NULL,
    hostname TEXT NOT NULL,
    reason   TEXT NOT NULL,
    account  TEXT NOT NULL
);
