-- +goose Up

-- The tags of an interface, as a JSON list.
ALTER TABLE interface ADD COLUMN tags TEXT NOT NULL DEFAULT 'null';
