package xcontent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"latchkey/internal/fault"
)

// ParseYAML reads exactly one YAML document. Aliases and merge keys are
// refused: nobody needs them here, and they multiply. The error is fault.Malformed.
func ParseYAML(data []byte) (Value, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return Value{}, badYAML(1, 1, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Value{}, badYAML(1, 1, "there is more than one document")
	}
	return fromYAML(doc.Content[0], 0)
}

func badYAML(line, col int, why string) error {
	return fault.New(fault.Malformed, "[%d:%d] the body is not valid YAML: %s", line, col, why)
}

func fromYAML(n *yaml.Node, depth int) (Value, error) {
	v := Value{Line: n.Line, Col: n.Column}
	if depth > maxDepth {
		return v, badYAML(n.Line, n.Column, fmt.Sprintf("it nests deeper than %d levels", maxDepth))
	}
	switch n.Kind {
	case yaml.MappingNode:
		v.Kind = Object
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" {
				return v, badYAML(k.Line, k.Column, "a field name must be a plain scalar")
			}
			if seen[k.Value] {
				return v, badYAML(k.Line, k.Column, "duplicate field ["+k.Value+"]")
			}
			seen[k.Value] = true
			e, err := fromYAML(n.Content[i+1], depth+1)
			if err != nil {
				return v, err
			}
			v.Members = append(v.Members, Member{k.Value, k.Line, k.Column, e})
		}
	case yaml.SequenceNode:
		v.Kind = Array
		for _, c := range n.Content {
			e, err := fromYAML(c, depth+1)
			if err != nil {
				return v, err
			}
			v.Items = append(v.Items, e)
		}
	case yaml.ScalarNode:
		return yamlScalar(n, v)
	default:
		return v, badYAML(n.Line, n.Column, "aliases are not supported")
	}
	return v, nil
}

func yamlScalar(n *yaml.Node, v Value) (Value, error) {
	switch n.Tag {
	case "!!null":
		v.Kind = Null
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return v, badYAML(n.Line, n.Column, "not a boolean")
		}
		v.Kind, v.Text = Bool, strconv.FormatBool(b)
	case "!!int", "!!float":
		v.Kind, v.Text = Number, n.Value
		if json.Valid([]byte(n.Value)) {
			return v, nil
		}
		var x any // hexadecimal, octal, .5 and the like
		if err := n.Decode(&x); err != nil {
			return v, badYAML(n.Line, n.Column, "not a number")
		}
		b, err := json.Marshal(x)
		if err != nil {
			return v, badYAML(n.Line, n.Column, "not a finite number")
		}
		v.Text = string(b)
	default:
		v.Kind, v.Text = String, n.Value
	}
	return v, nil
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
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: style}
}
