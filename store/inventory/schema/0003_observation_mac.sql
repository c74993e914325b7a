-- +goose Up

-- A device may be seen at many addresses, and is looked up by each new one.
CREATE INDEX observation_mac ON observation (mac);
