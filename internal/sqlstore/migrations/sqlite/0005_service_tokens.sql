-- +goose Up
-- Tokens of the built-in service accounts. A deleted one leaves no trace.
CREATE TABLE service_tokens (
	account    TEXT    NOT NULL, -- namespace/service
	name       TEXT    NOT NULL,
	hash       TEXT    NOT NULL, -- stored form of the secret
	created_at INTEGER NOT NULL, -- epoch milliseconds
	PRIMARY KEY (account, name)
);
