package secret

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/fault"
)

const (
	salt32 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	salt8  = "AAECAwQFBgc="
)

// The hashes were made by other programs: crypt_blowfish's own test set and Python's hashlib.
func TestVerifyWhatOthersHashed(t *testing.T) {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	tests := []struct {
		name, stored, password string
		want                   bool
	}{
		{"bcrypt 2a", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", true},
		{"bcrypt 2b", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", true},
		{"bcrypt 2x", "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", true},
		{"bcrypt 2y", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", true},
		{"bcrypt, wrong password", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*V", false},
		{"bcrypt looks at 72 bytes", "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui", digits + "chars after 72 are ignored", true},
		{"bcrypt looks at all 72 bytes", "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui", digits[:71] + "x", false},
		{"bcrypt of a cost that is too low", "$2a$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", false},
		{"PBKDF2", "{PBKDF2}10000$" + salt32 + "$RYtwiEklPUvuwk78cNecnqdNgJU2+nOni4YSzdtLYNA=", "correct horse", true},
		{"PBKDF2, wrong password", "{PBKDF2}10000$" + salt32 + "$RYtwiEklPUvuwk78cNecnqdNgJU2+nOni4YSzdtLYNA=", "correct horsf", false},
		{"PBKDF2 of 512 bits over the shortest salt", "{PBKDF2}1000$" + salt8 + "$SLFWtvjeOIeO26ZqI/L6YG8m2YgICh0VoeotSoZ8Jb8F+qXAeDDruo1PUWscLUHQuND1l2iBDs+tquRgK05OOQ==", "correct horse", true},
		{"PBKDF2_STRETCH", "{PBKDF2_STRETCH}1000$" + salt32 + "$HKRFKrPRtVNq/SVO785eSYx7xrG5JmhNyfulOpNSWhc=", "correct horse", true},
		{"PBKDF2_STRETCH read as PBKDF2", "{PBKDF2}1000$" + salt32 + "$HKRFKrPRtVNq/SVO785eSYx7xrG5JmhNyfulOpNSWhc=", "correct horse", false},
		{"SSHA256", "{SSHA256}AAECAwQFBgc=Y5vD+Iq3CpVfgnuNwvKU1Ho4qGx15uzJc99ko3CD7h8=", "correct horse", true},
		{"SSHA256, wrong password", "{SSHA256}AAECAwQFBgc=Y5vD+Iq3CpVfgnuNwvKU1Ho4qGx15uzJc99ko3CD7h8=", "correct", false},
		{"SSHA256 cut short", "{SSHA256}AAECAwQ", "", false},
		{"nothing stored and no password", "", "", false},
		{"clear text is never a stored password", "correct horse", "correct horse", false},
		{"a marked digest without salt is for caches of others", "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Verify(t.Context(), tt.stored, tt.password)
			if err != nil || got != tt.want {
				t.Errorf("Verify(%q, %q) = %v, %v; want %v", tt.stored, tt.password, got, err, tt.want)
			}
		})
	}
}

func TestHasher(t *testing.T) {
	tests := []struct{ algorithm, prefix string }{
		{"bcrypt", "$2a$10$"},
		{"bcrypt4", "$2a$04$"},
		{"BCRYPT5", "$2a$05$"},
		{"pbkdf2", "{PBKDF2}10000$"},
		{"pbkdf2_1000", "{PBKDF2}1000$"},
		{"pbkdf2_stretch", "{PBKDF2_STRETCH}10000$"},
		{"pbkdf2_stretch_1000", "{PBKDF2_STRETCH}1000$"},
	}
	for _, tt := range tests {
		t.Run(tt.algorithm, func(t *testing.T) {
			h, err := NewHasher(tt.algorithm)
			if err != nil {
				t.Fatal(err)
			}
			long := strings.Repeat("ü", 100) // longer than bcrypt looks at
			stored, err := h.Hash(t.Context(), long)
			if err != nil || !strings.HasPrefix(stored, tt.prefix) {
				t.Fatalf("Hash = %q, %v; want a hash that starts %q", stored, err, tt.prefix)
			}
			if err := ValidStored(stored); err != nil {
				t.Errorf("ValidStored(%q) = %v; want nil", stored, err)
			}
			if ok, err := Verify(t.Context(), stored, long); !ok || err != nil {
				t.Errorf("Verify(%q) = %v, %v; want true", stored, ok, err)
			}
			if ok, err := Verify(t.Context(), stored, "other"); ok || err != nil {
				t.Errorf("Verify(%q, other) = %v, %v; want false", stored, ok, err)
			}
			if again, _ := h.Hash(t.Context(), long); again == stored {
				t.Errorf("two hashes of one password are both %q; want two salts", stored)
			}
		})
	}
	for _, name := range []string{"", "bcrypt3", "bcrypt15", "bcrypt04", "pbkdf2_2000", "ssha256", "noop", "argon2"} {
		if _, err := NewHasher(name); fault.KindOf(err) != fault.Argument || !strings.Contains(err.Error(), "pbkdf2_stretch_1000000") {
			t.Errorf("NewHasher(%q) = %v; want fault.Argument that lists the names", name, err)
		}
	}
}

func TestValidStoredRefuses(t *testing.T) {
	const key = "$RYtwiEklPUvuwk78cNecnqdNgJU2+nOni4YSzdtLYNA="
	tests := []struct{ name, stored, reason string }{
		{"nothing", "", "no supported kind"},
		{"clear text", "correct horse", "no supported kind"},
		{"salted SHA-256, which is for caches", "{SSHA256}AAECAwQFBgc=Y5vD+Iq3CpVfgnuNwvKU1Ho4qGx15uzJc99ko3CD7h8=", "no supported kind"},
		{"unsalted SHA-1", "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "no supported kind"},
		{"bcrypt of cost 3", "$2a$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "unknown hash function [bcrypt03]"},
		{"bcrypt of cost 15", "$2a$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "unknown hash function [bcrypt15]"},
		{"bcrypt with a minor nobody knows", "$2c$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "not its form"},
		{"bcrypt without its end", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe", "not its form"},
		{"bcrypt with a stray character", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQ!b4YMJKvyOeW", "not its form"},
		{"ID-10: an iteration count outside the list", "{PBKDF2}20000$" + salt32 + key, "unknown hash function [pbkdf2_20000]"},
		{"ID-10: an iteration count with a leading zero", "{PBKDF2}010000$" + salt32 + key, "unknown hash function"},
		{"an iteration count that is none", "{PBKDF2_STRETCH}x$" + salt32 + key, "unknown hash function [pbkdf2_stretch_x]"},
		{"a salt of 7 bytes", "{PBKDF2}1000$AAECAwQFBg==" + key, "salt"},
		{"a salt that is no base64", "{PBKDF2}1000$?????????" + key, "salt"},
		{"a key of 31 bytes", "{PBKDF2}1000$" + salt32 + "$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", "multiple of [128] bits"},
		{"an empty key", "{PBKDF2}1000$" + salt32 + "$", "multiple of [128] bits"},
		{"a missing part", "{PBKDF2}1000$" + salt32, "ITERATIONS$SALT$HASH"},
		{"a key that would take minutes", "{PBKDF2}1000000$" + salt32 + "$" + strings.Repeat("AAAA", 4096), "longer than [1024]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := ValidStored(tt.stored)
			if fault.KindOf(err) != fault.Argument || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("ValidStored(%q) = %v; want fault.Argument with %q", tt.stored, err, tt.reason)
			}
		})
	}
}

func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, 1)
		release, results := make(chan struct{}), make(chan error, 2)
		go func() { results <- p.do(t.Context(), func() error { <-release; return nil }) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { results <- p.do(ctx, func() error { return errors.New("ran in spite of its deadline") }) }()
		synctest.Wait()

		if err := p.do(t.Context(), func() error { return nil }); fault.KindOf(err) != fault.Overloaded {
			t.Errorf("with the queue full: %v; want fault.Overloaded", err)
		}
		time.Sleep(2 * time.Second)
		if err := <-results; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the one that waited past its deadline: %v; want context.DeadlineExceeded", err)
		}
		close(release)
		if err := <-results; err != nil {
			t.Errorf("the one that ran: %v", err)
		}
		if err := p.do(t.Context(), func() error { return nil }); err != nil {
			t.Errorf("after all are done: %v; want a free place", err)
		}
	})
}

func TestDigest(t *testing.T) {
	s := NewDigest("correct horse")
	var zero Digest
	for _, tt := range []struct {
		name     string
		s        Digest
		password string
		want     bool
	}{
		{"its own password", s, "correct horse", true},
		{"another password", s, "correct horsf", false},
		{"the empty password", s, "", false},
		{"a password longer than the buffer", NewDigest(strings.Repeat("x", 1000)), strings.Repeat("x", 1000), true},
		{"the zero value", zero, "", false},
	} {
		if got := tt.s.Matches(tt.password); got != tt.want {
			t.Errorf("%s: Matches(%q) = %v; want %v", tt.name, tt.password, got, tt.want)
		}
	}
	if a, b := GeneratePassword(), GeneratePassword(); a == b || len(a) < 20 {
		t.Errorf("GeneratePassword = %q, then %q; want two long ones", a, b)
	}
}

func FuzzValidStored(f *testing.F) {
	f.Add("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
	f.Add("{PBKDF2}1000$" + salt8 + "$SLFWtvjeOIeO26ZqI/L6YG8m2YgICh0VoeotSoZ8Jb8=")
	f.Add("{PBKDF2_STRETCH}$$")
	f.Add("$2a$")
	f.Fuzz(func(t *testing.T, stored string) {
		if err := ValidStored(stored); err != nil && fault.KindOf(err) != fault.Argument {
			t.Errorf("ValidStored(%q) = %v; want nil or fault.Argument", stored, err)
		}
	})
}
