-- +goose Up
-- What nodes that share the store tell each other. Every transaction that ends
-- something which another node may have in memory raises the one row of lk_rev, as
-- the last thing before its commit, and notes in lk_log what it has ended.
CREATE TABLE lk_rev (
	one  BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	rev  BIGINT NOT NULL,
	uid  TEXT   NOT NULL, -- a random name of the record with this revision
	prev TEXT   NOT NULL  -- that of the record before
) WITH (fillfactor = 10);

CREATE TABLE lk_log (
	rev      BIGINT NOT NULL PRIMARY KEY,
	uid      TEXT   NOT NULL,
	prev     TEXT   NOT NULL,
	kind     TEXT   NOT NULL,
	body     BYTEA  NOT NULL,
	noted_at BIGINT NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint -- epoch milliseconds of the server
);

-- The nodes. A node without a row gets no lease.
CREATE TABLE lk_node (
	node_id   TEXT   NOT NULL PRIMARY KEY, -- of one stay in the fleet
	name      TEXT   NOT NULL,
	addr      TEXT   NOT NULL,
	acked_rev BIGINT NOT NULL, -- what it had applied when it last renewed its lease
	lease_seq BIGINT NOT NULL  -- its renewals
) WITH (fillfactor = 50);

INSERT INTO lk_rev (one, rev, uid, prev) VALUES (1, 0, gen_random_uuid()::text, '');
INSERT INTO lk_log (rev, uid, prev, kind, body) SELECT rev, uid, prev, 'first', '' FROM lk_rev;
