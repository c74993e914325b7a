-- +goose Up

-- Images of boot files: what to fetch, and what was fetched.
CREATE TABLE boot_image (
    id        {{id}},
    name      TEXT NOT NULL UNIQUE CHECK (name <> ''),
    spec      TEXT NOT NULL,
    -- The files with their hashes; the regions have the content.
    content   TEXT NOT NULL,
    -- Why the last attempt to fetch it failed; empty = it did not.
    problem   TEXT NOT NULL,
    -- When it was last asked for, and when its content was last brought up to date; 0 = never.
    requested BIGINT NOT NULL,
    fetched   BIGINT NOT NULL,
    version   BIGINT NOT NULL DEFAULT 1
);
