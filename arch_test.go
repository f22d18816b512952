package latchkey_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const rooms = "latchkey/internal/"

// layers holds the rooms from the bottom of the house to its top. A room knows
// rooms of lower layers only, so those of one layer do not know each other.
var layers = [][]string{
	{"fault"},
	{"pattern", "watch", "xcontent"},
	{"access", "cache", "dnroles", "query", "secret"},
	{"fleet", "notify", "realm"},
	{"apikey", "application", "config", "file", "leaver", "profile", "role", "rolemapping", "serviceaccount", "settings", "token", "user"},
	{"authn", "jwt", "kerberos", "leak", "storetest"},
	{"ldap", "oidc", "pki"},
	{"httpapi", "sqlstore"},
	{"node"},
	{"cli"},
	{"chaos"},
}

// forbidden is what the layers do not say. A path stands for all below it.
var forbidden = []struct{ room, path, why string }{
	{"fault", "net/http", "statuses are decided at the edge"},
	{"access", "net/http", "who may do what does not depend on how it was asked"},
	{"access", "database/sql", "it does no I/O"},
	{"access", "os", "it does no I/O"},
	{"apikey", "net/http", "the domain does not speak HTTP"},
	{"apikey", "database/sql", "the domain does not know its engine"},
	{"application", "net/http", "the domain does not speak HTTP"},
	{"application", "database/sql", "the domain does not know its engine"},
	{"token", "net/http", "the domain does not speak HTTP"},
	{"token", "database/sql", "the domain does not know its engine"},
	{"user", "net/http", "the domain does not speak HTTP"},
	{"user", "database/sql", "the domain does not know its engine"},
	{"role", "net/http", "the domain does not speak HTTP"},
	{"role", "database/sql", "the domain does not know its engine"},
	{"serviceaccount", "net/http", "the domain does not speak HTTP"},
	{"serviceaccount", "database/sql", "the domain does not know its engine"},
	{"query", "database/sql", "it searches what it is given"},
	{"profile", "net/http", "the domain does not speak HTTP"},
	{"profile", "database/sql", "the domain does not know its engine"},
	{"leaver", "database/sql", "the domain does not know its engine"},
	{"leak", "net/http", "a text is a text wherever it comes from"},
	{"notify", "database/sql", "it tells what it is given"},
	{"leak", "database/sql", "the domain does not know its engine"},
	{"settings", "database/sql", "the domain does not know its engine"},
	{"realm", "net/http", "who somebody is does not depend on how they asked"},
	{"realm", "database/sql", "it asks the realms"},
	{"file", "net/http", "the domain does not speak HTTP"},
	{"file", "database/sql", "its users are in files"},
	{"rolemapping", "net/http", "the domain does not speak HTTP"},
	{"rolemapping", "database/sql", "the domain does not know its engine"},
	{"kerberos", "net/http", "a ticket is judged whichever way it came"},
	{"kerberos", "database/sql", "it asks the rooms that hold users"},
	{"jwt", "database/sql", "it asks the rooms that hold users"},
	{"oidc", "database/sql", "it asks the rooms that hold users"},
	{"ldap", "net/http", "it speaks LDAP"},
	{"ldap", "database/sql", "it asks the directory"},
	{"pki", "net/http", "a certificate is judged whichever way it came"},
	{"pki", "database/sql", "it asks the rooms that hold users"},
	{"fleet", "database/sql", "it knows revisions, nodes and leases, and not where they are kept"},
	{"cache", "database/sql", "it keeps what it is given"},
	{"authn", "database/sql", "it asks the realms"},
	{"authn", rooms + "storetest", "a contract is for those who keep it"},
	{"authn", rooms + "config", "rooms receive the values that they use, not the Config"},
	{"httpapi", rooms + "config", "rooms receive the values that they use, not the Config"},
	{"httpapi", rooms + "storetest", "a contract is for those who keep it"},
	{"httpapi", "database/sql", "the edge reaches storage through a service"},
	{"sqlstore", "net/http", "the store does not speak HTTP"},
	{"sqlstore", rooms + "config", "rooms receive the values that they use, not the Config"},
	{"sqlstore", rooms + "authn", "it keeps what the domain gives it"},
	{"sqlstore", rooms + "storetest", "only its tests show that it keeps the contract"},
	{"storetest", rooms + "config", "a contract does not know its subjects"},
	{"node", rooms + "storetest", "a contract is for those who keep it"},
	{"cli", rooms + "storetest", "a contract is for those who keep it"},
	{"cli", rooms + "httpapi", "only node introduces the rooms to each other"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
}

// packages is every package of the module. Test files are not counted.
func packages(t *testing.T) []goPackage {
	t.Helper()
	var complaints bytes.Buffer
	list := exec.Command("go", "list", "-pgo=off", "-json=ImportPath,Imports,CgoFiles", "./...")
	list.Stderr = &complaints
	out, err := list.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &complaints)
	}
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p goPackage
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// room is the first part of a path below internal, or "".
func room(path string) string {
	rest, ok := strings.CutPrefix(path, rooms)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func TestRoomsKnowOnlyThoseBelowThem(t *testing.T) {
	level := map[string]int{}
	for i, layer := range layers {
		for _, name := range layer {
			level[name] = i
		}
	}
	seen := map[string]bool{}
	for _, p := range packages(t) {
		here := room(p.ImportPath)
		if here == "" {
			continue
		}
		seen[here] = true
		if _, ok := level[here]; !ok {
			t.Errorf("the room %s has no layer: say where it belongs", here)
		}
		for _, path := range p.Imports {
			if there := room(path); there != "" && there != here && level[there] >= level[here] {
				t.Errorf("%s imports %s, which is not below it", p.ImportPath, path)
			}
		}
	}
	for name := range level {
		if !seen[name] {
			t.Errorf("there is no room %s: update the layers", name)
		}
	}
}

func TestImports(t *testing.T) {
	all := packages(t)
	for _, rule := range forbidden {
		found := false
		for _, p := range all {
			if room(p.ImportPath) != rule.room {
				continue
			}
			found = true
			for _, path := range p.Imports {
				if path == rule.path || strings.HasPrefix(path, rule.path+"/") {
					t.Errorf("%s imports %s: %s", p.ImportPath, path, rule.why)
				}
			}
		}
		if !found {
			t.Errorf("there is no room %s: update this table", rule.room)
		}
	}
}

func TestImportsOfThePackagesThatStandApart(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath == "latchkey" {
			for _, path := range p.Imports {
				first, _, _ := strings.Cut(path, "/")
				if first == "latchkey" || strings.Contains(first, ".") {
					t.Errorf("the client imports %s: it is built of the standard library alone", path)
				}
			}
		}
		if strings.HasPrefix(p.ImportPath, "latchkey/cmd/") {
			for _, path := range p.Imports {
				if name := room(path); name != "" && name != "cli" {
					t.Errorf("%s imports %s: it only hands over to cli", p.ImportPath, path)
				}
			}
		}
		if len(p.CgoFiles) > 0 || slices.Contains(p.Imports, "C") {
			t.Errorf("%s uses cgo: latchkey is one static binary", p.ImportPath)
		}
		forTests := room(p.ImportPath) == "storetest" || strings.HasSuffix(p.ImportPath, "/pgtest")
		if slices.Contains(p.Imports, "testing") && !forTests {
			t.Errorf("%s imports testing outside of its tests", p.ImportPath)
		}
	}
}
