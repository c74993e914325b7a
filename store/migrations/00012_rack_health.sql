-- +goose Up
-- What each rack said last of how it does, and whether it was noticed to be away.
CREATE TABLE rack_health (
    id     {{id}},
    rack   TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL,
    heard  BIGINT NOT NULL,
    report TEXT NOT NULL,
    away   BIGINT NOT NULL
);
