-- +goose Up

-- Addresses of DHCP relays whose clients belong to the subnet, as a JSON list.
ALTER TABLE subnet ADD COLUMN relays TEXT NOT NULL DEFAULT 'null';
