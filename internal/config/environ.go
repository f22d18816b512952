package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

const settingPrefix = "ES_SETTING_"

// environment reads the variables that mean settings: dotted names as they are,
// ES_SETTING_A_B__C (a.b_c), ELASTIC_PASSWORD, and the latter two with _FILE,
// which take the value from a file. A variable that is empty counts as not set, since that
// is what compose files make of one that nobody filled in.
func (l *loader) environment(environ []string) layer {
	out := layer{}
	folders := map[string]string{}
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		variable, text, _ := strings.Cut(pair, "=")
		if text == "" {
			continue
		}
		v := value{text: text, origin: "environment"}
		from := value{text: text, origin: "environment variable " + variable}
		rest, isSetting := strings.CutPrefix(variable, settingPrefix)
		switch {
		case variable == "LATCHKEY_PATH_CONF", variable == "ES_PATH_CONF":
			folders[variable] = text
		case variable == "ELASTIC_PASSWORD":
			l.add(out, "bootstrap.password", from)
		case variable == "ELASTIC_PASSWORD_FILE":
			l.addFile(out, "bootstrap.password", from)
		case isSetting && strings.HasSuffix(rest, "_FILE") && !strings.HasSuffix(rest, "__FILE"):
			l.addFile(out, settingName(strings.TrimSuffix(rest, "_FILE")), from)
		case isSetting:
			l.add(out, settingName(rest), from)
		case slices.Contains(ignoredVariables, variable):
			l.ignored = append(l.ignored, variable)
		case meantForUs(variable):
			l.add(out, variable, v)
		}
	}
	for _, variable := range []string{"LATCHKEY_PATH_CONF", "ES_PATH_CONF"} { // the first one wins
		if _, known := out["path.conf"]; !known && folders[variable] != "" {
			out["path.conf"] = value{text: folders[variable], origin: "environment variable " + variable}
		}
	}
	return out
}

// settingName turns A_B__C into a.b_c.
func settingName(s string) string {
	words := strings.Split(strings.ToLower(s), "__")
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, "_", ".")
	}
	return strings.Join(words, "_")
}

// meantForUs reports whether a variable is a setting by its dotted name, or a
// failed attempt at one of ours.
func meantForUs(variable string) bool {
	if !strings.Contains(variable, ".") {
		return false
	}
	s, _ := find(variable)
	return s != nil || isIgnored(variable) || slices.ContainsFunc(firstParts, func(first string) bool { return strings.HasPrefix(variable, first) })
}

// addFile adds the content of the file that v names, without the line's end.
func (l *loader) addFile(to layer, name string, v value) {
	content, err := os.ReadFile(v.text)
	if err != nil {
		if p, ok := errors.AsType[*os.PathError](err); ok {
			err = p.Err
		}
		l.mistake(v.origin, name, fmt.Errorf("the file %s cannot be read: %w", v.text, err))
		return
	}
	v.text = strings.TrimRight(string(content), "\r\n")
	if v.text == "" {
		l.mistake(v.origin, name, errors.New("the file is empty"))
		return
	}
	l.add(to, name, v)
}
