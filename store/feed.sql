CREATE TABLE IF NOT EXISTS revision (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    last       BIGINT NOT NULL,
    generation BIGINT NOT NULL DEFAULT 0
);
INSERT INTO revision (one, last) VALUES (1, 0) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS change (
    rev    BIGINT PRIMARY KEY,
    at     BIGINT NOT NULL,
    kind   TEXT NOT NULL,
    object BIGINT NOT NULL,
    op     TEXT NOT NULL
);
