package kerberos

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jcmturner/gokrb5/v8/keytab"

	"latchkey/internal/kerberos/kdctest"
)

func writeKeytab(t *testing.T, path string, kt *keytab.Keytab) {
	t.Helper()
	b, err := kt.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAKeytabThatCannotBeUsed(t *testing.T) {
	good, err := os.ReadFile(kdc(t).Keytab)
	if err != nil {
		t.Fatal(err)
	}
	kt, err := readKeytab(kdc(t).Keytab)
	if err != nil {
		t.Fatal(err)
	}
	unknown := &keytab.Keytab{}
	if err := unknown.Unmarshal(good); err != nil {
		t.Fatal(err)
	}
	for i := range unknown.Entries {
		unknown.Entries[i].Key.KeyType = 26 // Camellia
	}
	oddKinds, err := unknown.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	secret := kt.Entries[0].Key.KeyValue
	tests := []struct {
		name    string
		content []byte // nil: no file
		want    string
	}{
		{"missing", nil, "cannot be read: no such file or directory"},
		{"empty", []byte{}, "is no keytab, or is damaged"},
		{"some text", []byte("principal: HTTP/localhost\n"), "is no keytab, or is damaged"},
		{"cut off", good[:len(good)-3], "is no keytab, or is damaged"},
		{"a length that no file has", slices.Concat([]byte{5, 2, 0x7f, 0xff, 0xff, 0xff}, secret), "is no keytab, or is damaged"},
		{"no keys", []byte{5, 2, 0, 0, 0, 0}, "holds no keys"},
		{"keys of unknown kinds", oddKinds, "holds no key of a kind that is known"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.keytab")
			if tt.content != nil {
				if err := os.WriteFile(path, tt.content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := New(Options{Keytab: path})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("got %v; want %q and the path", err, tt.want)
			}
			if bytes.Contains([]byte(err.Error()), secret) {
				t.Errorf("the error tells a key: %q", err)
			}
		})
	}
	t.Run("a folder", func(t *testing.T) {
		if _, err := New(Options{Keytab: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "is a directory") {
			t.Errorf("got %v", err)
		}
	})
}

func TestPrincipals(t *testing.T) {
	if got, want := newRealm(t, nil).Principals(), []string{kdctest.Service + "@" + kdctest.Realm}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A key that was renewed counts at once; a file that is damaged takes no key away.
func TestTheKeytabChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.keytab")
	kt, err := readKeytab(kdc(t).Keytab)
	if err != nil {
		t.Fatal(err)
	}
	right := *kt
	wrong := &keytab.Keytab{}
	b, err := right.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := wrong.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	for i := range wrong.Entries {
		wrong.Entries[i].KVNO, wrong.Entries[i].KVNO8 = 77, 77
	}
	writeKeytab(t, path, wrong)
	var log bytes.Buffer
	r := newRealm(t, func(o *Options) { o.Keytab, o.Log = path, slog.New(slog.NewTextHandler(&log, nil)) })
	c := client(t, "alice")
	refuses(t, r, send(t, c, false), "kvno")

	wrong.Entries = append(wrong.Entries, right.Entries...)
	writeKeytab(t, path, wrong)
	accepts(t, r, send(t, c, false), "alice@LATCHKEY.TEST")

	for range 3 {
		if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
		accepts(t, r, send(t, c, false), "alice@LATCHKEY.TEST")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		accepts(t, r, send(t, c, false), "alice@LATCHKEY.TEST")
		accepts(t, r, send(t, c, false), "alice@LATCHKEY.TEST")
	}
	if n := strings.Count(log.String(), "cannot be used; the keys that were read before still count"); n != 6 {
		t.Errorf("each change is told once, that is 6 times; got %d: %s", n, &log)
	}
}
