-- +goose Up
-- Which roles users of external realms have. A deleted mapping leaves no trace.
CREATE TABLE role_mappings (
	name      TEXT    NOT NULL PRIMARY KEY,
	enabled   INTEGER NOT NULL,
	roles     TEXT    NOT NULL, -- a JSON array of strings
	templates TEXT    NOT NULL, -- a JSON array of {"template": "...", "format": "string" or "json"}
	rules     TEXT    NOT NULL, -- JSON, as the API shows it
	metadata  TEXT    NOT NULL  -- a JSON object
);
