-- +goose Up
-- The tables of a site. Package store spells {{id}} and {{blob}} for each engine. Times are microseconds since 1970,
-- addresses and link addresses have their canonical text, lists are JSON. A version counts the changes of an object: a
-- write that rests on an old version is refused. References to the same table are DEFERRABLE, so that a restore may insert
-- rows in any order.

CREATE TABLE setting (
    id    {{id}},
    name  TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL
);

CREATE TABLE zone (
    id          {{id}},
    name        TEXT NOT NULL UNIQUE CHECK (name <> ''),
    description TEXT NOT NULL,
    version     BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE resource_pool (
    id          {{id}},
    name        TEXT NOT NULL UNIQUE CHECK (name <> ''),
    description TEXT NOT NULL,
    version     BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE domain (
    id             {{id}},
    name           TEXT NOT NULL UNIQUE CHECK (name <> ''),
    external       BOOLEAN NOT NULL,
    ttl            BIGINT NOT NULL,
    -- Servers that resolve the names of an external domain.
    forward        TEXT NOT NULL DEFAULT '[]',
    version        BIGINT NOT NULL DEFAULT 1,
    -- Answers about a signed domain carry DNSSEC signatures.
    signed         BOOLEAN NOT NULL DEFAULT FALSE,
    allow_transfer TEXT NOT NULL DEFAULT '[]',
    notify         TEXT NOT NULL DEFAULT '[]',
    allow_update   TEXT NOT NULL DEFAULT '[]'
);

CREATE TABLE space (
    id          {{id}},
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    version     BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE fabric (
    id          {{id}},
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    class_type  TEXT NOT NULL,
    version     BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE rack (
    id        {{id}},
    name      TEXT NOT NULL UNIQUE CHECK (name <> ''),
    zone_id   BIGINT NOT NULL REFERENCES zone (id),
    links     TEXT NOT NULL,
    last_seen BIGINT NOT NULL,
    version   BIGINT NOT NULL DEFAULT 1
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
    version        BIGINT NOT NULL DEFAULT 1,
    dhcp_mode      TEXT NOT NULL DEFAULT '',
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
    settings_rev     BIGINT NOT NULL DEFAULT 0,
    version          BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX subnet_vlan ON subnet (vlan_id);

CREATE TABLE ip_range (
    id         {{id}},
    subnet_id  BIGINT NOT NULL REFERENCES subnet (id) ON DELETE CASCADE,
    type       BIGINT NOT NULL,
    first_addr TEXT NOT NULL,
    last_addr  TEXT NOT NULL,
    owner      TEXT NOT NULL,
    comment    TEXT NOT NULL,
    version    BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX ip_range_subnet ON ip_range (subnet_id);

CREATE TABLE static_route (
    id             {{id}},
    source_id      BIGINT NOT NULL REFERENCES subnet (id) ON DELETE CASCADE,
    destination_id BIGINT NOT NULL REFERENCES subnet (id) ON DELETE CASCADE,
    gateway        TEXT NOT NULL,
    metric         BIGINT NOT NULL,
    version        BIGINT NOT NULL DEFAULT 1,
    CHECK (source_id <> destination_id),
    UNIQUE (source_id, destination_id, gateway)
);

CREATE TABLE reserved_ip (
    id        {{id}},
    subnet_id BIGINT NOT NULL REFERENCES subnet (id) ON DELETE CASCADE,
    ip        TEXT NOT NULL UNIQUE CHECK (ip <> ''),
    mac       TEXT NOT NULL CHECK (mac <> ''),
    comment   TEXT NOT NULL,
    version   BIGINT NOT NULL DEFAULT 1,
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
    locked       BOOLEAN NOT NULL DEFAULT FALSE,
    UNIQUE (hostname, domain_id)
);
CREATE INDEX node_uuid ON node (uuid); -- not unique: some boards share one
CREATE INDEX node_zone ON node (zone_id);
CREATE INDEX node_pool ON node (pool_id);

-- Secrets have a table of their own, so that no query for a node returns them by accident.
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
    version BIGINT NOT NULL DEFAULT 1,
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
-- An address has at most one holder and one observation (6).
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
    version   BIGINT NOT NULL DEFAULT 1,
    UNIQUE (domain_id, name, type, data)
);

CREATE TABLE event (
    id          {{id}},
    at          BIGINT NOT NULL,
    node_id     BIGINT REFERENCES node (id) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    level       TEXT NOT NULL,
    description TEXT NOT NULL,
    account     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX event_node ON event (node_id);
CREATE INDEX event_level ON event (level, id);

-- The last fact recorded of each rack: a fact that is sent again is skipped.
CREATE TABLE fact (
    rack   TEXT PRIMARY KEY,
    seq    BIGINT NOT NULL,
    -- Another outbox starts again at 1.
    outbox TEXT NOT NULL DEFAULT ''
);

-- Observations of racks: one row per rack, link, VLAN tag, address and MAC.
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
    expires    BIGINT NOT NULL,
    count      BIGINT NOT NULL,
    sources    TEXT NOT NULL,
    rival      TEXT NOT NULL,
    info       TEXT NOT NULL,
    UNIQUE (rack, link, vid, ip, mac)
);
CREATE INDEX observation_ip ON observation (ip);
CREATE INDEX observation_expires ON observation (expires);

-- DHCP servers that answer clients, including the site's own.
CREATE TABLE dhcp_server (
    id        {{id}},
    rack      TEXT NOT NULL,
    link      TEXT NOT NULL,
    vid       BIGINT NOT NULL,
    ip        TEXT NOT NULL,
    mac       TEXT NOT NULL,
    last_seen BIGINT NOT NULL,
    UNIQUE (rack, link, vid, ip)
);

-- The far end of a rack's link: a switch port, or a link of another rack.
CREATE TABLE link_peer (
    id        {{id}},
    rack      TEXT NOT NULL,
    link      TEXT NOT NULL,
    vid       BIGINT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('switch', 'rack')),
    peer      TEXT NOT NULL,
    peer_link TEXT NOT NULL,
    info      TEXT NOT NULL,
    last_seen BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    UNIQUE (rack, link, vid, kind, peer, peer_link)
);

-- The last sweep of each subnet, and the rack that sweeps it now.
CREATE TABLE scan (
    id        {{id}},
    subnet_id BIGINT NOT NULL UNIQUE REFERENCES subnet (id) ON DELETE CASCADE,
    rack      TEXT NOT NULL,
    started   BIGINT NOT NULL,
    held      BIGINT NOT NULL
);

-- The site's certificate authority. Its key is sealed like all secrets.
CREATE TABLE site_ca (
    id     {{id}},
    one    INTEGER NOT NULL UNIQUE CHECK (one = 1),
    cert   {{blob}} NOT NULL,
    sealed {{blob}} NOT NULL
);

-- Tokens that admit one rack each. Only a hash of the secret is stored.
CREATE TABLE rack_token (
    id      {{id}},
    hash    TEXT NOT NULL UNIQUE,
    rack    TEXT NOT NULL,
    zone_id BIGINT NOT NULL REFERENCES zone (id) ON DELETE CASCADE,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    used    BIGINT NOT NULL,
    used_by TEXT NOT NULL
);

-- Certificates of racks. A certificate without a row is not accepted.
CREATE TABLE rack_certificate (
    id      {{id}},
    serial  TEXT NOT NULL UNIQUE,
    rack    TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT NOT NULL
);

-- Addresses at which racks reach the regions of the site.
CREATE TABLE region (
    id        {{id}},
    name      TEXT NOT NULL UNIQUE,
    addresses TEXT NOT NULL,
    last_seen BIGINT NOT NULL
);

-- Users of the API. Passwords have a slow hash; an API key's secret is random, so a fast hash is enough.
CREATE TABLE account (
    id       {{id}},
    version  BIGINT NOT NULL,
    name     TEXT NOT NULL UNIQUE CHECK (name <> ''),
    email    TEXT NOT NULL,
    role     TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'read-only')),
    password TEXT NOT NULL,
    created  BIGINT NOT NULL
);

CREATE TABLE api_key (
    id         {{id}},
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    consumer   TEXT NOT NULL UNIQUE,
    token      TEXT NOT NULL UNIQUE,
    secret     TEXT NOT NULL,
    created    BIGINT NOT NULL
);
CREATE INDEX api_key_account ON api_key (account_id);

CREATE TABLE ssh_key (
    id         {{id}},
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    public_key TEXT NOT NULL,
    UNIQUE (account_id, public_key)
);

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

-- DHCP options of a node, a subnet or a range; of the site if all three references are NULL.
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

-- The link whose subnet's gateway is a machine's default route.
CREATE TABLE default_gateway (
    id            {{id}},
    node_id       BIGINT NOT NULL REFERENCES node (id) ON DELETE CASCADE,
    family        BIGINT NOT NULL CHECK (family IN (4, 6)),
    allocation_id BIGINT NOT NULL REFERENCES allocation (id) ON DELETE CASCADE,
    UNIQUE (node_id, family)
);

-- Answers to requests with an idempotency key: a repeated request gets the stored answer. Status 0 = still running.
CREATE TABLE answer (
    id      {{id}},
    account TEXT NOT NULL,
    name    TEXT NOT NULL,
    request TEXT NOT NULL,
    status  BIGINT NOT NULL,
    kind    TEXT NOT NULL,
    body    {{blob}} NOT NULL,
    created BIGINT NOT NULL,
    UNIQUE (account, name)
);
CREATE INDEX answer_created ON answer (created);

-- A mark that only the key of the site's secrets opens: a region with another key is refused.
CREATE TABLE site_key (
    id   {{id}},
    one  INTEGER NOT NULL UNIQUE CHECK (one = 1),
    mark {{blob}} NOT NULL
);

-- Leader leases: work that one region does at a time. The token grows with each holder and fences off earlier ones.
CREATE TABLE leader_lease (
    id      {{id}},
    name    TEXT NOT NULL UNIQUE,
    holder  TEXT NOT NULL,
    token   BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

-- The last health report of each rack, and when its absence was noticed (0 = present).
CREATE TABLE rack_health (
    id     {{id}},
    rack   TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL,
    heard  BIGINT NOT NULL,
    report TEXT NOT NULL,
    away   BIGINT NOT NULL
);

CREATE TABLE boot_attempt (
    id      {{id}},
    mac     TEXT NOT NULL,
    started BIGINT NOT NULL,
    record  TEXT NOT NULL,
    -- Position of the attempt's last step among the steps of all boots.
    step    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX boot_attempt_mac ON boot_attempt (mac, id);
CREATE INDEX boot_attempt_step ON boot_attempt (step);

-- TSIG keys, which sign transfers and updates of zones. Secrets are sealed.
CREATE TABLE tsig_key (
    id        {{id}},
    name      TEXT NOT NULL UNIQUE CHECK (name <> ''),
    algorithm TEXT NOT NULL,
    sealed    {{blob}} NOT NULL,
    created   BIGINT NOT NULL
);

-- Boot profiles of tags and subnets, as JSON of pxe.Profile, for machines without a profile of their own.
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
