-- +goose Up

-- What a rack was given to serve, apart from the VLANs that name it. "claim" is its last
-- registration, "open" lets the next one decide: racks of earlier versions keep what they serve.
ALTER TABLE rack ADD COLUMN networks TEXT NOT NULL DEFAULT 'null';
ALTER TABLE rack ADD COLUMN bmc_networks TEXT NOT NULL DEFAULT 'null';
ALTER TABLE rack ADD COLUMN ignored TEXT NOT NULL DEFAULT 'null';
ALTER TABLE rack ADD COLUMN claim TEXT NOT NULL DEFAULT 'null';
ALTER TABLE rack ADD COLUMN open BOOLEAN NOT NULL DEFAULT TRUE;

ALTER TABLE rack_token ADD COLUMN networks TEXT NOT NULL DEFAULT 'null';
ALTER TABLE rack_token ADD COLUMN bmc_networks TEXT NOT NULL DEFAULT 'null';
ALTER TABLE rack_token ADD COLUMN open BOOLEAN NOT NULL DEFAULT FALSE;

-- Which certificate of an enrolment this one is, and when a rack first showed it (0 = never): of
-- two hosts with one identity, the second to renew shows an old one.
ALTER TABLE rack_certificate ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rack_certificate ADD COLUMN used BIGINT NOT NULL DEFAULT 0;

-- The racks that serve a domain, and hold its keys (none = all), and how often its signing key was
-- replaced.
ALTER TABLE domain ADD COLUMN racks TEXT NOT NULL DEFAULT 'null';
ALTER TABLE domain ADD COLUMN key_number BIGINT NOT NULL DEFAULT 0;
