package xcontent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"latchkey/internal/fault"
)

// ParseYAML reads exactly one YAML document that a stranger sent, within the
// bounds of [ParseJSON]. Aliases and merge keys are refused: nobody needs them
// here, and they multiply. So are tags other than those of JSON's types. The
// error is fault.Malformed.
func ParseYAML(data []byte) (Value, error) {
	if marks(data) > maxMarks {
		return Value{}, fault.New(fault.Malformed, "[1:1] the body has more than %d separators, so it may hold too many values", maxMarks)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return Value{}, badYAML(1, 1, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Value{}, badYAML(1, 1, "there is more than one document")
	}
	p := yamlParser{strangers()}
	return p.value(doc.Content[0], 0)
}

// maxMarks bounds the tree that the library builds before we see any of it: of
// one mark come at most three nodes, and its nodes are twice as large as ours.
const maxMarks = maxValues / 2

// marks counts the bytes of which one has to stand before every node but the first.
func marks(data []byte) (n int) {
	for _, mark := range []string{",", "[", "{", ":", "-", "?", "\n", "\r"} {
		n += bytes.Count(data, []byte(mark))
	}
	return n
}

func badYAML(line, col int, why string) error {
	return fault.New(fault.Malformed, "[%d:%d] the body is not valid YAML: %s", line, col, why)
}

type yamlParser struct{ bounds bounds }

func (p *yamlParser) value(n *yaml.Node, depth int) (Value, error) {
	v := Value{Line: int32(n.Line), Col: int32(n.Column), Kind: yamlKinds[n.Kind]}
	if n.Kind == yaml.AliasNode {
		return v, badYAML(n.Line, n.Column, "aliases are not supported")
	}
	if why := p.bounds.take(v.Kind, depth); why != "" {
		return v, fault.New(fault.Malformed, "[%d:%d] %s", n.Line, n.Column, why)
	}
	if want := map[Kind]string{Array: "!!seq", Object: "!!map"}[v.Kind]; want != "" && n.Tag != want {
		return v, badYAML(n.Line, n.Column, "the tag ["+n.Tag+"] is not supported here")
	}
	switch v.Kind {
	case Object:
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" || tagged(k) && k.Tag != "!!str" {
				return v, badYAML(k.Line, k.Column, "a field name must be a plain scalar")
			}
			if seen[k.Value] {
				return v, badYAML(k.Line, k.Column, "duplicate field ["+k.Value+"]")
			}
			seen[k.Value] = true
			e, err := p.value(n.Content[i+1], depth+1)
			if err != nil {
				return v, err
			}
			v.Members = append(v.Members, Member{k.Value, int32(k.Line), int32(k.Column), e})
		}
	case Array:
		for _, c := range n.Content {
			e, err := p.value(c, depth+1)
			if err != nil {
				return v, err
			}
			v.Items = append(v.Items, e)
		}
	default:
		return yamlScalar(n, v)
	}
	return v, nil
}

// yamlKinds leaves scalars out.
var yamlKinds = map[yaml.Kind]Kind{yaml.MappingNode: Object, yaml.SequenceNode: Array}

// tagged reports whether the tag of n was written, so that its text need not suit it.
func tagged(n *yaml.Node) bool { return n.Style&yaml.TaggedStyle != 0 }

func yamlScalar(n *yaml.Node, v Value) (Value, error) {
	bad := func(why string) (Value, error) { return v, badYAML(n.Line, n.Column, why) }
	v.Text = n.Value
	switch n.Tag {
	case "!!null":
		v.Text = ""
		if !slices.Contains([]string{"", "~", "null", "Null", "NULL"}, n.Value) {
			return bad("not null")
		}
	case "!!bool":
		v.Kind, v.Text = Bool, strings.ToLower(n.Value)
		if v.Text != "true" && v.Text != "false" {
			return bad("not a boolean")
		}
	case "!!int", "!!float":
		v.Kind = Number
		if isNumber(n.Value) {
			return v, nil
		}
		var x any // hexadecimal, octal, .5 and the like
		if err := n.Decode(&x); err != nil {
			return bad("not a number")
		}
		switch x := x.(type) {
		case int, int64, uint64:
			v.Text = fmt.Sprint(x)
		case float64:
			if math.IsInf(x, 0) || math.IsNaN(x) {
				return bad("not a finite number")
			}
			v.Text = strconv.FormatFloat(x, 'g', -1, 64)
		default:
			return bad("not a number")
		}
	case "!!str", "!!timestamp", "!!binary":
		v.Kind = String
		if n.Style == 0 && isNumber(n.Value) {
			v.Kind = Number // one beyond all that the library can count
		}
	default:
		if tagged(n) {
			return bad("the tag [" + n.Tag + "] is not supported here")
		}
		v.Kind = String // << is only a name that is special
	}
	return v, nil
}

// isNumber reports whether s is a number of JSON, and nothing around it.
func isNumber(s string) bool {
	return s != "" && strings.IndexByte("-0123456789", s[0]) >= 0 && '0' <= s[len(s)-1] && s[len(s)-1] <= '9' && json.Valid([]byte(s))
}

// YAML returns v as a YAML document.
func (v Value) YAML() ([]byte, error) {
	out := bytes.NewBufferString("---\n")
	enc := yaml.NewEncoder(out)
	enc.SetIndent(2)
	if err := enc.Encode(v.yamlNode()); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}

func (v Value) yamlNode() *yaml.Node {
	switch v.Kind {
	case Object:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, m := range v.Members {
			n.Content = append(n.Content, yamlString(m.Name, 0), m.Value.yamlNode())
		}
		return n
	case Array:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, e := range v.Items {
			n.Content = append(n.Content, e.yamlNode())
		}
		return n
	case String:
		return yamlString(v.Text, yaml.DoubleQuotedStyle)
	case Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: v.Text}
	case Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.Text}
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	}
}

func yamlString(s string, style yaml.Style) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: valid(s), Style: style}
}
