-- +goose Up
-- What racks see is kept for each rack, link, VLAN tag, address and MAC on its own.
CREATE TABLE seen (
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
INSERT INTO seen (ip, mac, rack, link, vid, hostname, first_seen, last_seen, expires, count, sources, rival, info)
    SELECT ip, mac, rack, link, vid, hostname, first_seen, last_seen, 0, 1, '', '', '{}' FROM observation;
DROP TABLE observation;
ALTER TABLE seen RENAME TO observation;
CREATE INDEX observation_ip ON observation (ip);
CREATE INDEX observation_expires ON observation (expires);

-- DHCP servers that clients talk to, the site's own included.
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

-- What is at the other end of a rack's link: a port of a switch, or a link of a rack.
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

-- When a subnet was swept last, and by whom it is swept now.
CREATE TABLE scan (
    id        {{id}},
    subnet_id BIGINT NOT NULL UNIQUE REFERENCES subnet (id) ON DELETE CASCADE,
    rack      TEXT NOT NULL,
    started   BIGINT NOT NULL,
    held      BIGINT NOT NULL
);
