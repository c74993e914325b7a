-- +goose Up

-- Prefixes that routers of the subnet are delegated, as a JSON list of "prefix-length".
ALTER TABLE subnet ADD COLUMN delegated TEXT NOT NULL DEFAULT 'null';

-- Length of a delegated prefix that begins with ip; 0 = an address.
ALTER TABLE lease_history ADD COLUMN bits BIGINT NOT NULL DEFAULT 0;
CREATE INDEX lease_history_bits ON lease_history (bits, ended) WHERE bits > 0;
