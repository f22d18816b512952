package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v3"
)

// deepest is how far a settings file may be nested; an alias to itself is
// deeper. Most is how many values it may hold once its aliases are followed.
const deepest, most = 32, 10_000

// file reads the settings file of dir; a missing one gives nothing. Nested and
// dotted names meet: "a: {b.c: 1}" is "a.b.c: 1".
func (l *loader) file(dir string) layer {
	out := layer{}
	path := filepath.Join(dir, FileName)
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return out
	}
	if err != nil {
		l.mistakes = append(l.mistakes, fmt.Sprintf("the settings file cannot be read: %v", err))
		return out
	}
	l.read = path
	var doc, another yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	if err := decoder.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) {
			l.mistakes = append(l.mistakes, fmt.Sprintf("%s is no YAML: %s", path, strings.TrimPrefix(err.Error(), "yaml: ")))
		}
		return out
	}
	if err := decoder.Decode(&another); !errors.Is(err, io.EOF) {
		l.mistakes = append(l.mistakes, path+": holds more than one YAML document; keep one")
		return out
	}
	l.flatten(out, path, "", doc.Content[0], 0)
	if v, ok := out["path.conf"]; ok {
		l.mistake(v.origin, "path.conf", errors.New("cannot stand in the file that it leads to; use --config or LATCHKEY_PATH_CONF"))
	}
	return out
}

// flatten adds the settings below n, whose names begin with prefix.
func (l *loader) flatten(out layer, path, prefix string, n *yaml.Node, depth int) {
	origin := fmt.Sprintf("%s:%d", path, n.Line)
	if l.nodes++; depth > deepest || l.nodes > most {
		if !l.stopped {
			l.stopped = true
			l.mistakes = append(l.mistakes, origin+": is nested too deeply, or repeats its aliases too often")
		}
		return
	}
	name := strings.TrimSuffix(prefix, ".")
	switch {
	case n.Kind == yaml.AliasNode:
		l.flatten(out, path, prefix, n.Alias, depth+1)
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, below := n.Content[i], n.Content[i+1]
			if key.Kind != yaml.ScalarNode || key.Value == "<<" {
				l.mistakes = append(l.mistakes, fmt.Sprintf("%s:%d: a name of a setting is a plain text", path, key.Line))
				continue
			}
			l.flatten(out, path, prefix+key.Value+".", below, depth+1)
		}
	case prefix == "" && n.Tag == "!!null": // a file of comments
	case prefix == "":
		l.mistakes = append(l.mistakes, origin+": expected settings, as in cluster.name: latchkey")
	case n.Kind == yaml.SequenceNode:
		v := value{isList: true, origin: origin}
		for _, item := range n.Content {
			if item.Kind == yaml.AliasNode {
				item = item.Alias
			}
			l.nodes++
			if item.Kind != yaml.ScalarNode {
				l.mistake(origin, name, errors.New("a list holds plain values only"))
				return
			}
			v.items = append(v.items, item.Value)
		}
		l.add(out, name, v)
	case n.Tag == "!!null": // "name:" and nothing behind it
		l.add(out, name, value{origin: origin})
	default:
		l.add(out, name, value{text: n.Value, origin: origin})
	}
}
