-- +goose Up

-- What users changed. It has a table of its own, so that however much a site boots, nothing
-- displaces it; an entry outlives its machine.
CREATE TABLE audit (
    id          {{id}},
    at          BIGINT NOT NULL,
    node_id     BIGINT REFERENCES node (id) ON DELETE SET NULL,
    kind        TEXT NOT NULL,
    level       TEXT NOT NULL,
    description TEXT NOT NULL,
    account     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX audit_node ON audit (node_id);
INSERT INTO audit (at, node_id, kind, level, description, account)
SELECT at, node_id, kind, level, description, account FROM event WHERE level = 'audit' ORDER BY id;
DELETE FROM event WHERE level = 'audit';
