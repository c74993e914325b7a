-- +goose Up
-- The site's certificate authority. The key is sealed like all secrets.
CREATE TABLE site_ca (
    id     {{id}},
    one    INTEGER NOT NULL UNIQUE CHECK (one = 1),
    cert   {{blob}} NOT NULL,
    sealed {{blob}} NOT NULL
);

-- Tokens that let a rack in once. Of the secret only a hash is kept.
CREATE TABLE rack_token (
    id      {{id}},
    hash    TEXT NOT NULL UNIQUE,
    rack    TEXT NOT NULL,
    zone_id BIGINT NOT NULL REFERENCES zone (id) ON DELETE CASCADE,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    used    BIGINT NOT NULL,
    used_by TEXT NOT NULL
);

-- Certificates that racks hold. One that is not here is not accepted.
CREATE TABLE rack_certificate (
    id      {{id}},
    serial  TEXT NOT NULL UNIQUE,
    rack    TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT NOT NULL
);

-- Where racks reach the regions of the site.
CREATE TABLE region (
    id        {{id}},
    name      TEXT NOT NULL UNIQUE,
    addresses TEXT NOT NULL,
    last_seen BIGINT NOT NULL
);

-- Facts of another outbox are numbered anew.
ALTER TABLE fact ADD COLUMN outbox TEXT NOT NULL DEFAULT '';
