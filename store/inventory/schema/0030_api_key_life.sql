-- +goose Up

-- When a key ends, and when it was last used; 0 = never. The time of use is a minute behind at most.
ALTER TABLE api_key ADD COLUMN expires BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_key ADD COLUMN used BIGINT NOT NULL DEFAULT 0;
