-- +goose Up

-- The boot loader that the machine's firmware started last, by its path; empty = not known.
ALTER TABLE node ADD COLUMN loader TEXT NOT NULL DEFAULT '';
