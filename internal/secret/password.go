package secret

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"latchkey/internal/fault"
)

// Stored forms of a password (spec/identity.md 1.4).
const (
	bcryptPrefix  = "$2"
	pbkdf2Prefix  = "{PBKDF2}"
	stretchPrefix = "{PBKDF2_STRETCH}"
	ssha256Prefix = "{SSHA256}"
)

const (
	bcryptMinCost, bcryptDefaultCost, bcryptMaxCost = 4, 10, 14
	bcryptLimit                                     = 72 // bytes of a password that bcrypt looks at; the rest is cut off

	pbkdf2Default              = 10_000
	pbkdf2SaltLen, pbkdf2Len   = 32, 32 // bytes, of hashes that we make
	pbkdf2MinSalt, pbkdf2Block = 8, 16  // bytes, of hashes that others made
	storedLimit                = 1024   // bytes of a stored form; it bounds the work of a hash that others made
)

var pbkdf2Iterations = []int{1_000, 10_000, 50_000, 100_000, 500_000, 1_000_000}

// Hasher makes stored forms of passwords by one algorithm. It is safe for
// concurrent use.
type Hasher struct {
	hash func(password string) (string, error)
}

// NewHasher returns the Hasher for a value of
// xpack.security.authc.password_hashing.algorithm: bcrypt, bcrypt4 to bcrypt14,
// pbkdf2, pbkdf2_stretch, or one of the latter two with _1000, _10000, _50000,
// _100000, _500000 or _1000000. Letter case is free. Anything else is
// fault.Argument with the names to choose from.
func NewHasher(algorithm string) (*Hasher, error) {
	name := strings.ToLower(algorithm)
	for _, a := range algorithms() {
		if a.name == name {
			return &Hasher{a.hash}, nil
		}
	}
	return nil, fault.New(fault.Argument, "unknown hash function [%s]; passwords can be hashed by %s", algorithm, algorithmNames())
}

type algorithm struct {
	name string
	hash func(password string) (string, error)
}

// algorithms lists what a [Hasher] can do, in the order in which messages show it.
func algorithms() []algorithm {
	all := []algorithm{{"bcrypt", hashBcrypt(bcryptDefaultCost)}}
	for cost := bcryptMinCost; cost <= bcryptMaxCost; cost++ {
		all = append(all, algorithm{fmt.Sprintf("bcrypt%d", cost), hashBcrypt(cost)})
	}
	for _, family := range []struct{ name, prefix string }{{"pbkdf2", pbkdf2Prefix}, {"pbkdf2_stretch", stretchPrefix}} {
		all = append(all, algorithm{family.name, hashPBKDF2(family.prefix, pbkdf2Default)})
		for _, n := range pbkdf2Iterations {
			all = append(all, algorithm{fmt.Sprintf("%s_%d", family.name, n), hashPBKDF2(family.prefix, n)})
		}
	}
	return all
}

func algorithmNames() string {
	all := algorithms()
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = a.name
	}
	return "[" + strings.Join(names, ",") + "]"
}

// Hash returns the stored form of password. It waits for a place among the slow
// hashes that run at once; when too many wait already it is fault.Overloaded,
// and when ctx ends first it is the error of ctx.
func (h *Hasher) Hash(ctx context.Context, password string) (stored string, err error) {
	err = slow.do(ctx, func() error {
		stored, err = h.hash(password)
		return err
	})
	return stored, err
}

func hashBcrypt(cost int) func(string) (string, error) {
	return func(password string) (string, error) {
		hash, err := bcrypt.GenerateFromPassword(cut(password), cost)
		return string(hash), err
	}
}

func cut(password string) []byte { return []byte(password)[:min(len(password), bcryptLimit)] }

func hashPBKDF2(prefix string, iterations int) func(string) (string, error) {
	return func(password string) (string, error) {
		salt := make([]byte, pbkdf2SaltLen)
		rand.Read(salt) // never fails: it ends the program instead
		key, err := pbkdf2.Key(sha512.New, stretched(prefix, password), salt, iterations, pbkdf2Len)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s%d$%s$%s", prefix, iterations,
			base64.StdEncoding.EncodeToString(salt), base64.StdEncoding.EncodeToString(key)), nil
	}
}

// stretched returns what PBKDF2 is run over: the password, or for the
// stretching form the hexadecimal SHA-512 of it, so that any length costs the same.
func stretched(prefix, password string) string {
	if prefix != stretchPrefix {
		return password
	}
	sum := sha512.Sum512([]byte(password))
	return hex.EncodeToString(sum[:])
}

// Verify reports whether password is the one that stored was made of. It
// knows bcrypt, PBKDF2, PBKDF2_STRETCH and SSHA256; a stored form that is none
// of these, the empty one included, is never matched and costs no time. It
// compares in constant time, and waits like [Hasher.Hash].
func Verify(ctx context.Context, stored, password string) (bool, error) {
	if d, ok := ParseDigest(stored); ok {
		return d.Matches(password), nil
	}
	if ValidStored(stored) != nil {
		return false, nil
	}
	var match bool
	err := slow.do(ctx, func() (err error) {
		if strings.HasPrefix(stored, bcryptPrefix) {
			match, err = verifyBcrypt(stored, password)
		} else {
			match, err = verifyPBKDF2(stored, password)
		}
		return err
	})
	return match && err == nil, err
}

func verifyBcrypt(stored, password string) (bool, error) {
	err := bcrypt.CompareHashAndPassword([]byte(stored), cut(password))
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

func verifyPBKDF2(stored, password string) (bool, error) {
	p, err := parsePBKDF2(stored)
	if err != nil {
		return false, err
	}
	got, err := pbkdf2.Key(sha512.New, stretched(p.prefix, password), p.salt, p.iterations, len(p.key))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, p.key) == 1, nil
}

// ValidStored reports what keeps stored from being a password hash that an
// administrator may hand in: nil for bcrypt of cost 4 to 14 and for PBKDF2 in
// both forms with a listed iteration count, else fault.Argument. The reason
// never quotes more of the hash than its algorithm.
func ValidStored(stored string) error {
	switch {
	case len(stored) > storedLimit:
		return fault.New(fault.Argument, "the password hash is longer than [%d] characters", storedLimit)
	case strings.HasPrefix(stored, bcryptPrefix):
		return validBcrypt(stored)
	case strings.HasPrefix(stored, pbkdf2Prefix), strings.HasPrefix(stored, stretchPrefix):
		_, err := parsePBKDF2(stored)
		return err
	default:
		return fault.New(fault.Argument, "the password hash is of no supported kind; use one of %s", algorithmNames())
	}
}

// validBcrypt checks "$2a$10$" and the 53 characters of salt and hash. The
// minor letters a, b, x and y name the same computation here.
func validBcrypt(stored string) error {
	if len(stored) != 60 || !strings.ContainsRune("abxy", rune(stored[2])) || stored[3] != '$' || stored[6] != '$' {
		return fault.New(fault.Argument, "the password hash starts like bcrypt but has not its form")
	}
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	if strings.Trim(stored[7:], alphabet) != "" {
		return fault.New(fault.Argument, "the password hash starts like bcrypt but has not its form")
	}
	cost, err := strconv.ParseUint(stored[4:6], 10, 8)
	if err != nil || cost < bcryptMinCost || cost > bcryptMaxCost {
		return fault.New(fault.Argument, "unknown hash function [bcrypt%s]; use one of %s", stored[4:6], algorithmNames())
	}
	return nil
}

type parsedPBKDF2 struct {
	prefix     string
	iterations int
	salt, key  []byte
}

func parsePBKDF2(stored string) (parsedPBKDF2, error) {
	p := parsedPBKDF2{prefix: pbkdf2Prefix}
	name := "pbkdf2"
	if strings.HasPrefix(stored, stretchPrefix) {
		p.prefix, name = stretchPrefix, "pbkdf2_stretch"
	}
	parts := strings.Split(strings.TrimPrefix(stored, p.prefix), "$")
	if len(parts) != 3 {
		return p, fault.New(fault.Argument, "the password hash starts like %s but has not the form ITERATIONS$SALT$HASH", name)
	}
	n, err := strconv.Atoi(parts[0])
	if err != nil || !slices.Contains(pbkdf2Iterations, n) || strconv.Itoa(n) != parts[0] {
		return p, fault.New(fault.Argument, "unknown hash function [%s_%s]; use one of %s", name, parts[0], algorithmNames())
	}
	p.iterations = n
	if p.salt, err = base64.StdEncoding.Strict().DecodeString(parts[1]); err != nil || len(p.salt) < pbkdf2MinSalt {
		return p, fault.New(fault.Argument, "the salt of the password hash must be base64 of at least [%d] bytes", pbkdf2MinSalt)
	}
	if p.key, err = base64.StdEncoding.Strict().DecodeString(parts[2]); err != nil || len(p.key) == 0 || len(p.key)%pbkdf2Block != 0 {
		return p, fault.New(fault.Argument, "the hash in the password hash must be base64 of a multiple of [%d] bits", 8*pbkdf2Block)
	}
	return p, nil
}

// GeneratePassword returns a password that nobody can guess: 26 capital letters
// and digits that cannot be mistaken for each other, 130 random bits.
func GeneratePassword() string { return rand.Text() }
