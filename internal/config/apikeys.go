package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"latchkey/internal/pattern"
	"latchkey/internal/secret"
)

// KeyPolicy is what API keys of those who hold a role must look like. The zero
// value of a field is no rule.
type KeyPolicy struct {
	Role             string // "*" is everybody
	MaxLifetime      time.Duration
	RequiredMetadata []string
	NamePattern      string // a regular expression that compiles
}

const policies = "latchkey.api_key.policy."

var policySettings = []setting{
	{policies + "*.max_lifetime", "", "", "duration, from 1s", "How long after its creation a key may expire at most; one without an expiration is refused. `*` is the name of a role, and the rule is for keys of owners who hold it when they make or change a key; written as `*`, it is for all keys. All rules that apply must hold. An update can prolong a key's life up to that time only.",
		policy(func(p *KeyPolicy) func(*Config, value) error {
			return duration(func(*Config) *time.Duration { return &p.MaxLifetime }, from1s)
		})},
	{policies + "*.required_metadata", "", "", "list of names", "Members that the metadata of a key must have, with a value that is neither null nor empty.",
		policy(func(p *KeyPolicy) func(*Config, value) error {
			return list(func(*Config) *[]string { return &p.RequiredMetadata }, metadataName)
		})},
	{policies + "*.name_pattern", "", "", "regular expression", "What the whole name of a key must match, as in `team-[a-z]+-.*`; the syntax is that of regular expressions in role patterns.",
		policy(func(p *KeyPolicy) func(*Config, value) error {
			return scalar(func(_ *Config, s string) error {
				_, err := pattern.Parse("/" + s + "/")
				p.NamePattern = s
				return err
			})
		})},
}

var expirySettings = []setting{
	{"latchkey.api_key.expiry_notice", "7d", "", "duration; 0 is off", "How long before its expiry a key counts as one that expires soon: in `GET /_latchkey/api_key/expiring`, in the metrics, and for the webhook.", duration(func(c *Config) *time.Duration { return &c.APIKey.ExpiryNotice }, zeroIsOff)},
	{"latchkey.api_key.expiry_webhook", "", "", "URL", "Where it is told by POST, once, that a key expires soon: `https://...`, or `http://` and an address of this machine. It is never logged.", setWebhook},
	{"latchkey.api_key.expiry_webhook_authorization", "", "", "secret", "The header `Authorization` of such a call.", hidden(func(c *Config) *secret.Secret { return &c.APIKey.ExpiryWebhookAuthorization })},
}

func setWebhook(c *Config, v value) error {
	if err := hidden(func(c *Config) *secret.Secret { return &c.APIKey.ExpiryWebhook })(c, v); err != nil {
		return err
	}
	u, err := url.Parse(v.text) // its error would show the text
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && Loopback(u.Hostname())) {
		return errors.New("must be a URL that begins with https://; http:// is for addresses of this machine")
	}
	return nil
}

// policy sets a part of the policy for the role that the name of the setting holds.
func policy(set func(*KeyPolicy) func(*Config, value) error) func(*Config, value) error {
	return func(c *Config, v value) error {
		at := slices.IndexFunc(c.APIKey.Policies, func(p KeyPolicy) bool { return p.Role == v.star })
		if at < 0 {
			at = len(c.APIKey.Policies)
			c.APIKey.Policies = append(c.APIKey.Policies, KeyPolicy{Role: v.star})
		}
		return set(&c.APIKey.Policies[at])(c, v)
	}
}

func metadataName(s string) error {
	if strings.HasPrefix(s, "_") {
		return fmt.Errorf("%q begins with an underscore, and nobody can give a key such metadata", s)
	}
	return nil
}

// findPolicy is find for settings of policies: the role may hold dots.
func findPolicy(name string) (s *setting, role string, mine bool) {
	rest, mine := strings.CutPrefix(name, policies)
	at := strings.LastIndexByte(rest, '.')
	if !mine || at <= 0 {
		return nil, "", mine
	}
	return byName[policies+"*"+rest[at:]], rest[:at], true
}
