// Package ldaptest runs a directory for tests: OpenLDAP's slapd, with users and
// groups, and in front of it what makes it look like Active Directory.
package ldaptest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// What every directory has.
const (
	Root     = "dc=example,dc=org"
	Search   = "cn=search,dc=example,dc=org" // who may read everything
	Password = "directory-password"          // of everybody
	rootDN   = "cn=admin,dc=example,dc=org"
)

// ErrMissing says that slapd is not installed.
var ErrMissing = errors.New("slapd is missing: install the package slapd")

// Server is a running slapd.
type Server struct {
	Address string // host and port
	URL     string // ldap://
	TLS     string // ldaps://, if it was started with a certificate

	dir  string
	cmd  *exec.Cmd
	wait chan error // tells when cmd has ended
	log  bytes.Buffer
}

// Entry is one of the directory.
type Entry struct {
	DN         string
	Attributes map[string][]string
}

// Person is an entry of a user.
func Person(uid string, more ...string) Entry {
	e := Entry{"uid=" + ldap.EscapeDN(uid) + ",ou=people," + Root, map[string][]string{
		"objectClass": {"inetOrgPerson", "extensibleObject"}, "uid": {uid}, "cn": {strings.ToUpper(uid[:1]) + uid[1:]}, "sn": {uid},
		"userPassword": {Password},
	}}
	if !strings.ContainsFunc(uid, func(r rune) bool { return r < 'a' || r > 'z' }) {
		e.Attributes["mail"] = []string{uid + "@example.org"}
	}
	for i := 0; i < len(more); i += 2 {
		e.Attributes[more[i]] = append(e.Attributes[more[i]], more[i+1])
	}
	return e
}

// Group is an entry of a group with members.
func Group(cn string, members ...string) Entry {
	e := Entry{"cn=" + ldap.EscapeDN(cn) + ",ou=groups," + Root, map[string][]string{"objectClass": {"groupOfNames", "extensibleObject"}, "cn": {cn}}}
	for _, m := range members {
		e.Attributes["member"] = append(e.Attributes["member"], Person(m).DN)
	}
	return e
}

// With adds values to an entry.
func (e Entry) With(attribute string, values ...string) Entry {
	if len(values) > 0 {
		e.Attributes[attribute] = append(e.Attributes[attribute], values...)
	}
	return e
}

const schema = `
attributetype ( 1.3.6.1.4.1.4203.666.11.99.1 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.11.99.2 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.11.99.3 NAME 'tokenGroups' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
attributetype ( 1.3.6.1.4.1.4203.666.11.99.4 NAME 'objectSid' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
attributetype ( 1.3.6.1.4.1.4203.666.11.99.5 NAME 'nETBIOSName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.11.99.6 NAME 'nCName' EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 )
objectclass ( 1.3.6.1.4.1.4203.666.11.99.11 NAME 'user' SUP top AUXILIARY )
objectclass ( 1.3.6.1.4.1.4203.666.11.99.12 NAME 'crossRef' SUP top STRUCTURAL MUST cn )
`

// Start runs a slapd in dir, which it owns, with entries. Certificate and key are
// PEM files; "" is no TLS.
func Start(dir, certificate, key string, entries ...Entry) (*Server, error) {
	path, err := exec.LookPath("slapd")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/slapd"); err != nil {
			return nil, ErrMissing
		}
	}
	s := &Server{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, "db"), 0o700); err != nil {
		return nil, err
	}
	var conf strings.Builder
	for _, name := range []string{"core", "cosine", "inetorgperson", "nis"} {
		fmt.Fprintf(&conf, "include /etc/ldap/schema/%s.schema\n", name)
	}
	conf.WriteString(schema)
	if certificate != "" {
		fmt.Fprintf(&conf, "TLSCertificateFile %s\nTLSCertificateKeyFile %s\n", certificate, key)
	}
	fmt.Fprintf(&conf, `pidfile %[1]s/slapd.pid
argsfile %[1]s/slapd.args
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
sizelimit unlimited
database mdb
suffix "%[2]s"
rootdn "%[3]s"
rootpw %[4]s
directory %[1]s/db
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="%[5]s" read by users read by * none
`, dir, Root, rootDN, Password, Search)
	if err := os.WriteFile(filepath.Join(dir, "slapd.conf"), []byte(conf.String()), 0o600); err != nil {
		return nil, err
	}
	if err := s.run(path, certificate != ""); err != nil {
		return nil, err
	}
	for _, e := range append([]Entry{
		{Root, map[string][]string{"objectClass": {"dcObject", "organization"}, "dc": {"example"}, "o": {"Example"}}},
		{"ou=people," + Root, map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"people"}}},
		{"ou=groups," + Root, map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"groups"}}},
		{Search, map[string][]string{"objectClass": {"person", "simpleSecurityObject"}, "cn": {"search"}, "sn": {"search"}, "userPassword": {Password}}},
	}, entries...) {
		if err := s.Add(e); err != nil {
			return nil, errors.Join(fmt.Errorf("add %s: %w", e.DN, err), s.Stop())
		}
	}
	return s, nil
}

// run starts the process and waits until it answers. A port that somebody else
// took meanwhile ends it, and another is tried.
func (s *Server) run(path string, secure bool) error {
	var err error
	for range 5 {
		s.Address, err = freeAddress()
		if err != nil {
			return err
		}
		s.URL = "ldap://" + s.Address
		listen := s.URL + "/"
		if secure {
			tls, err := freeAddress()
			if err != nil {
				return err
			}
			_, port, _ := net.SplitHostPort(tls)
			s.TLS = "ldaps://localhost:" + port
			listen += " ldaps://" + tls + "/"
		}
		s.log.Reset()
		s.cmd = exec.Command(path, "-f", filepath.Join(s.dir, "slapd.conf"), "-h", listen, "-d", "none")
		s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
		if err = s.cmd.Start(); err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- s.cmd.Wait() }()
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			select {
			case err = <-ended:
				err = fmt.Errorf("slapd ended: %w: %s", err, &s.log)
			default:
				c, dialed := net.Dial("tcp", s.Address)
				if dialed != nil {
					continue
				}
				s.wait = ended
				return c.Close()
			}
			break
		}
	}
	return err
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Do runs f with a connection that may do anything.
func (s *Server) Do(f func(*ldap.Conn) error) error {
	c, err := ldap.DialURL(s.URL)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Bind(rootDN, Password); err != nil {
		return err
	}
	return f(c)
}

// Add adds an entry.
func (s *Server) Add(e Entry) error {
	req := ldap.NewAddRequest(e.DN, nil)
	if e.Attributes["objectClass"][0] == "referral" {
		req.Controls = []ldap.Control{ldap.NewControlManageDsaIT(true)}
	}
	for name, values := range e.Attributes {
		req.Attribute(name, values)
	}
	return s.Do(func(c *ldap.Conn) error { return c.Add(req) })
}

// Replace gives an attribute of an entry other values.
func (s *Server) Replace(dn, attribute string, values ...string) error {
	req := ldap.NewModifyRequest(dn, nil)
	req.Replace(attribute, values)
	return s.Do(func(c *ldap.Conn) error { return c.Modify(req) })
}

// Delete removes an entry.
func (s *Server) Delete(dn string) error {
	return s.Do(func(c *ldap.Conn) error { return c.Del(ldap.NewDelRequest(dn, nil)) })
}

// Stop ends the process. It may be called twice.
func (s *Server) Stop() error {
	if s.cmd == nil {
		return nil
	}
	err := s.cmd.Process.Signal(os.Interrupt)
	<-s.wait
	s.cmd = nil
	return err
}
