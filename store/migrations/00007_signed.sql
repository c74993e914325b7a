-- +goose Up
-- Whether answers about the domain are signed (DNSSEC).
ALTER TABLE domain ADD COLUMN signed BOOLEAN NOT NULL DEFAULT FALSE;
