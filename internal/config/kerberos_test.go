package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

const kerb1 = "xpack.security.authc.realms.kerberos.kerb1."

func TestKerberosRealm(t *testing.T) {
	c := mustLoad(t, "", nil, []string{kerb1 + "order=3", kerb1 + "keytab.path=/etc/http.keytab"})
	if want := (Kerberos{Enabled: true, Name: "kerb1", Order: 3, Keytab: "/etc/http.keytab"}); !reflect.DeepEqual(c.Kerberos, want) {
		t.Errorf("got %+v, want %+v", c.Kerberos, want)
	}
	dir := t.TempDir()
	c, err := Load(Sources{Dir: dir, Overrides: []string{
		kerb1 + "order=0", kerb1 + "keytab.path=http.keytab", kerb1 + "remove_realm_name=true", kerb1 + "krb.debug=true", kerb1 + "cache.ttl=0", kerb1 + "cache.max_users=5",
		kerb1 + "authorization_realms=house, reserved", "xpack.security.authc.realms.native.house.order=1",
	}})
	want := Kerberos{Enabled: true, Name: "kerb1", Keytab: dir + "/http.keytab", RemoveRealmName: true, Debug: true, AuthorizationRealms: []string{"house", "reserved"}}
	if err != nil || !reflect.DeepEqual(c.Kerberos, want) {
		t.Errorf("got %+v, %v, want %+v", c.Kerberos, err, want)
	}
	if c = mustLoad(t, "", nil, nil); !reflect.DeepEqual(c.Kerberos, Kerberos{}) {
		t.Errorf("got %+v, want no realm where none is configured", c.Kerberos)
	}
	if c = mustLoad(t, "", nil, []string{kerb1 + "enabled=false"}); c.Kerberos.Enabled {
		t.Error("got a realm that is switched off")
	}
}

func TestMistakesOfAKerberosRealm(t *testing.T) {
	tests := []struct {
		name string
		set  []string // beside an order and a keytab
		want string
	}{
		{"an order that is taken", []string{"xpack.security.authc.realms.native.n1.order=7"}, kerb1 + "order: is that of the native realm, too"},
		{"a name that is taken", []string{"xpack.security.authc.realms.native.kerb1.order=1"}, kerb1 + "enabled: another realm is called kerb1"},
		{"a second realm", []string{"xpack.security.authc.realms.kerberos.kerb2.order=1"}, "kerb2.order: there is one kerberos realm, and it is called kerb1 already"},
		{"a name of latchkey's own", []string{"xpack.security.authc.realms.kerberos._a.order=1"}, "names of realms that begin with an underscore are latchkey's own"},
		{"a realm without a name", []string{"xpack.security.authc.realms.kerberos.order=1"}, "a realm has a name; write xpack.security.authc.realms.kerberos.kerberos1.order"},
		{"an unknown key", []string{kerb1 + "keytab.pat=x"}, `a kerberos realm has no "keytab.pat"; did you mean [keytab.path]?`},
		{"roles of an unknown realm", []string{kerb1 + "authorization_realms=default_native,corp"}, `there is no realm "corp" whose users could be looked up; those that there are: reserved, default_native`},
		{"roles of a realm that is off", []string{kerb1 + "authorization_realms=default_native", "xpack.security.authc.realms.native.default_native.enabled=false"}, `there is no realm "default_native"`},
		{"a ttl without a unit", []string{kerb1 + "cache.ttl=5"}, `"5" has no unit`},
		{"room for nobody", []string{kerb1 + "cache.max_users=0"}, `"0" is no whole number from 1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, "", nil, append(tt.set, kerb1+"keytab.path=/x", kerb1+"order=7"))
			if mistakes, ok := errors.AsType[Mistakes](err); !ok || !strings.Contains(mistakes.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	_, err := load(t, "", nil, []string{kerb1 + "enabled=true"})
	for _, want := range []string{kerb1 + "order: must be given", kerb1 + "keytab.path: must be given"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
