-- +goose Up
-- Who may use the API. A password is kept as a slow hash, of the random secret of an API key a fast one.
CREATE TABLE account (
    id       {{id}},
    version  BIGINT NOT NULL,
    name     TEXT NOT NULL UNIQUE CHECK (name <> ''),
    email    TEXT NOT NULL,
    role     TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'read-only')),
    password TEXT NOT NULL,
    created  BIGINT NOT NULL
);

CREATE TABLE api_key (
    id         {{id}},
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    consumer   TEXT NOT NULL UNIQUE,
    token      TEXT NOT NULL UNIQUE,
    secret     TEXT NOT NULL,
    created    BIGINT NOT NULL
);
CREATE INDEX api_key_account ON api_key (account_id);

CREATE TABLE ssh_key (
    id         {{id}},
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    public_key TEXT NOT NULL,
    UNIQUE (account_id, public_key)
);

-- Keys were a setting before there were users.
DELETE FROM setting WHERE name = 'api_keys';

-- Whose doing an event was; empty = nobody's in particular.
ALTER TABLE event ADD COLUMN account TEXT NOT NULL DEFAULT '';
CREATE INDEX event_level ON event (level, id);
