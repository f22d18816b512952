-- +goose Up
CREATE TABLE users (
	username  TEXT    NOT NULL PRIMARY KEY,
	hash      TEXT    NOT NULL, -- stored form of the password
	roles     TEXT    NOT NULL, -- JSON array of names
	full_name TEXT,
	email     TEXT,
	metadata  TEXT    NOT NULL, -- JSON object
	enabled   INTEGER NOT NULL  -- 0 or 1
);

-- What was changed about built-in users; the rest of them is in the program.
CREATE TABLE reserved_users (
	username  TEXT    NOT NULL PRIMARY KEY,
	hash      TEXT    NOT NULL, -- empty: no password was set
	generated INTEGER NOT NULL, -- 1: made at the first start, and nobody has set one since
	enabled   INTEGER NOT NULL
);

CREATE TABLE roles (
	name TEXT NOT NULL PRIMARY KEY,
	body BLOB NOT NULL -- canonical JSON: role name -> descriptor
);
