-- +goose Up
-- The secret that a rotation has replaced, while both are good. Once the time is
-- over the two columns mean nothing.
ALTER TABLE api_keys ADD COLUMN old_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN old_until BIGINT; -- epoch milliseconds
