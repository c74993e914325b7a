-- +goose Up
-- Servers that answer for a domain that is served elsewhere.
ALTER TABLE domain ADD COLUMN forward TEXT NOT NULL DEFAULT '[]';
