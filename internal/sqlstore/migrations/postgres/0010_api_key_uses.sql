-- +goose Up
-- The last use of keys apart from the keys, as what became of them is. A key that
-- was never used has no row.
CREATE TABLE api_key_uses (
	key_id  TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
	used_at BIGINT NOT NULL, -- epoch milliseconds
	address TEXT   NOT NULL, -- of the client
	agent   TEXT   NOT NULL  -- its User-Agent header
);
