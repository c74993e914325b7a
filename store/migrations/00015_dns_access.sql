-- +goose Up
-- Keys that sign transfers and updates of zones (TSIG), sealed.
CREATE TABLE tsig_key (
    id        {{id}},
    name      TEXT NOT NULL UNIQUE CHECK (name <> ''),
    algorithm TEXT NOT NULL,
    sealed    {{blob}} NOT NULL,
    created   BIGINT NOT NULL
);

-- Who may fetch a domain's zone, is told of changes, and may change records; JSON lists of texts.
ALTER TABLE domain ADD COLUMN allow_transfer TEXT NOT NULL DEFAULT '[]';
ALTER TABLE domain ADD COLUMN notify TEXT NOT NULL DEFAULT '[]';
ALTER TABLE domain ADD COLUMN allow_update TEXT NOT NULL DEFAULT '[]';
