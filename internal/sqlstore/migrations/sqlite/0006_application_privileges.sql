-- +goose Up
-- Privileges that applications define. A deleted one leaves no trace.
CREATE TABLE application_privileges (
	application TEXT NOT NULL,
	name        TEXT NOT NULL,
	actions     TEXT NOT NULL, -- a JSON array of patterns
	metadata    TEXT NOT NULL, -- a JSON object
	PRIMARY KEY (application, name)
);
