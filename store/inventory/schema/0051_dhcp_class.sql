-- +goose Up

-- Kinds of DHCP clients, told apart by what they send. The lowest sequence decides for a client of
-- several.
CREATE TABLE dhcp_class (
    id           {{id}},
    name         TEXT NOT NULL UNIQUE CHECK (name <> ''),
    description  TEXT NOT NULL,
    sequence     BIGINT NOT NULL,
    vendor_class TEXT NOT NULL,
    user_class   TEXT NOT NULL,
    arch         TEXT NOT NULL DEFAULT 'null',
    mac_prefix   TEXT NOT NULL,
    circuit_id   TEXT NOT NULL,
    ignored      BOOLEAN NOT NULL,
    options      TEXT NOT NULL,
    version      BIGINT NOT NULL DEFAULT 1
);

-- The class that alone gets addresses of a range; NULL = clients of no class, and of those without
-- a range of their own.
ALTER TABLE ip_range ADD COLUMN class_id BIGINT REFERENCES dhcp_class (id);
CREATE INDEX ip_range_class ON ip_range (class_id);
