package config

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"latchkey/internal/secret"
)

// shortestFleetSecret is how many characters of a secret nobody guesses.
const shortestFleetSecret = 32

var setFleetAddress = scalar(func(c *Config, s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || port == "" || port == "0" || strings.ContainsAny(s, "/?#@ ") {
		return fmt.Errorf("%q is no address; write host:port, as in 10.0.0.7:9200", s)
	}
	c.Fleet.Address = s
	return nil
})

// setFleetSecret shows the secret in no complaint.
var setFleetSecret = scalar(func(c *Config, s string) error {
	if len(s) < shortestFleetSecret {
		return fmt.Errorf("is too short; write %d random characters or more, as from `openssl rand -hex 32`", shortestFleetSecret)
	}
	c.Fleet.Secret = secret.Of(s)
	return nil
})

var setConsistency = scalar(func(c *Config, s string) error {
	mode, err := oneOf(s, "lease", "read_index")
	c.Fleet.ReadIndex = mode == "read_index"
	return err
})

// checkFleet looks at what only goes together.
func (l *loader) checkFleet(c *Config, given layer) {
	complain := func(name, problem string) { l.mistake(given[name].origin, name, errors.New(problem)) }
	const address, shared = "latchkey.fleet.address", "latchkey.fleet.secret"
	said := func(name string) bool { _, ok := given[name]; return ok } // also what has a mistake of its own
	switch {
	case said(address) && !said("latchkey.store.url"):
		complain(address, "needs latchkey.store.url: a store in the data folder has no other nodes")
	case said(address) && !said(shared):
		complain(address, "needs latchkey.fleet.secret, which all nodes share")
	case said(shared) && !said(address):
		complain(shared, "needs latchkey.fleet.address, at which the other nodes reach this one")
	}
}
