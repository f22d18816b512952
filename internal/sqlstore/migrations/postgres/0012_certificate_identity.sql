-- +goose Up
-- A regular expression for the subject of the certificate that a cluster shows with
-- a cross-cluster key; '' for any.
ALTER TABLE api_keys ADD COLUMN certificate_identity TEXT NOT NULL DEFAULT '';
