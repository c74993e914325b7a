-- +goose Up
-- Counts the steps of all boots: those that have one since are found by it.
ALTER TABLE boot_attempt ADD COLUMN step BIGINT NOT NULL DEFAULT 0;
CREATE INDEX boot_attempt_step ON boot_attempt (step);
