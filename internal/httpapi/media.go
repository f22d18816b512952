package httpapi

import (
	"net/http"
	"slices"
	"strings"
)

// format is how a body is written. The zero value is none that we know.
type format uint8

const (
	noFormat format = iota
	jsonFormat
	yamlFormat
	cborFormat
)

// mediaType is what an Accept or Content-Type header asks for.
type mediaType struct {
	format   format
	vendored bool   // application/vnd.elasticsearch+...
	version  string // of compatible-with, on vendored types; "" if absent
}

// compatible lists the generations of clients whose headers are understood.
var compatible = []string{"7", "8", "9"}

var formats = map[string]format{"json": jsonFormat, "yaml": yamlFormat, "cbor": cborFormat}

// contentTypes holds the response header of every type that can be answered, so
// that a request does not have to build it.
var contentTypes = func() map[mediaType][]string {
	m := map[mediaType][]string{}
	for name, f := range formats {
		m[mediaType{format: f}] = []string{"application/" + name}
		m[mediaType{format: f, vendored: true}] = []string{"application/vnd.elasticsearch+" + name}
		for _, v := range compatible {
			m[mediaType{f, true, v}] = []string{"application/vnd.elasticsearch+" + name + ";compatible-with=" + v}
		}
	}
	return m
}()

// usual holds the spellings that the official clients send.
var usual = func() map[string]mediaType {
	m := map[string]mediaType{}
	for t, header := range contentTypes {
		m[header[0]] = t
		m[strings.Replace(header[0], ";", "; ", 1)] = t
	}
	return m
}()

// parseMediaType reads a media type. A type that is well-formed and not ours
// has no format; ok is false for what is not a media type at all.
func parseMediaType(s string) (t mediaType, ok bool) {
	if t, ok := usual[s]; ok {
		return t, true
	}
	parts := strings.Split(strings.ToLower(s), ";")
	kind, sub, slash := strings.Cut(strings.Trim(parts[0], " \t"), "/")
	if !slash || !isToken(kind) || !isToken(sub) {
		return mediaType{}, false
	}
	if kind == "application" {
		sub, t.vendored = strings.CutPrefix(sub, "vnd.elasticsearch+")
		t.format = formats[sub]
	}
	for _, p := range parts[1:] {
		if p = strings.Trim(p, " \t"); p == "" {
			continue
		}
		name, value, eq := strings.Cut(p, "=")
		if !eq || !isToken(name) || value == "" || strings.ContainsAny(value, " \t") {
			return mediaType{}, false
		}
		switch {
		case name == "compatible-with" && t.vendored:
			t.version = value
		case name == "charset" && strings.Trim(value, `"`) != "utf-8":
			t.format = noFormat
		}
	}
	return t, true
}

// isToken reports whether s is a token of RFC 9110.
func isToken(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

// negotiation is what the headers say about the bodies of both directions.
type negotiation struct {
	accept, content       mediaType
	hasAccept, hasContent bool // the header is there and counts
	malformed             []string
}

func negotiate(h http.Header) negotiation {
	var n negotiation
	read := func(name string) (t mediaType, counts bool) {
		values := h[name]
		if len(values) == 0 {
			return mediaType{}, false
		}
		if len(values) > 1 {
			n.malformed = append(n.malformed, name)
			return mediaType{}, false
		}
		if name == "Accept" && (values[0] == "*/*" || strings.Contains(values[0], ",")) {
			return mediaType{}, false
		}
		t, ok := parseMediaType(values[0])
		if !ok {
			n.malformed = append(n.malformed, name)
		}
		return t, ok
	}
	n.accept, n.hasAccept = read("Accept")
	n.content, n.hasContent = read("Content-Type")
	return n
}

// check refuses headers that contradict themselves, each other or us.
func (n *negotiation) check(hasBody bool) error {
	if len(n.malformed) > 0 {
		return badMediaType(n.malformed, "a media type is written type/subtype, then parameters as ;name=value, and is sent once")
	}
	var names, versions []string
	if n.hasAccept && !n.accept.understood() {
		names, versions = append(names, "Accept"), append(versions, n.accept.version)
	}
	if hasBody && n.hasContent && !n.content.understood() {
		names, versions = append(names, "Content-Type"), append(versions, n.content.version)
	}
	if len(names) > 0 {
		return badMediaType(names, "compatible-with is "+strings.Join(slices.Compact(versions), " and ")+", and must be "+strings.Join(compatible, ", "))
	}
	both := hasBody && n.hasAccept && n.hasContent && n.accept.format != noFormat && n.content.format != noFormat
	if both && n.accept.version != n.content.version {
		return badMediaType([]string{"Accept", "Content-Type"}, "compatible-with must be the same in both headers")
	}
	return nil
}

func (t mediaType) understood() bool {
	return t.version == "" || slices.Contains(compatible, t.version)
}

func badMediaType(headers []string, detail string) error {
	return &failure{status: http.StatusBadRequest, typ: "media_type_header_exception", reason: "the media type in [" + strings.Join(headers, ", ") + "] cannot be used",
		cause: &failure{typ: "status_exception", reason: detail}}
}

// unsupported refuses a body of a type that is not read here. What a browser's
// form can send is among them, so no foreign page can make a request.
func (n *negotiation) unsupported(raw []string) error {
	switch {
	case !n.hasContent:
		return stringFailure(http.StatusNotAcceptable, "a request with a body needs a Content-Type header, and it is missing")
	case n.content.format == noFormat:
		return stringFailure(http.StatusNotAcceptable, "Content-Type ["+raw[0]+"] is not supported for this request")
	default:
		return nil
	}
}

// answer chooses the type of the response: the parameter format, else Accept,
// else the type of the request's body, else JSON (spec/http.md 6).
func (n *negotiation) answer(param string, hasBody bool) mediaType {
	switch {
	case param != "":
		t := mediaType{format: formats[strings.TrimPrefix(param, "application/")]}
		if n.accept.format == t.format {
			t = n.accept // it may say the same with a version
		}
		if t.format != noFormat && t.understood() {
			return t
		}
	case n.hasAccept:
		if n.accept.format != noFormat && n.accept.understood() {
			return n.accept
		}
	case hasBody && n.content.format != noFormat && n.content.understood():
		return n.content
	}
	return mediaType{format: jsonFormat}
}
