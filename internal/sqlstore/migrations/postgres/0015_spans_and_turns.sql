-- +goose Up
-- For how long after a node has asked for its lease it may accept credentials from
-- memory: the lease and its grace, in milliseconds. Nodes of the release before do
-- not say; the longest lease that they may have is 60 s.
ALTER TABLE lk_node ADD COLUMN span BIGINT NOT NULL DEFAULT 60000;

-- What one node does for all, as long as it goes on to say so.
CREATE TABLE lk_turn (
	task  TEXT   NOT NULL PRIMARY KEY,
	taker TEXT   NOT NULL, -- of one start of a node
	until BIGINT NOT NULL  -- epoch milliseconds of the server
);
