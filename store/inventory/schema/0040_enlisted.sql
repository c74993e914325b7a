-- +goose Up

-- Machines that are in the inventory since they booted, and that no user has touched yet.
CREATE TABLE enlisted (
    node_id BIGINT PRIMARY KEY REFERENCES node (id) ON DELETE CASCADE,
    -- VLAN on which it booted; 0 = not known.
    vlan_id BIGINT NOT NULL,
    at      BIGINT NOT NULL
);
CREATE INDEX enlisted_vlan ON enlisted (vlan_id, at);
