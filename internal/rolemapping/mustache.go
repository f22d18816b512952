package rolemapping

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"latchkey/internal/xcontent"
)

// The part of Mustache that role templates use: {{name}}, {{{name}}} and {{&name}},
// sections {{#name}}, inverted sections {{^name}}, comments {{!...}}, dotted names,
// {{.}}, and {{#tojson}}name{{/tojson}}. Partials and other delimiters are refused.
// A template that a stranger wrote may nest sections over the many groups of a
// user, so both the work and the output of one evaluation are bounded.
const (
	maxTemplate = 64 << 10 // bytes of a template
	maxNesting  = 32       // sections inside of each other
	maxSteps    = 100_000  // parts that one evaluation writes or looks at
	maxOutput   = 1 << 20  // bytes that one evaluation writes
)

type partKind uint8

const (
	literal partKind = iota
	variable
	unescaped
	section
	inverted
	toJSON
)

type part struct {
	kind partKind
	text string // of a literal; else the name
	body []part
}

func parseMustache(s string) ([]part, error) {
	if len(s) > maxTemplate {
		return nil, fmt.Errorf("the template is longer than %d bytes", maxTemplate)
	}
	parts, rest, err := parseParts(s, "", 0)
	if err == nil && rest != "" {
		err = errors.New("a section is closed that was not opened")
	}
	return parts, err
}

// parseParts reads up to the end of the section called name, or of the template.
func parseParts(s, name string, depth int) (parts []part, rest string, err error) {
	if depth > maxNesting {
		return nil, "", fmt.Errorf("more than %d sections stand inside of each other", maxNesting)
	}
	for {
		before, after, found := strings.Cut(s, "{{")
		if before != "" {
			parts = append(parts, part{kind: literal, text: before})
		}
		if !found {
			if name != "" {
				return nil, "", fmt.Errorf("the section [%s] is not closed", shorten(name))
			}
			return parts, "", nil
		}
		end := "}}"
		if strings.HasPrefix(after, "{") {
			end = "}}}"
		}
		tag, next, found := strings.Cut(after, end)
		if !found {
			return nil, "", errors.New("a tag is not closed")
		}
		s = next
		mark := byte(0)
		if tag != "" {
			mark = tag[0]
		}
		word := strings.TrimSpace(strings.TrimLeft(tag, "{&#^/"))
		if mark != '!' && (word == "" || strings.ContainsAny(word, "{} \t\r\n")) {
			return nil, "", fmt.Errorf("the tag [%s] has no name", shorten(tag))
		}
		switch mark {
		case '!':
		case '>', '=', '<', '$':
			return nil, "", fmt.Errorf("the tag [%s] is not supported: there are no partials and no other delimiters", shorten(tag))
		case '/':
			if word != name {
				return nil, "", fmt.Errorf("the section [%s] is closed where [%s] is open", shorten(word), shorten(name))
			}
			return parts, s, nil
		case '{', '&':
			parts = append(parts, part{kind: unescaped, text: word})
		case '#', '^':
			p := part{kind: map[byte]partKind{'#': section, '^': inverted}[mark], text: word}
			if p.body, s, err = parseParts(s, word, depth+1); err != nil {
				return nil, "", err
			}
			if mark == '#' && strings.EqualFold(word, "tojson") {
				p.kind = toJSON
				if len(p.body) != 1 || p.body[0].kind != literal || strings.TrimSpace(p.body[0].text) == "" {
					return nil, "", errors.New("[tojson] must hold the name of one variable")
				}
				p.text = strings.TrimSpace(p.body[0].text)
			}
			parts = append(parts, p)
		default:
			parts = append(parts, part{kind: variable, text: word})
		}
	}
}

// render writes a template for a user, given as an object. With escape, what
// {{name}} writes suits the inside of a JSON string.
func render(parts []part, of xcontent.Value, escape bool) (string, error) {
	r := &renderer{escape: escape}
	if err := r.write(parts, []xcontent.Value{of}); err != nil {
		return "", err
	}
	return string(r.out), nil
}

type renderer struct {
	out    []byte
	steps  int
	escape bool
}

func (r *renderer) write(parts []part, scopes []xcontent.Value) error {
	for i := range parts {
		p := &parts[i]
		if r.steps++; r.steps > maxSteps || len(r.out) > maxOutput {
			return errors.New("the template writes too much")
		}
		switch p.kind {
		case literal:
			r.out = append(r.out, p.text...)
		case variable, unescaped:
			s := plain(find(p.text, scopes))
			if r.escape && p.kind == variable {
				quoted := textOf(s).JSON()
				s = string(quoted[1 : len(quoted)-1])
			}
			r.out = append(r.out, s...)
		case toJSON:
			r.out = find(p.text, scopes).AppendJSON(r.out)
		case inverted:
			if !truthy(find(p.text, scopes)) {
				if err := r.write(p.body, scopes); err != nil {
					return err
				}
			}
		case section:
			v := find(p.text, scopes)
			if !truthy(v) {
				continue
			}
			each := []xcontent.Value{v}
			if v.Kind == xcontent.Array {
				each = v.Items
			}
			for _, item := range each {
				if err := r.write(p.body, append(scopes[:len(scopes):len(scopes)], item)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// plain is a value inside of a text.
func plain(v xcontent.Value) string {
	switch v.Kind {
	case xcontent.Null:
		return ""
	case xcontent.Array, xcontent.Object:
		return string(v.JSON())
	}
	return v.Text
}

func truthy(v xcontent.Value) bool {
	switch v.Kind {
	case xcontent.Null:
		return false
	case xcontent.Bool:
		return v.Text == "true"
	case xcontent.Array:
		return len(v.Items) > 0
	}
	return true
}

// find looks for a name from the innermost scope outwards; what is nowhere is null.
func find(name string, scopes []xcontent.Value) xcontent.Value {
	if name == "." {
		return scopes[len(scopes)-1]
	}
	for i := len(scopes) - 1; i >= 0; i-- {
		if v, ok := inside(name, scopes[i]); ok {
			return v
		}
	}
	return xcontent.Value{}
}

// inside looks for a dotted name. A key may hold dots itself, and the longest key counts.
func inside(name string, v xcontent.Value) (xcontent.Value, bool) {
	for at := len(name); at > 0; at = strings.LastIndexByte(name[:at], '.') {
		inner, ok := v.Get(name[:at])
		if n, err := strconv.Atoi(name[:at]); !ok && err == nil && v.Kind == xcontent.Array && n >= 0 && n < len(v.Items) {
			inner, ok = v.Items[n], true
		}
		if !ok {
			continue
		}
		if at == len(name) {
			return inner, true
		}
		if found, ok := inside(name[at+1:], inner); ok {
			return found, true
		}
	}
	return xcontent.Value{}, false
}
