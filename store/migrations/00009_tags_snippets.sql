-- +goose Up
CREATE TABLE tag (
    id          {{id}},
    version     BIGINT NOT NULL,
    name        TEXT NOT NULL UNIQUE CHECK (name <> ''),
    comment     TEXT NOT NULL,
    kernel_opts TEXT NOT NULL
);

CREATE TABLE node_tag (
    id      {{id}},
    node_id BIGINT NOT NULL REFERENCES node (id) ON DELETE CASCADE,
    tag_id  BIGINT NOT NULL REFERENCES tag (id) ON DELETE CASCADE,
    UNIQUE (node_id, tag_id)
);
CREATE INDEX node_tag_tag ON node_tag (tag_id);

-- Options of DHCP at one level: of the site when all three references are NULL.
CREATE TABLE dhcp_snippet (
    id          {{id}},
    version     BIGINT NOT NULL,
    name        TEXT NOT NULL CHECK (name <> ''),
    description TEXT NOT NULL,
    value       TEXT NOT NULL,
    enabled     BOOLEAN NOT NULL,
    node_id     BIGINT REFERENCES node (id) ON DELETE CASCADE,
    subnet_id   BIGINT REFERENCES subnet (id) ON DELETE CASCADE,
    range_id    BIGINT REFERENCES ip_range (id) ON DELETE CASCADE
);

-- The link through whose subnet's gateway a machine reaches the rest of the world.
CREATE TABLE default_gateway (
    id            {{id}},
    node_id       BIGINT NOT NULL REFERENCES node (id) ON DELETE CASCADE,
    family        BIGINT NOT NULL CHECK (family IN (4, 6)),
    allocation_id BIGINT NOT NULL REFERENCES allocation (id) ON DELETE CASCADE,
    UNIQUE (node_id, family)
);

ALTER TABLE node ADD COLUMN locked BOOLEAN NOT NULL DEFAULT FALSE;
