package config

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

const fileRealm = realms + "file."

// placesOf returns the realms in the order in which they are asked, with those
// that have settings of their own.
func placesOf(c *Config) []string {
	type place struct {
		name  string
		order int
	}
	places := []place{{c.Native.Name, c.Native.Order}}
	for _, r := range c.Realms {
		if r.Enabled {
			places = append(places, place{r.Name, r.Order})
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return a.order - b.order })
	var names []string
	for _, p := range places {
		names = append(names, p.name)
	}
	return names
}

func TestOrderOfRealms(t *testing.T) {
	for _, tt := range []struct {
		set  []string
		want []string
	}{
		{nil, []string{"default_file", "default_native"}},
		{[]string{fileRealm + "f.order=5"}, []string{"default_native", "f"}},
		{[]string{fileRealm + "f.order=5", realms + "native.n.order=6"}, []string{"f", "n"}},
		{[]string{realms + "native.n.order=-5"}, []string{"default_file", "n"}},
		{[]string{fileRealm + "f.enabled=false"}, []string{"default_native"}},
		{[]string{fileRealm + "file.cache.ttl=0"}, []string{"file", "default_native"}},
	} {
		c := mustLoad(t, "", nil, tt.set)
		if got := placesOf(c); !slices.Equal(got, tt.want) {
			t.Errorf("%q: realms are %q; want %q", tt.set, got, tt.want)
		}
	}
}

// A realm may be called like its type, or like another part of the setting's name.
func TestSettingsOfARealm(t *testing.T) {
	for _, name := range []string{"f1", "file", "security", "order"} {
		c := mustLoad(t, "", nil, []string{fileRealm + name + ".order=3", fileRealm + name + ".cache.ttl=5m", fileRealm + name + ".authentication.enabled=false"})
		r := c.Realms[0]
		if r.Name != name || r.Type != "file" || !r.Enabled || r.Order != 3 || r.Duration("cache.ttl") != 5*time.Minute || r.Bool("authentication.enabled") ||
			r.Number("cache.max_users") != 100_000 || r.Text("cache.hash_algo") != "ssha256" || r.Has("absent") || r.List("absent") != nil {
			t.Errorf("%s: got %+v", name, *r)
		}
	}
}

func TestMistakesOfRealms(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  []string
		want string
	}{
		{"two file realms", []string{fileRealm + "a.order=1", fileRealm + "b.order=2"}, "there is one file realm at most"},
		{"a name of latchkey's own", []string{fileRealm + "_a.order=1"}, "names of realms that begin with an underscore"},
		{"the name of the built-in users' realm", []string{fileRealm + "reserved.order=1"}, "give this one a name of its own"},
		{"a name that is taken", []string{fileRealm + "x.order=1", realms + "native.x.order=2"}, "another realm is called x"},
		{"an order that is taken", []string{fileRealm + "x.order=1", realms + "native.y.order=1"}, "is that of the realm y, too"},
		{"a setting that is none", []string{fileRealm + "x.cash.ttl=1s"}, `a file realm has no "cash.ttl"; did you mean [cache.ttl]?`},
		{"a value that is none", []string{fileRealm + "x.enabled=yes"}, `"yes" is no boolean`},
	} {
		_, err := load(t, "", nil, tt.set)
		if mistakes, ok := errors.AsType[Mistakes](err); !ok || !strings.Contains(mistakes.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestARealmDoesNotPrintItsSettings(t *testing.T) {
	r := &Realm{Type: "ldap", Name: "a", values: map[string]any{"secure_bind_password": "hunter2"}}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "realm", r, "config", Config{Realms: []*Realm{r}})
	for _, s := range []string{fmt.Sprintf("%+v", Config{Realms: []*Realm{r}}), fmt.Sprint(r), log.String()} {
		if strings.Contains(s, "hunter2") {
			t.Errorf("a secret is in %s", s)
		}
	}
}
