-- +goose Up
CREATE TABLE meta (
	name  TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
);

-- Role descriptors and owner snapshots, shared by all keys that carry the same.
CREATE TABLE role_sets (
	digest BLOB NOT NULL PRIMARY KEY, -- SHA-256 of body
	body   BLOB NOT NULL              -- canonical JSON: role name -> descriptor
);

-- What changes and what is filtered; times are epoch milliseconds.
CREATE TABLE api_keys (
	id             TEXT    NOT NULL PRIMARY KEY,
	type           TEXT    NOT NULL,
	name           TEXT    NOT NULL,
	username       TEXT    NOT NULL,
	realm          TEXT    NOT NULL,
	realm_type     TEXT    NOT NULL,
	hash           TEXT    NOT NULL,
	created_at     INTEGER NOT NULL,
	expires_at     INTEGER,
	invalidated_at INTEGER,
	roles          BLOB    NOT NULL, -- role_sets.digest: assigned
	limited_by     BLOB,             -- role_sets.digest: what the owner held; none for cross-cluster keys
	metadata       TEXT    NOT NULL,
	owner_name     TEXT,             -- full name, email and metadata of the owner at the creation
	owner_email    TEXT,
	owner_metadata TEXT    NOT NULL
);
CREATE INDEX api_keys_owner ON api_keys (username, realm);
CREATE INDEX api_keys_name ON api_keys (name);
