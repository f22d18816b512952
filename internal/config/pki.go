package config

import (
	"encoding/asn1"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const pkiType = "pki"

func init() { realmChecks[pkiType] = checkPKI }

var pkiSettings = realmSettings(pkiType, slices.Concat([]realmSetting{
	{"username_pattern", "", "the common name", "regular expression (RE2) with a group", "What its first group matches in the subject, which is written as in `CN=alice,OU=people,O=Example`, is the username. A certificate without a match is nobody's.", asPattern},
	{"username_rdn_name", "", "", "name of an attribute, such as UID", "In place of a pattern: the attribute of the subject that is the username.", asText},
	{"username_rdn_oid", "", "", "numbers with dots", "The same by the number of the attribute, such as 0.9.2342.19200300.100.1.1.", asOID},
	{"delegation.enabled", "false", "", "boolean", "Whether who has the privilege `delegate_pki` gets access tokens for the owners of certificates that were shown to them. It needs `certificate_authorities` or `truststore.path`.", asBool},
	{"cache.ttl", "20m", "", "duration; 0 is off", "How long after its last use a certificate that was verified is not verified again. Its end is looked at in any case, and roles are those of the moment.", asDuration(zeroIsOff)},
	{"cache.max_users", "100000", "", "whole number above 0", "How many certificates are kept like that.", asNumber(1, 100_000_000)},
	{"cache.hash_algo", "ssha256", "", "name of a hash", "Accepted without effect.", asText},
}, dnSettings, trustSettings("")))

func asOID(v value) (any, error) {
	s, err := asText(v)
	if err != nil {
		return nil, err
	}
	var id asn1.ObjectIdentifier
	for part := range strings.SplitSeq(s.(string), ".") {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of an attribute; write it as in 2.5.4.3", s)
		}
		id = append(id, int(n))
	}
	if len(id) < 2 {
		return nil, fmt.Errorf("%q is no number of an attribute; write it as in 2.5.4.3", s)
	}
	return id, nil
}

// OID is [Realm.Text] for numbers of attributes; nil if there is none.
func (r *Realm) OID(key string) asn1.ObjectIdentifier { return valueOf[asn1.ObjectIdentifier](r, key) }

func checkPKI(k realmCheck) {
	k.checkFiles()
	k.checkTrust("")
	given := 0
	for _, key := range []string{"username_pattern", "username_rdn_name", "username_rdn_oid"} {
		if k.r.Has(key) {
			if given++; given > 1 {
				k.complain(key, "cannot stand beside another way to find the username; write one of username_pattern, username_rdn_name and username_rdn_oid")
			}
		}
	}
	trust := k.r.Has("certificate_authorities") || k.r.Has("truststore.path")
	delegation := k.r.Bool("delegation.enabled")
	if delegation && !trust {
		k.complain("delegation.enabled", "needs certificate_authorities or truststore.path, against which certificates are checked that others show")
	}
	if shown := k.c.TLS.Enabled && k.c.TLS.ClientAuthentication != ClientNone; !shown && !delegation {
		k.complain("enabled", "needs clients that show certificates; set %senabled, and %sclient_authentication to optional or required, or set delegation.enabled", ssl, ssl)
	}
}
