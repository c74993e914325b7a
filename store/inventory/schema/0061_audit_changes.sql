-- +goose Up

-- What a transaction changed, as JSON: the objects with the old and new values of their fields. Of
-- entries from before it is not known.
ALTER TABLE audit ADD COLUMN changes TEXT NOT NULL DEFAULT 'null';
