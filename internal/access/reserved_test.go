package access

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"latchkey/internal/xcontent"
)

// A built-in role must itself keep the rules for roles, its metadata aside.
func TestReservedRolesAreValid(t *testing.T) {
	for _, name := range ReservedNames() {
		d, ok := Reserved(name)
		var metadata map[string]any
		if err := json.Unmarshal(d.Metadata, &metadata); !ok || err != nil || metadata["_reserved"] != true {
			t.Errorf("%s: metadata %s, %v", name, d.Metadata, err)
		}
		d.Metadata = nil
		if p := d.Problems(name); len(p) > 0 {
			t.Errorf("%s: %q", name, p)
		}
		v, err := xcontent.ParseJSON(d.JSON())
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseDescriptor(name, v, false)
		again.bare = d.bare
		if err != nil || !bytes.Equal(again.JSON(), d.JSON()) {
			t.Errorf("%s does not read back: %v", name, err)
		}
	}
	if names := ReservedNames(); !slices.IsSorted(names) || len(names) != 28 {
		t.Errorf("ReservedNames = %d names, sorted %v; want 28", len(names), slices.IsSorted(names))
	}
	if _, ok := Reserved("x"); ok {
		t.Error("there is a built-in role x")
	}
}

func TestSuperuser(t *testing.T) {
	d, _ := Reserved(SuperuserName)
	const want = `{"cluster":["all"],` +
		`"indices":[{"names":["*"],"privileges":["all"],"allow_restricted_indices":false},` +
		`{"names":["*"],"privileges":["monitor","read","view_index_metadata","read_cross_cluster"],"allow_restricted_indices":true}],` +
		`"applications":[{"application":"*","privileges":["*"],"resources":["*"]}],"run_as":["*"],"metadata":{"_reserved":true},"transient_metadata":{},` +
		`"remote_indices":[{"names":["*"],"privileges":["all"],"allow_restricted_indices":false,"clusters":["*"]},` +
		`{"names":["*"],"privileges":["monitor","read","view_index_metadata","read_cross_cluster"],"allow_restricted_indices":true,"clusters":["*"]}],` +
		`"remote_cluster":[{"privileges":["monitor_enrich","monitor_stats"],"clusters":["*"]}]}`
	if got := string(d.JSON()); got != want {
		t.Errorf("ID-53 superuser = %s\nwant %s", got, want)
	}
	stored, err := DecodeDescriptors(Descriptors{SuperuserName: d}.Canonical())
	if err != nil || string(stored[SuperuserName].JSON()) != want {
		t.Errorf("ID-53 superuser in a snapshot = %s, %v", stored[SuperuserName].JSON(), err)
	}
	p := NewPermissions(nil, nil, NewRole(d))
	for _, g := range namedGrants() {
		if ok, err := p.HasCluster(g.name); !ok || err != nil {
			t.Errorf("superuser has %s: %v, %v", g.name, ok, err)
		}
	}
	if !p.MayRunAs("anybody") {
		t.Error("superuser may not run as anybody")
	}
}
