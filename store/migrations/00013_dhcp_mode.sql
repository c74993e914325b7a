-- +goose Up
-- Who gives the machines of a VLAN their addresses; empty = its racks.
ALTER TABLE vlan ADD COLUMN dhcp_mode TEXT NOT NULL DEFAULT '';
