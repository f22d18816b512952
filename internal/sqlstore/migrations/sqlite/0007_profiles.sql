-- +goose Up
-- Profiles of users: what applications keep of them.
CREATE TABLE profiles (
	uid       TEXT    NOT NULL PRIMARY KEY, -- derived from the realm and the username
	username  TEXT    NOT NULL,
	realm     TEXT    NOT NULL,
	roles     TEXT    NOT NULL, -- JSON array of names; this and the next two as of synced_at
	full_name TEXT,
	email     TEXT,
	enabled   INTEGER NOT NULL, -- 0 or 1
	synced_at INTEGER NOT NULL, -- epoch milliseconds
	labels    TEXT    NOT NULL, -- JSON object
	data      TEXT    NOT NULL, -- JSON object
	version   INTEGER NOT NULL  -- of changes, from 0
);
