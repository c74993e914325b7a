-- +goose Up
-- What machines boot that have no profile of their own: those with a tag, or those in a subnet. JSON of pxe.Profile.
CREATE TABLE boot_profile (
    id        {{id}},
    subnet_id BIGINT UNIQUE REFERENCES subnet (id) ON DELETE CASCADE,
    tag_id    BIGINT UNIQUE REFERENCES tag (id) ON DELETE CASCADE,
    profile   TEXT NOT NULL,
    CHECK ((subnet_id IS NULL) <> (tag_id IS NULL))
);

CREATE TABLE subnet_tag (
    id        {{id}},
    subnet_id BIGINT NOT NULL REFERENCES subnet (id) ON DELETE CASCADE,
    tag_id    BIGINT NOT NULL REFERENCES tag (id) ON DELETE CASCADE,
    UNIQUE (subnet_id, tag_id)
);
