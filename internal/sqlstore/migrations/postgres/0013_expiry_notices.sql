-- +goose Up
-- Which keys will expire soon, and which have expired, is read from here.
CREATE INDEX api_keys_expiry ON api_keys (expires_at) WHERE expires_at IS NOT NULL;

-- The keys of which was told that they expire, and when.
CREATE TABLE expiry_notices (
	key_id     TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	expires_at BIGINT NOT NULL -- as it was told; epoch milliseconds
);
