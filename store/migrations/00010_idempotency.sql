-- +goose Up
-- Answers to requests that carried a key, so that one that is sent again is not done again. Status 0 = it is being done.
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
