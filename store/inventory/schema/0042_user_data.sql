-- +goose Up

-- User data of a machine, of the machines with a tag, or, if both are NULL, of all others.
CREATE TABLE user_data (
    id      {{id}},
    node_id BIGINT UNIQUE REFERENCES node (id) ON DELETE CASCADE,
    tag_id  BIGINT UNIQUE REFERENCES tag (id) ON DELETE CASCADE,
    -- Another text with each change; it says nothing about the content.
    mark    TEXT NOT NULL,
    size    BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    sealed  {{blob}} NOT NULL
);

-- When the machine's system reported that its configuration is complete; 0 = not since it was
-- given back or got another profile.
ALTER TABLE node ADD COLUMN configured BIGINT NOT NULL DEFAULT 0;
