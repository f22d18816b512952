package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// FileName is the settings file in the folder that path.conf names.
const FileName = "latchkey.yml"

// Sources is where settings come from. What stands further down wins over what
// stands above it: file, environment, overrides.
type Sources struct {
	Dir       string   // the folder of the file, as --config says; "" leaves it to path.conf
	Environ   []string // as [os.Environ] has it
	Overrides []string // the values of -E, each "name=value"
}

// Mistakes is everything that is wrong with the settings, one sentence each,
// which says where it stands and what to write.
type Mistakes []string

func (m Mistakes) Error() string {
	if len(m) == 1 {
		return m[0]
	}
	return fmt.Sprintf("%d mistakes in the settings:\n  %s", len(m), strings.Join(m, "\n  "))
}

// layer is what one source gives, by name of the setting.
type layer map[string]value

type loader struct {
	mistakes Mistakes
	ignored  []string
	warnings []string
	read     string // the settings file, once it was read
	nodes    int    // of the file, seen so far
	stopped  bool   // the file is larger than anybody writes
}

func (l *loader) mistake(origin, name string, err error) {
	l.mistakes = append(l.mistakes, fmt.Sprintf("%s: %s: %v", origin, name, err))
}

// Load reads and checks all settings. What is wrong with them is reported
// together, as [Mistakes].
func Load(src Sources) (*Config, error) {
	l := &loader{}
	environment := l.environment(src.Environ)
	overrides := l.overrides(src.Overrides)
	dir := l.dir(src.Dir, overrides, environment)
	given := l.file(dir)
	maps.Copy(given, environment)
	maps.Copy(given, overrides)

	c := preset()
	c.Dir, c.File, c.Warnings = dir, l.read, l.warnings
	l.apply(c, given)
	l.check(c, given)
	if len(l.mistakes) > 0 {
		return nil, l.mistakes
	}
	if len(l.ignored) > 0 {
		slices.Sort(l.ignored)
		c.Warnings = append(c.Warnings, "only a search engine needs these settings, and here they have no effect: "+strings.Join(slices.Compact(l.ignored), ", "))
	}
	return c, nil
}

// preset is the Config of somebody who sets nothing.
func preset() *Config {
	c := &Config{NodeName: "latchkey"}
	if host, err := os.Hostname(); err == nil && host != "" {
		c.NodeName = host
	}
	for _, section := range sections {
		for _, s := range section.settings {
			if s.preset == "" {
				continue
			}
			if err := s.set(c, value{text: s.preset}); err != nil {
				panic("default of " + s.name + ": " + err.Error()) // a test goes through all of them
			}
		}
	}
	c.Native.Name = "default_native"
	return c
}

// apply sets what is given in the order of the table, so that a setting may
// rely on those above it.
func (l *loader) apply(c *Config, given layer) {
	for _, section := range sections {
		for i := range section.settings {
			s := &section.settings[i]
			for _, name := range slices.Sorted(maps.Keys(given)) {
				found, star := find(name)
				if found != s {
					continue
				}
				v := given[name]
				if v.star = star; star != "" {
					_, v.key, _ = strings.Cut(strings.TrimPrefix(name, realms), "."+star+".")
				}
				if err := s.set(c, v); err != nil {
					l.mistake(given[name].origin, name, err)
				}
			}
		}
	}
}

// add puts a value into a layer, unless its name is none of ours.
func (l *loader) add(to layer, name string, v value) {
	_, twice := to[name]
	s, _ := find(name)
	switch {
	case twice:
		l.mistake(v.origin, name, fmt.Errorf("is given twice; the other place is %s", to[name].origin))
	case s != nil:
		to[name] = v
	case isIgnored(name):
		l.ignored = append(l.ignored, name)
	case saysWhatIsSo(name, v.text):
	default:
		l.mistake(v.origin, name, unknown(name))
	}
}

func (l *loader) overrides(flags []string) layer {
	out := layer{}
	for _, flag := range flags {
		name, text, ok := strings.Cut(flag, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			l.mistakes = append(l.mistakes, fmt.Sprintf("-E: %q is no setting; write name=value, as in -E http.port=9200", flag))
			continue
		}
		l.add(out, name, value{text: text, origin: "-E"})
	}
	return out
}

// dir is the folder of the settings file. One that somebody named has to exist.
func (l *loader) dir(flag string, overrides, environment layer) string {
	named := value{text: flag, origin: "--config"}
	for _, from := range []layer{overrides, environment} {
		if v, ok := from["path.conf"]; ok && named.text == "" {
			named = v
		}
	}
	if named.text == "" {
		for _, dir := range []string{"config", "/etc/latchkey"} {
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				if foreign(dir) {
					l.warnings = append(l.warnings, fmt.Sprintf("the folder %s holds %s and no %s, and is not read; rename the file if it is meant for latchkey", dir, foreignName, FileName))
				}
				return dir
			}
		}
		return "config"
	}
	info, err := os.Stat(named.text)
	switch {
	case errors.Is(err, os.ErrNotExist):
		l.mistake(named.origin, "path.conf", fmt.Errorf("there is no folder %s", named.text))
	case err != nil:
		l.mistake(named.origin, "path.conf", err)
	case !info.IsDir():
		l.mistake(named.origin, "path.conf", fmt.Errorf("%s is a file; write the folder that holds %s", named.text, FileName))
	case foreign(named.text):
		l.mistake(named.origin, "path.conf", fmt.Errorf("%s holds %s and no %s; rename the file", named.text, foreignName, FileName))
	}
	return filepath.Clean(named.text)
}

// foreignName is the settings file of Elasticsearch.
const foreignName = "elasticsearch.yml"

// foreign reports whether dir holds settings for Elasticsearch and none for us.
// To go on without them would mean to run with the defaults and say nothing.
func foreign(dir string) bool {
	_, ours := os.Stat(filepath.Join(dir, FileName))
	_, theirs := os.Stat(filepath.Join(dir, foreignName))
	return errors.Is(ours, os.ErrNotExist) && theirs == nil
}
