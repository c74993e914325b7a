-- +goose Up
-- {{id}} and {{blob}} are spelled by each engine. Times are microseconds
-- since 1970, addresses are in their canonical text, lists are JSON.

CREATE TABLE revision (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    last BIGINT NOT NULL
);
INSERT INTO revision (one, last) VALUES (1, 0);

CREATE TABLE change (
    rev    BIGINT PRIMARY KEY,
    at     BIGINT NOT NULL,
    kind   TEXT NOT NULL,
    object BIGINT NOT NULL,
    op     TEXT NOT NULL
);

CREATE TABLE setting (
    id    {{id}},
    name  TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL
);

CREATE TABLE zone (
    id          {{id}},
    name        TEXT NOT NULL UNIQUE CHECK (name <> ''),
    description TEXT NOT NULL
);

CREATE TABLE resource_pool (
    id          {{id}},
    name        TEXT NOT NULL UNIQUE CHECK (name <> ''),
    description TEXT NOT NULL
);

CREATE TABLE domain (
    id            {{id}},
    name          TEXT NOT NULL UNIQUE CHECK (name <> ''),
    external      BOOLEAN NOT NULL,
    ttl           BIGINT NOT NULL
);

CREATE TABLE space (
    id          {{id}},
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL
);

CREATE TABLE fabric (
    id          {{id}},
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    class_type  TEXT NOT NULL
);

CREATE TABLE rack (
    id        {{id}},
    name      TEXT NOT NULL UNIQUE CHECK (name <> ''),
    zone_id   BIGINT NOT NULL REFERENCES zone (id),
    links     TEXT NOT NULL,
    last_seen BIGINT NOT NULL
);

CREATE TABLE vlan (
    id             {{id}},
    fabric_id      BIGINT NOT NULL REFERENCES fabric (id) ON DELETE CASCADE,
    vid            BIGINT NOT NULL CHECK (vid BETWEEN 0 AND 4094),
    name           TEXT NOT NULL,
    description    TEXT NOT NULL,
    mtu            BIGINT NOT NULL CHECK (mtu BETWEEN 552 AND 65535),
    space_id       BIGINT REFERENCES space (id) ON DELETE SET NULL,
    dhcp           BOOLEAN NOT NULL,
    primary_rack   TEXT NOT NULL,
    secondary_rack TEXT NOT NULL,
    relay_vlan_id  BIGINT REFERENCES vlan (id) ON DELETE SET NULL DEFERRABLE,
    UNIQUE (fabric_id, vid)
);

CREATE TABLE subnet (
    id               {{id}},
    name             TEXT NOT NULL,
    description      TEXT NOT NULL,
    vlan_id          BIGINT NOT NULL REFERENCES vlan (id),
    prefix           TEXT NOT NULL UNIQUE CHECK (prefix <> ''),
    gateway          TEXT NOT NULL,
    dns_servers      TEXT NOT NULL,
    rdns             BIGINT NOT NULL,
    unmanaged        BOOLEAN NOT NULL,
    deny_dns         BOOLEAN NOT NULL,
    deny_proxy       BOOLEAN NOT NULL,
    active_discovery BOOLEAN NOT NULL,
    disabled_boot    TEXT NOT NULL,
    settings_rev     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX subnet_vlan ON subnet (vlan_id);

CREATE TABLE ip_range (
    id         {{id}},
    subnet_id  BIGINT NOT NULL REFERENCES subnet (id) ON DELETE CASCADE,
    type       BIGINT NOT NULL,
    first_addr TEXT NOT NULL,
    last_addr  TEXT NOT NULL,
    owner      TEXT NOT NULL,
    comment    TEXT NOT NULL
);
CREATE INDEX ip_range_subnet ON ip_range (subnet_id);

CREATE TABLE static_route (
    id             {{id}},
    source_id      BIGINT NOT NULL REFERENCES subnet (id) ON DELETE CASCADE,
    destination_id BIGINT NOT NULL REFERENCES subnet (id) ON DELETE CASCADE,
    gateway        TEXT NOT NULL,
    metric         BIGINT NOT NULL,
    CHECK (source_id <> destination_id),
    UNIQUE (source_id, destination_id, gateway)
);

CREATE TABLE reserved_ip (
    id        {{id}},
    subnet_id BIGINT NOT NULL REFERENCES subnet (id) ON DELETE CASCADE,
    ip        TEXT NOT NULL UNIQUE CHECK (ip <> ''),
    mac       TEXT NOT NULL CHECK (mac <> ''),
    comment   TEXT NOT NULL,
    UNIQUE (mac, subnet_id)
);

CREATE TABLE node (
    id           {{id}},
    kind         TEXT NOT NULL CHECK (kind IN ('machine', 'device')),
    system_id    TEXT NOT NULL UNIQUE,
    version      BIGINT NOT NULL,
    hostname     TEXT NOT NULL CHECK (hostname <> ''),
    domain_id    BIGINT NOT NULL REFERENCES domain (id),
    description  TEXT NOT NULL,
    owner        TEXT NOT NULL,
    zone_id      BIGINT NOT NULL REFERENCES zone (id),
    pool_id      BIGINT NOT NULL REFERENCES resource_pool (id),
    parent_id    BIGINT REFERENCES node (id) ON DELETE CASCADE DEFERRABLE,
    status       TEXT NOT NULL,
    architecture TEXT NOT NULL,
    firmware     TEXT NOT NULL,
    uuid         TEXT NOT NULL,
    power_type   TEXT NOT NULL,
    power_params TEXT NOT NULL,
    power_state  TEXT NOT NULL,
    profile      TEXT NOT NULL,
    created      BIGINT NOT NULL,
    updated      BIGINT NOT NULL,
    UNIQUE (hostname, domain_id)
);
CREATE INDEX node_uuid ON node (uuid); -- not unique: some boards share one
CREATE INDEX node_zone ON node (zone_id);
CREATE INDEX node_pool ON node (pool_id);

-- Secrets are apart, so that no query for a node can return them by accident.
CREATE TABLE node_secret (
    node_id BIGINT PRIMARY KEY REFERENCES node (id) ON DELETE CASCADE,
    sealed  {{blob}} NOT NULL
);

CREATE TABLE interface (
    id      {{id}},
    node_id BIGINT REFERENCES node (id) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    kind    BIGINT NOT NULL,
    mac     TEXT NOT NULL,
    vlan_id BIGINT REFERENCES vlan (id) ON DELETE SET NULL,
    parents TEXT NOT NULL,
    params  TEXT NOT NULL,
    boot    BOOLEAN NOT NULL,
    enabled BOOLEAN NOT NULL,
    UNIQUE (node_id, name)
);
-- A physical (0) or unknown (4) interface is known by its MAC.
CREATE UNIQUE INDEX interface_mac ON interface (mac) WHERE kind IN (0, 4);
CREATE INDEX interface_any_mac ON interface (mac);
CREATE INDEX interface_vlan ON interface (vlan_id);

CREATE TABLE allocation (
    id           {{id}},
    type         BIGINT NOT NULL,
    subnet_id    BIGINT REFERENCES subnet (id) ON DELETE CASCADE,
    ip           TEXT,
    interface_id BIGINT REFERENCES interface (id) ON DELETE CASCADE,
    owner        TEXT NOT NULL,
    comment      TEXT NOT NULL,
    hostname     TEXT NOT NULL,
    created      BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    CHECK (ip <> '')
);
-- At most one holder per address, and beside it one observation (6).
CREATE UNIQUE INDEX allocation_held ON allocation (ip) WHERE type <> 6;
CREATE UNIQUE INDEX allocation_seen ON allocation (ip) WHERE type = 6;
CREATE INDEX allocation_ip ON allocation (ip);
CREATE INDEX allocation_subnet ON allocation (subnet_id);
CREATE INDEX allocation_interface ON allocation (interface_id);

CREATE TABLE dns_record (
    id        {{id}},
    domain_id BIGINT NOT NULL REFERENCES domain (id) ON DELETE CASCADE,
    name      TEXT NOT NULL CHECK (name <> ''),
    type      TEXT NOT NULL,
    ttl       BIGINT NOT NULL,
    data      TEXT NOT NULL,
    UNIQUE (domain_id, name, type, data)
);

CREATE TABLE observation (
    id         {{id}},
    ip         TEXT NOT NULL,
    mac        TEXT NOT NULL,
    rack       TEXT NOT NULL,
    link       TEXT NOT NULL,
    vid        BIGINT NOT NULL,
    hostname   TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    UNIQUE (ip, mac)
);

CREATE TABLE event (
    id          {{id}},
    at          BIGINT NOT NULL,
    node_id     BIGINT REFERENCES node (id) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    level       TEXT NOT NULL,
    description TEXT NOT NULL
);
CREATE INDEX event_node ON event (node_id);

-- The last fact of each rack that was taken in, so that none counts twice.
CREATE TABLE fact (
    rack TEXT PRIMARY KEY,
    seq  BIGINT NOT NULL
);
