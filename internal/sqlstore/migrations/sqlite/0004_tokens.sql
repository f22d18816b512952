-- +goose Up
-- Whom tokens act as, shared by all tokens with the same.
CREATE TABLE token_identities (
	digest BLOB NOT NULL PRIMARY KEY, -- SHA-256 of body
	body   BLOB NOT NULL
);

-- Access and refresh tokens. The hashes are SHA-256; times are epoch milliseconds.
CREATE TABLE tokens (
	id                INTEGER PRIMARY KEY,
	created_at        INTEGER NOT NULL,
	access_hash       BLOB    NOT NULL,
	access_expires_at INTEGER NOT NULL,
	access_off_at     INTEGER,
	refresh_hash      BLOB,    -- none: it cannot be refreshed
	refresh_off_at    INTEGER,
	refreshed_at      INTEGER, -- this and the next two come together
	successor         BLOB,    -- refresh_hash of the pair that it was exchanged for
	sealed            BLOB,    -- that pair, for the holder of the refresh token
	username          TEXT    NOT NULL,
	realm             TEXT    NOT NULL,
	identity          BLOB    NOT NULL -- token_identities.digest
);
CREATE UNIQUE INDEX tokens_access ON tokens (access_hash);
CREATE UNIQUE INDEX tokens_refresh ON tokens (refresh_hash);
CREATE INDEX tokens_user ON tokens (username, realm);
