-- +goose Up
ALTER TABLE zone ADD COLUMN forward TEXT NOT NULL DEFAULT '[]';
