-- +goose Up
-- The last boots of each link address, as the racks saw them; record is JSON of pxe.Attempt.
CREATE TABLE boot_attempt (
    id      {{id}},
    mac     TEXT NOT NULL,
    started BIGINT NOT NULL,
    record  TEXT NOT NULL
);
CREATE INDEX boot_attempt_mac ON boot_attempt (mac, id);
