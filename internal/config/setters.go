package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"latchkey/internal/secret"
)

func hashing(of func(*Config) *string) func(*Config, value) error {
	return scalar(func(c *Config, s string) error {
		if _, err := secret.NewHasher(s); err != nil {
			return err
		}
		*of(c) = strings.ToLower(s)
		return nil
	})
}

func setPasswordHash(c *Config, v value) error {
	if v.isList || strings.TrimSpace(v.text) == "" {
		return errors.New("is empty; write a bcrypt or PBKDF2 hash, or remove the setting")
	}
	if err := secret.ValidStored(v.text); err != nil {
		return errors.New("must be a bcrypt ($2a$...) or PBKDF2 ({PBKDF2}...) hash of the password; it is neither")
	}
	c.Reserved.PasswordHash = secret.Of(v.text)
	return nil
}

var setVersion = scalar(func(c *Config, s string) error {
	var numbers [3]int
	parts := strings.Split(s, ".")
	ok := len(parts) == len(numbers)
	for i := 0; ok && i < len(numbers); i++ {
		n, err := strconv.ParseUint(parts[i], 10, 16)
		ok = err == nil && parts[i] == strconv.FormatUint(n, 10)
		numbers[i] = int(n)
	}
	if !ok {
		return fmt.Errorf("%q is no release; write three numbers, as in %s", s, DefaultVersion)
	}
	if slices.Compare(numbers[:], []int{7, 14, 0}) < 0 {
		return fmt.Errorf("%q is older than 7.14.0, the first release whose clients know the product by its header", s)
	}
	c.Version = s
	return nil
})

var setLogLevel = scalar(func(c *Config, s string) error {
	level, err := oneOf(s, "debug", "info", "warn", "error")
	if err != nil {
		return err
	}
	return c.Log.Level.UnmarshalText([]byte(level))
})

var setLogFormat = scalar(func(c *Config, s string) error {
	format, err := oneOf(s, "text", "json")
	c.Log.JSON = format == "json"
	return err
})

// setStoreURL looks at the scheme alone: the rest is for those who connect. No
// complaint shows it.
var setStoreURL = scalar(func(c *Config, s string) error {
	if !strings.HasPrefix(s, "postgres://") && !strings.HasPrefix(s, "postgresql://") {
		return errors.New("is no URL of a PostgreSQL database; write postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full")
	}
	c.StoreURL = secret.Of(s)
	return nil
})

var setPorts = scalar(func(c *Config, s string) error {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	a, errA := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	b, errB := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	if errA != nil || errB != nil || a > b || isRange && a == 0 {
		return fmt.Errorf("%q is no port and no range of ports; write 9200 or 9200-9300", s)
	}
	c.HTTP.Ports = Ports{int(a), int(b)}
	return nil
})

var storeType = scalar(func(_ *Config, s string) error {
	switch strings.ToLower(s) {
	case "pkcs12":
		return nil
	case "jks":
		return errors.New("a Java keystore (jks) cannot be read; convert it with `keytool -importkeystore -deststoretype PKCS12`")
	}
	return fmt.Errorf("%q is no form of keystore that can be read; write PKCS12", s)
})

var setClientAuthentication = scalar(func(c *Config, s string) error {
	mode, err := oneOf(s, string(ClientNone), string(ClientOptional), string(ClientRequired))
	if err == nil {
		c.TLS.ClientAuthentication = ClientAuthentication(mode)
	}
	return err
})

// setVerificationMode relies on its place after client_authentication in the table.
var setVerificationMode = scalar(func(c *Config, s string) error {
	mode, err := oneOf(s, "full", "certificate", "none")
	if err == nil && mode == "none" && c.TLS.ClientAuthentication != ClientNone {
		return errors.New("a client certificate that nobody checks proves nothing; write full, or set client_authentication to none")
	}
	return err
})

var protocols = map[string]uint16{"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}

func setProtocols(c *Config, v value) error {
	var names []string
	if err := list(func(*Config) *[]string { return &names }, nil)(c, v); err != nil {
		return err
	}
	var versions []uint16
	for _, s := range names {
		version, ok := protocols[s]
		if !ok {
			return fmt.Errorf("%q is not spoken; write TLSv1.2, TLSv1.3 or both", s)
		}
		versions = append(versions, version)
	}
	c.TLS.MinVersion, c.TLS.MaxVersion = slices.Min(versions), slices.Max(versions)
	return nil
}

func setCipherSuites(c *Config, v value) error {
	var names []string
	if err := list(func(*Config) *[]string { return &names }, nil)(c, v); err != nil {
		return err
	}
	var suites []uint16
	for _, s := range names {
		at := slices.IndexFunc(tls.CipherSuites(), func(suite *tls.CipherSuite) bool { return suite.Name == s })
		if at < 0 {
			var safe []string
			for _, suite := range tls.CipherSuites() {
				safe = append(safe, suite.Name)
			}
			return fmt.Errorf("%q is unknown or not safe; choose from %s", s, strings.Join(safe, ", "))
		}
		suites = append(suites, tls.CipherSuites()[at].ID)
	}
	c.TLS.CipherSuites = suites
	return nil
}
