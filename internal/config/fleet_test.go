package config

import (
	"strings"
	"testing"
)

func TestFleet(t *testing.T) {
	const store, shared = "latchkey.store.url=postgres://h/d", "latchkey.fleet.secret=0123456789abcdef0123456789abcdef"
	for _, tt := range []struct{ settings, want string }{ // want is part of the complaint; "": there is none
		{store + " latchkey.fleet.address=10.0.0.7:9200 " + shared + " latchkey.fleet.lease=60s latchkey.fleet.consistency=read_index", ""},
		{store + " latchkey.fleet.address=10.0.0.7:9200", "needs latchkey.fleet.secret"},
		{store + " " + shared, "needs latchkey.fleet.address"},
		{"latchkey.fleet.address=10.0.0.7:9200 " + shared, "needs latchkey.store.url"},
		{store + " latchkey.fleet.address=http://h:1 " + shared, "is no address; write host:port"},
		{store + " latchkey.fleet.address=h:0 " + shared, "is no address; write host:port"},
		{store + " latchkey.fleet.address=h:1 latchkey.fleet.secret=Geheim", "is too short"},
		{store + " latchkey.fleet.lease=999ms", "must be from 1s to 60s"},
		{store + " latchkey.fleet.lease=61s", "must be from 1s to 60s"},
		{store + " latchkey.fleet.grace=-1s", "is no duration"},
		{store + " latchkey.fleet.grace=16m", "must be from 0 to 15m"},
		{store + " latchkey.fleet.consistency=strong", "is none of lease, read_index"},
	} {
		_, err := load(t, "", nil, strings.Fields(tt.settings))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.settings, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "mistakes") {
			t.Errorf("%s: one mistake is more than one: %v", tt.settings, err)
		}
		if err != nil && strings.Contains(err.Error(), "Geheim") {
			t.Errorf("a complaint shows the secret: %v", err)
		}
	}
}
