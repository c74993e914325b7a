-- +goose Up
-- What tells whether a region has the key that the site's secrets are sealed with. The key itself is not here.
CREATE TABLE site_key (
    id    {{id}},
    one   INTEGER NOT NULL UNIQUE CHECK (one = 1),
    mark  {{blob}} NOT NULL
);

-- What only one region does at a time. The token grows with each holder, so that a holder that was replaced is known.
CREATE TABLE duty (
    id      {{id}},
    name    TEXT NOT NULL UNIQUE,
    holder  TEXT NOT NULL,
    token   BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
