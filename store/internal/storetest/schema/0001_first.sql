-- +goose Up
-- One table for each kind of column and of reference.
CREATE TABLE zone (
    id          {{id}},
    name        TEXT NOT NULL UNIQUE CHECK (name <> ''),
    description TEXT NOT NULL
);

CREATE TABLE node (
    id        {{id}},
    zone_id   BIGINT NOT NULL REFERENCES zone (id),
    parent_id BIGINT REFERENCES node (id) ON DELETE CASCADE DEFERRABLE,
    external  BOOLEAN NOT NULL,
    updated   BIGINT NOT NULL
);

-- Sorted before the table that it refers to, and without an id.
CREATE TABLE a_secret (
    node_id BIGINT PRIMARY KEY REFERENCES node (id) ON DELETE CASCADE,
    sealed  {{blob}} NOT NULL
);
