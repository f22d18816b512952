package secret

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestKeyIDsFollowTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewKeyID(time.Now())
		time.Sleep(time.Hour)
		b := NewKeyID(time.Now())
		if len(a) != 20 || a[:3] != b[:3] || a[:8] == b[:8] {
			t.Errorf("ids an hour apart are %s and %s; want the same beginning and other times", a, b)
		}
	})
	seen := map[string]bool{}
	for range 10_000 {
		seen[NewKeyID(time.Unix(0, 0))] = true
	}
	if len(seen) != 10_000 {
		t.Errorf("%d different ids in one millisecond; want 10000", len(seen))
	}
}

func TestDamagedKey(t *testing.T) {
	const id = "AaICPYnuuKmZLivtT6MG"
	good := NewKeySecret(id)
	other := "A"
	if good[10] == 'A' {
		other = "B"
	}
	tests := []struct {
		name, id, secret string
		damaged          bool
	}{
		{"as it was made", id, good, false},
		{"one character changed", id, good[:10] + other + good[11:], true},
		{"the secret of another key", "B" + id[1:], good, true},
		{"invented", id, "lk_" + strings.Repeat("A", 28), true},
		{"too short to be ours", id, good[:30], false},
		{"too long to be ours", id, good + "A", false},
		{"of another form", id, "0123456789012345678901", false},
		{"our length without our mark", id, "xx_" + good[3:], false},
		{"empty", id, "", false},
	}
	for _, tt := range tests {
		if got := DamagedKey(tt.id, tt.secret); got != tt.damaged {
			t.Errorf("%s: DamagedKey = %t; want %t", tt.name, got, tt.damaged)
		}
	}
}

func TestStoredFormOfRandomSecrets(t *testing.T) {
	const plain = "a-secret-no-hash-spells"
	a, b := HashRandom(plain), HashRandom(plain)
	if a == b || !strings.HasPrefix(a, "{SSHA256}") || strings.Contains(a, plain) {
		t.Errorf("HashRandom gave %s and %s; want salted forms", a, b)
	}
	d, ok := ParseDigest(a)
	if !ok || !d.Matches(plain) || d.Matches(plain+"t") || d.Matches("") {
		t.Errorf("ParseDigest(%s) = %t, and matches %t, %t", a, ok, d.Matches(plain), d.Matches(plain+"t"))
	}
	for _, bad := range []string{"", "{SSHA256}", "{SSHA256}" + a[9:20], a[:len(a)-4], a + "AAAA", "{SHA}" + a[9:], "{SSHA256}!" + a[10:]} {
		if _, ok := ParseDigest(bad); ok {
			t.Errorf("ParseDigest(%q) is accepted", bad)
		}
	}
}
