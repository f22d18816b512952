package config

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"latchkey/internal/secret"
	"latchkey/internal/xcontent"
)

// value is what the operator wrote for one setting.
type value struct {
	text   string
	items  []string // of a YAML list
	isList bool
	origin string // "latchkey.yml:3", "environment variable X", "-E"

	// Of a setting of a realm, when it is set: the realm's name, and what follows it.
	star, key string
}

// setElsewhere belongs to path.conf, which is settled before the file is read.
func setElsewhere(*Config, value) error { return nil }

// scalar is a setter for one text; v's text has no blanks around it.
func scalar(set func(*Config, string) error) func(*Config, value) error {
	return func(c *Config, v value) error {
		if v.isList {
			return errors.New("takes one value, not a list")
		}
		s := strings.TrimSpace(v.text)
		if s == "" {
			return errors.New("has no value; write one, or remove the setting")
		}
		return set(c, s)
	}
}

func text(p func(*Config) *string) func(*Config, value) error {
	return scalar(func(c *Config, s string) error { *p(c) = s; return nil })
}

// name is text without control characters and without any of the others.
func name(p func(*Config) *string, others string) func(*Config, value) error {
	return scalar(func(c *Config, s string) error {
		for _, r := range s {
			if r < ' ' || r == 0x7f || strings.ContainsRune(others, r) {
				return fmt.Errorf("%q may not hold %q", s, r)
			}
		}
		*p(c) = s
		return nil
	})
}

// hidden keeps a secret as it stands; no complaint shows it.
func hidden(p func(*Config) *secret.Secret) func(*Config, value) error {
	return func(c *Config, v value) error {
		if v.isList {
			return errors.New("takes one value, not a list")
		}
		if v.text == "" {
			return errors.New("has no value; write one, or remove the setting")
		}
		*p(c) = secret.Of(v.text)
		return nil
	}
}

func parseBool(s string) (bool, error) {
	if s != "true" && s != "false" {
		return false, fmt.Errorf("%q is no boolean; write true or false", s)
	}
	return s == "true", nil
}

func boolean(p func(*Config) *bool) func(*Config, value) error {
	return scalar(func(c *Config, s string) (err error) {
		*p(c), err = parseBool(s)
		return err
	})
}

// only is a boolean of which one value works; why says what to do about the other.
func only(works bool, why string) func(*Config, value) error {
	return scalar(func(_ *Config, s string) error {
		b, err := parseBool(s)
		if err == nil && b != works {
			err = errors.New(why)
		}
		return err
	})
}

func number(p func(*Config) *int, least, most int) func(*Config, value) error {
	return scalar(func(c *Config, s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is no whole number from %d to %d", s, least, most)
		}
		*p(c) = n
		return nil
	})
}

// oneOf returns the one of names that s is, whatever its letter case.
func oneOf(s string, names ...string) (string, error) {
	for _, n := range names {
		if strings.EqualFold(s, n) {
			return n, nil
		}
	}
	return "", fmt.Errorf("%q is none of %s", s, strings.Join(names, ", "))
}

// list is a YAML list, or one text with commas.
func list(p func(*Config) *[]string, ok func(string) error) func(*Config, value) error {
	return func(c *Config, v value) error {
		items := v.items
		if !v.isList {
			items = strings.Split(v.text, ",")
		}
		var kept []string
		for _, item := range items {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			if ok != nil {
				if err := ok(item); err != nil {
					return err
				}
			}
			kept = append(kept, item)
		}
		if len(kept) == 0 {
			return errors.New("has no value; write one, or remove the setting")
		}
		*p(c) = kept
		return nil
	}
}

// bound is what a duration has to keep to beyond being one.
type bound func(time.Duration) (time.Duration, error)

func aboveZero(d time.Duration) (time.Duration, error) {
	if d <= 0 {
		return 0, errors.New("must be above 0, as in 30s")
	}
	return d, nil
}

func zeroIsOff(d time.Duration) (time.Duration, error) {
	if d < 0 {
		return 0, errors.New("must not be negative; 0 switches it off")
	}
	return d, nil
}

func upTo15m(d time.Duration) (time.Duration, error) {
	if d < 0 || d > 15*time.Minute {
		return 0, errors.New("must be from 0 to 15m; 0 switches it off")
	}
	return d, nil
}

func from1sTo1h(d time.Duration) (time.Duration, error) {
	if d < time.Second || d > time.Hour {
		return 0, errors.New("must be from 1s to 1h")
	}
	return d, nil
}

func from1sTo60s(d time.Duration) (time.Duration, error) {
	if d < time.Second || d > time.Minute {
		return 0, errors.New("must be from 1s to 60s")
	}
	return d, nil
}

func from1s(d time.Duration) (time.Duration, error) {
	if d < time.Second {
		return 0, errors.New("must be 1s or more")
	}
	return d, nil
}

func minusOneIsNone(d time.Duration) (time.Duration, error) {
	if d < 0 {
		return 0, nil
	}
	if d == 0 {
		return 0, errors.New("must be above 0, or -1 for no limit")
	}
	return d, nil
}

func duration(p func(*Config) *time.Duration, within bound) func(*Config, value) error {
	return scalar(func(c *Config, s string) error {
		d, err := xcontent.ParseDuration(s, "")
		if err != nil {
			if n, bad := strconv.ParseInt(s, 10, 64); bad == nil {
				return fmt.Errorf("%q has no unit; write %ds or %dm", s, max(n, -n), max(n, -n))
			}
			return fmt.Errorf("%q is no duration; write a whole number and a unit (ms, s, m, h, d), as in 30s", s)
		}
		if d, err = within(d); err != nil {
			return fmt.Errorf("%q %w", s, err)
		}
		*p(c) = d
		return nil
	})
}

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{ // a suffix stands before the ones it ends with
	{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"b", 1},
}

func parseSize(s string) (int64, error) {
	lower := strings.ToLower(s)
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(lower, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 32)
		if err != nil || n < 0 {
			break
		}
		return n * u.bytes, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return 0, fmt.Errorf("%q has no unit; write %dkb or %dmb", s, max(n, -n), max(n, -n))
	}
	return 0, fmt.Errorf("%q is no size; write a whole number and a unit (b, kb, mb, gb), as in 100mb", s)
}

func size(set func(*Config, int64), least, most string) func(*Config, value) error {
	return scalar(func(c *Config, s string) error {
		n, err := parseSize(s)
		if err != nil {
			return err
		}
		low, lowErr := parseSize(least)
		high, highErr := parseSize(most)
		if err := cmp.Or(lowErr, highErr); err != nil {
			return err
		}
		if n < low || n > high {
			return fmt.Errorf("%q must be from %s to %s", s, least, most)
		}
		set(c, n)
		return nil
	})
}

// knownHash accepts every name of a hash that Elasticsearch knows, and warns
// about one that is not the only one that works; works == "" means that none is
// worth a warning.
func knownHash(works string) func(*Config, value) error {
	return scalar(func(c *Config, s string) error {
		if _, err := oneOf(s, "ssha256", "sha1", "md5", "clear_text", "noop"); err != nil {
			if _, err := secret.NewHasher(s); err != nil {
				return fmt.Errorf("%q is no name of a hash; write ssha256", s)
			}
		}
		if works != "" && !strings.EqualFold(s, works) {
			c.Warnings = append(c.Warnings, fmt.Sprintf("new API keys are stored as %s; the algorithm %s has no effect", works, s))
		}
		return nil
	})
}
