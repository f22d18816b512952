package serviceaccount

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"latchkey/internal/access"
)

// A built-in account must itself keep the rules for roles, the metadata aside,
// and reads back from the snapshot that its keys carry.
func TestAccountsAreValid(t *testing.T) {
	for principal, a := range accounts() {
		d := a.descriptor
		d.Metadata = nil
		if p := d.Problems(principal); len(p) > 0 {
			t.Errorf("%s: %q", principal, p)
		}
		kept, err := access.DecodeDescriptors(a.snapshot.Body)
		if err != nil || len(kept) != 1 || !bytes.Equal(kept[principal].JSON(), a.descriptor.JSON()) {
			t.Errorf("the snapshot of %s = %s, %v; want %s", principal, a.snapshot.Body, err, a.descriptor.JSON())
		}
	}
	if len(accounts()) != 4 {
		t.Errorf("ID-95: there are %d accounts; want 4", len(accounts()))
	}
	kibana, _ := access.Reserved("kibana_system")
	if got := accounts()["elastic/kibana"].descriptor.JSON(); !bytes.Equal(got, kibana.JSON()) {
		t.Errorf("elastic/kibana may do %s; want what the role kibana_system may", got)
	}
}

func TestWireForm(t *testing.T) {
	value := encode("elastic/fleet-server", "t-1_x", "0123456789abcdefghijkl")
	raw, err := base64.RawStdEncoding.DecodeString(value)
	if want := "\x00\x01\x00\x01elastic/fleet-server/t-1_x:0123456789abcdefghijkl"; err != nil || string(raw) != want {
		t.Errorf("ID-96: encode = %q, %v; want the Base64 of %q", value, err, want)
	}
	if !strings.HasPrefix(value, "AAEAAWVsYXN0aWMv") {
		t.Errorf("ID-96: encode = %s; want it to begin with AAEAAWVsYXN0aWMv", value)
	}
}

func TestDecode(t *testing.T) {
	good := credential{key: "elastic/kibana/t", account: "elastic/kibana", name: "t", secret: "secret:with/colons"}
	mark := func(s string) string {
		return base64.RawStdEncoding.EncodeToString([]byte("\x00\x01\x00\x01" + s))
	}
	tests := []struct {
		name, value string
		want        credential
		ok          bool
	}{
		{"as we write it", mark("elastic/kibana/t:secret:with/colons"), good, true},
		{"padded", base64.StdEncoding.EncodeToString([]byte("\x00\x01\x00\x01elastic/kibana/t:secret:with/colons")), good, true},
		{"of a namespace that nobody has", mark("a/b/c:d"), credential{"a/b/c", "a/b", "c", "d"}, true},
		{"without a secret", mark("a/b/c:"), credential{"a/b/c", "a/b", "c", ""}, true},
		{"another prefix", base64.RawStdEncoding.EncodeToString([]byte("\x00\x01\x00\x02elastic/kibana/t:secret")), credential{}, false},
		{"no colon", mark("elastic/kibana/t"), credential{}, false},
		{"two pieces", mark("elastic/kibana:secret"), credential{}, false},
		{"four pieces", mark("elastic/kibana/x/t:secret"), credential{}, false},
		{"a bad name", mark("elastic/kibana/_t:secret"), credential{}, false},
		{"no name", mark("elastic/kibana/:secret"), credential{}, false},
		{"no UTF-8", mark("elastic/kib\xffna/t:secret"), credential{}, false},
		{"no Base64", "AAEAAWVs!", credential{}, false},
		{"the prefix alone", "AAEAAQ", credential{}, false},
		{"an access token", "lkatAAEAAWVs", credential{}, false},
		{"nothing", "", credential{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := decode(tt.value); ok != tt.ok || ok && got != tt.want {
				t.Errorf("decode(%q) = %+v, %v; want %+v, %v", tt.value, got, ok, tt.want, tt.ok)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{encode("elastic/kibana", "t", "secret"), "AAEAA", "AAEAAW==", "AAEAAWVs\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		c, ok := decode(value)
		if !ok {
			return
		}
		if again, ok := decode(encode(c.account, c.name, c.secret)); !ok || again != c {
			t.Errorf("decode(%q) = %+v, which is written and read as %+v, %v", value, c, again, ok)
		}
	})
}

func TestTokenNames(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "A-b_9": true, "-": true, "9": true, strings.Repeat("x", 256): true,
		"": false, "_a": false, "a.b": false, "a b": false, "a/b": false, "a:b": false, "ä": false, strings.Repeat("x", 257): false,
	} {
		if got := nameProblem(name) == nil; got != want {
			t.Errorf("ID-98: the name %q is good: %v; want %v", name, got, want)
		}
	}
}
