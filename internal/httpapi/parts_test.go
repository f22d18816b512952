package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

func TestParseMediaType(t *testing.T) {
	tests := []struct {
		in   string
		want mediaType
		ok   bool
	}{
		{"application/json", mediaType{format: jsonFormat}, true},
		{"Application/JSON;Charset=UTF-8", mediaType{format: jsonFormat}, true},
		{`application/json; charset="utf-8"`, mediaType{format: jsonFormat}, true},
		{"application/json; charset=latin1", mediaType{}, true},
		{"application/json;   x=y", mediaType{format: jsonFormat}, true},
		{"application/json; compatible-with=3", mediaType{format: jsonFormat}, true},
		{"application/vnd.elasticsearch+json", mediaType{jsonFormat, true, ""}, true},
		{"application/vnd.elasticsearch+json;compatible-with=8", mediaType{jsonFormat, true, "8"}, true},
		{"APPLICATION/vnd.elasticsearch+YAML;    compatible-with=7", mediaType{yamlFormat, true, "7"}, true},
		{"application/vnd.elasticsearch+smile; compatible-with=12", mediaType{noFormat, true, "12"}, true},
		{"text/json", mediaType{}, true},
		{"*/*", mediaType{}, true},
		{"", mediaType{}, false},
		{"json", mediaType{}, false},
		{"application/", mediaType{}, false},
		{"application/js on", mediaType{}, false},
		{"application/json/x", mediaType{}, false},
		{"application/json; charset", mediaType{}, false},
		{"application/json; charset = utf-8", mediaType{}, false},
		{"application/json; charset= utf-8", mediaType{}, false},
		{"application/json, text/plain", mediaType{}, false},
	}
	for _, tt := range tests {
		if got, ok := parseMediaType(tt.in); got != tt.want || ok != tt.ok {
			t.Errorf("parseMediaType(%q) = %+v, %v; want %+v, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzParseMediaType(f *testing.F) {
	for _, s := range []string{"application/json", "application/vnd.elasticsearch+json; compatible-with=9", "a/b;c=d;;e", ";", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, ok := parseMediaType(s)
		if !ok && m != (mediaType{}) {
			t.Errorf("parseMediaType(%q) refuses and returns %+v", s, m)
		}
		if n := negotiate(http.Header{"Accept": {s}, "Content-Type": {s}}); n.check(true) == nil && contentTypes[n.answer("", true)] == nil {
			t.Errorf("%q is accepted and has no response type", s)
		}
	})
}

func TestNegotiation(t *testing.T) {
	const v8, v9 = "application/vnd.elasticsearch+json;compatible-with=8", "application/vnd.elasticsearch+json;compatible-with=9"
	tests := []struct {
		name            string
		accept, content []string
		hasBody         bool
		ok              bool
		want            string // the response's type
	}{
		{"nothing is said", nil, nil, true, true, "application/json"},
		{"the body's type counts without Accept", nil, []string{v9}, true, true, v9},
		{"it does not count without a body", nil, []string{v9}, false, true, "application/json"},
		{"a bad version without a body is ignored", nil, []string{"application/vnd.elasticsearch+json;compatible-with=6"}, false, true, "application/json"},
		{"a bad version with a body", nil, []string{"application/vnd.elasticsearch+json;compatible-with=6"}, true, false, ""},
		{"versions differ", []string{v8}, []string{v9}, true, false, ""},
		{"versions differ, but there is no body", []string{v8}, []string{v9}, false, true, v8},
		{"only one is versioned", []string{"application/json"}, []string{v9}, true, false, ""},
		{"Accept is a range", []string{"*/*"}, []string{v9}, true, true, v9},
		{"Accept is a list", []string{v8 + ", text/plain"}, []string{v9}, true, true, v9},
		{"Accept is of another kind", []string{"text/html"}, []string{v9}, true, true, "application/json"},
		{"Accept is sent twice", []string{v9, v9}, nil, false, false, ""},
		{"Accept is empty", []string{""}, nil, false, false, ""},
		{"a vendored type without version", []string{"application/vnd.elasticsearch+json"}, nil, false, true, "application/vnd.elasticsearch+json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			if tt.accept != nil {
				h["Accept"] = tt.accept
			}
			if tt.content != nil {
				h["Content-Type"] = tt.content
			}
			n := negotiate(h)
			if err := n.check(tt.hasBody); (err == nil) != tt.ok {
				t.Fatalf("check = %v; want ok %v", err, tt.ok)
			}
			if !tt.ok {
				return
			}
			if got := contentTypes[n.answer("", tt.hasBody)]; !slices.Equal(got, []string{tt.want}) {
				t.Errorf("answer = %q; want %q", got, tt.want)
			}
		})
	}
}

func TestRouter(t *testing.T) {
	var rt router
	for _, p := range []string{"GET /", "GET /user", "GET /user/{name}", "PUT /user/{name}", "PUT /user/{name}/_enable", "GET /user/_privileges",
		"POST /user/_password", "POST /user/{name}/_password", "GET /{any}/x", "GET /{any}/_unbuilt"} {
		rt.add(&route{pattern: p})
	}
	rt.reserve("/user/_unbuilt")
	rt.reserve("/user/{name}/_unbuilt")
	tests := []struct {
		method, url string
		pattern     string
		wild        []string
	}{
		{"GET", "/", "GET /", nil},
		{"GET", "/user", "GET /user", nil},
		{"GET", "/user/", "GET /user", nil},
		{"GET", "/user/joe", "GET /user/{name}", []string{"joe"}},
		{"GET", "/user/joe/", "GET /user/{name}", []string{"joe"}},
		{"GET", "/user/_privileges", "GET /user/_privileges", nil},
		{"PUT", "/user/_privileges", "", nil}, // the literal has no PUT, and nobody can be called like it
		{"PUT", "/user/%5Fprivileges", "", nil},
		{"PUT", "/user/_privileges/_enable", "PUT /user/{name}/_enable", []string{"_privileges"}}, // no literal leads there
		{"GET", "/user/_unbuilt", "", nil},
		{"GET", "/user/joe/_unbuilt", "", nil},
		{"POST", "/user/_password", "POST /user/_password", nil},
		{"POST", "/user/_password/_password", "POST /user/{name}/_password", []string{"_password"}},
		{"GET", "/user/x", "GET /user/{name}", []string{"x"}},
		{"GET", "/users/x", "GET /{any}/x", []string{"users"}},
		{"GET", "/user/a%2Fb", "GET /user/{name}", []string{"a/b"}},
		{"GET", "/user/a%2Fb/", "GET /user/{name}", []string{"a/b"}},
		{"GET", "/user/a+b%20c%2B", "GET /user/{name}", []string{"a+b c+"}},
		{"PUT", "/user/%2F/_enable", "PUT /user/{name}/_enable", []string{"/"}},
		{"GET", "/user//", "", nil},
		{"GET", "/user/joe//", "", nil},
		{"GET", "//user", "", nil},
		{"GET", "/user/joe/x", "", nil},
		{"DELETE", "/user", "", nil},
		{"GET", "/%75ser/%5Fprivileges", "GET /user/_privileges", nil},
	}
	for _, tt := range tests {
		u, err := url.ParseRequestURI(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		r, wild := rt.find(tt.method, u)
		pattern := ""
		if r != nil {
			pattern = r.pattern
		}
		if pattern != tt.pattern || r != nil && !slices.Equal(wild, tt.wild) {
			t.Errorf("find(%s %s) = %q %q; want %q %q", tt.method, tt.url, pattern, wild, tt.pattern, tt.wild)
		}
	}
	for path, want := range map[string][]string{
		"/user/_privileges": {"GET"}, // not the wildcard's PUT
		"/user/joe":         {"GET", "PUT"},
		"/user/_unbuilt":    nil,
		"/user/joe/x":       nil,
	} {
		if got := rt.allowed(&url.URL{Path: path}); !slices.Equal(got, want) {
			t.Errorf("allowed(%s) = %v; want %v", path, got, want)
		}
	}
}

func TestQuery(t *testing.T) {
	q, err := parseQuery("a=1&b=x+y%26&a=2&flag&no=false&t=30s&list=x,,y&&")
	if err != nil {
		t.Fatal(err)
	}
	if q.String("a") != "2" || q.String("b") != "x y&" || !q.Bool("flag") || q.BoolOr("no", true) || !q.BoolOr("absent", true) ||
		q.Duration("t", 0) != 30*time.Second || q.Duration("u", 7) != 7 || !slices.Equal(q.List("list"), []string{"x", "y"}) || q.err != nil {
		t.Errorf("misread: %+v", q)
	}
	if err := q.leftover("/"); err != nil {
		t.Errorf("leftover = %v; want none", err)
	}
	for raw, read := range map[string]func(*query){
		"x=TRUE": func(q *query) { q.Bool("x") },
		"x=1":    func(q *query) { q.Bool("x") },
		"t=30":   func(q *query) { q.Duration("t", 0) },
		"r=yes":  func(q *query) { q.OneOf("r", "no") },
	} {
		q, err := parseQuery(raw)
		if err != nil {
			t.Fatal(err)
		}
		if read(&q); fault.KindOf(q.err) != fault.Argument {
			t.Errorf("%s: err = %v; want fault.Argument", raw, q.err)
		}
	}
	q, _ = parseQuery("refresh=maybe")
	q.Refresh()
	if want := "parameter [refresh] must be one of [true, false, wait_for], but is [maybe]"; q.err == nil || q.err.Error() != want {
		t.Errorf("err = %v; want %s", q.err, want)
	}
	for _, raw := range []string{"a=%", "%zz=1", manyParams()} {
		if _, err := parseQuery(raw); err == nil {
			t.Errorf("parseQuery(%.20q) takes it", raw)
		}
	}
	q, _ = parseQuery("refresh=&owner=1")
	if q.Refresh(); q.err != nil {
		t.Errorf("an empty refresh is refused: %v", q.err)
	}
}

func manyParams() string {
	var b strings.Builder
	for i := range maxParams + 1 {
		b.WriteString("&" + strings.Repeat("x", i+1))
	}
	return b.String()
}

func TestFilterPath(t *testing.T) {
	const doc = `{"a":{"b":1,"c":[{"d":2,"e":3},{"e":4}],"x.y":5},"list":[1,2],"empty":{},"abc":{"d":6}}`
	tests := []struct{ path, want string }{
		{"a.b", `{"a":{"b":1}}`},
		{"a.c.d", `{"a":{"c":[{"d":2}]}}`},
		{"a.c", `{"a":{"c":[{"d":2,"e":3},{"e":4}]}}`},
		{`a.x\.y`, `{"a":{"x.y":5}}`},
		{"a.x.y", `{}`},
		{"list", `{"list":[1,2]}`},
		{"empty", `{"empty":{}}`},
		{"empty.x", `{}`},
		{"*.d", `{"abc":{"d":6}}`},
		{"**.d", `{"a":{"c":[{"d":2}]},"abc":{"d":6}}`},
		{"a.**", `{"a":{"b":1,"c":[{"d":2,"e":3},{"e":4}],"x.y":5}}`},
		{"**.**.e", `{"a":{"c":[{"e":3},{"e":4}]}}`},
		{"a*c.d", `{"abc":{"d":6}}`},
		{"*b*.*", `{"abc":{"d":6}}`},
		{"-a,-abc", `{"list":[1,2],"empty":{}}`},
		{"-**.d,-list", `{"a":{"b":1,"c":[{"e":3},{"e":4}],"x.y":5},"empty":{}}`},
		{"a,-a.c", `{"a":{"b":1,"x.y":5}}`},
		{"a.b,-a", `{}`},
		{"-*", `{}`},
		{"-list,", `{"a":{"b":1,"c":[{"d":2,"e":3},{"e":4}],"x.y":5},"empty":{},"abc":{"d":6}}`},
	}
	for _, tt := range tests {
		v, err := xcontent.ParseJSON([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		f, err := parseFilter(tt.path)
		if err != nil {
			t.Fatal(err)
		}
		left, err := f.apply(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(left.JSON()); got != tt.want {
			t.Errorf("filter_path=%s: %s; want %s", tt.path, got, tt.want)
		}
	}
}

func TestFilterPathIsBounded(t *testing.T) {
	paths := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("," + strings.Repeat("a", i))
		}
		return b.String()
	}
	tests := []struct {
		name, path string
		ok         bool
	}{
		{"64 paths", paths(65), true}, // the first is empty
		{"65 paths", paths(66), false},
		{"one path again and again", strings.Repeat("a,-b,", 1000), true},
		{"256 names", "-" + strings.Repeat("a.", 255) + "a", true},
		{"257 names, in paths of both kinds", "b,-" + strings.Repeat("a.", 255) + "a", false},
		{"** again and again is one", strings.Repeat("**.", 1000) + "a", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseFilter(tt.path); (err == nil) != tt.ok || !tt.ok && fault.KindOf(err) != fault.Argument {
				t.Errorf("err = %v; want ok %v, else fault.Argument", err, tt.ok)
			}
		})
	}
}

func TestFilterPathStopsWithItsRequest(t *testing.T) {
	long := xcontent.Value{Kind: xcontent.Array, Items: make([]xcontent.Value, 5000)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{"a", "-a"} {
		f, err := parseFilter(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.apply(ctx, long); !errors.Is(err, context.Canceled) {
			t.Errorf("filter_path=%s: err = %v; want context.Canceled", path, err)
		}
	}
}

func FuzzFilterPath(f *testing.F) {
	for _, s := range []string{"a.b", "**.x", "-a,*b*.c", `a\.b`, "**.**.a.**", "-,"} {
		f.Add(s)
	}
	v, err := xcontent.ParseJSON([]byte(`{"a":{"b":[{"a":{"b":1}}],"c":{}},"b":[]}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		f, err := parseFilter(s)
		if err != nil {
			if fault.KindOf(err) != fault.Argument {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		out, err := f.apply(t.Context(), v)
		if err != nil || len(out.JSON()) > len(v.JSON()) {
			t.Errorf("%q makes it longer: %s, %v", s, out.JSON(), err)
		}
	})
}

// root_cause is the innermost typed cause of a body that does not parse, else
// the error itself, and never has a cause of its own.
func TestErrorBody(t *testing.T) {
	s := New(Options{}, Services{})
	inner := fault.New(fault.Structure, "failed to parse role [x]")
	several := fault.New(fault.Unauthenticated, "no")
	several.Fields = []fault.Field{{Name: "additional_unsuccessful_credentials", Value: []string{"API key: a", "token: b"}}}
	several.Challenges = []string{"Basic"}
	parsing := fault.New(fault.Parsing, "unknown query [x]")
	parsing.Fields = []fault.Field{{Name: "line", Value: 1}, {Name: "col", Value: 7}}
	off := fault.New(fault.Disabled, "API keys are off")
	off.Fields = []fault.Field{{Name: "disabled.feature", Value: "api_keys"}}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"a body with a typed cause", fault.New(fault.Malformed, "[1:2] [p] failed to parse field [f]").Because(inner),
			`{"error":{"root_cause":[{"type":"parse_exception","reason":"failed to parse role [x]"}],"type":"x_content_parse_exception","reason":"[1:2] [p] failed to parse field [f]","caused_by":{"type":"parse_exception","reason":"failed to parse role [x]"}},"status":400}`},
		{"another failure with a cause", fault.New(fault.Forbidden, "no").Because(fault.New(fault.Restricted, "only search")),
			`{"error":{"root_cause":[{"type":"security_exception","reason":"no"}],"type":"security_exception","reason":"no","caused_by":{"type":"role_restriction_exception","reason":"only search"}},"status":403}`},
		{"several credentials, and challenges of its own", several,
			`{"error":{"root_cause":[{"type":"security_exception","reason":"no","additional_unsuccessful_credentials":["API key: a","token: b"],"header":{"WWW-Authenticate":"Basic realm=\"security\", charset=\"UTF-8\""}}],"type":"security_exception","reason":"no","additional_unsuccessful_credentials":["API key: a","token: b"],"header":{"WWW-Authenticate":"Basic realm=\"security\", charset=\"UTF-8\""}},"status":401}`},
		{"line and column are numbers", parsing,
			`{"error":{"root_cause":[{"type":"parsing_exception","reason":"unknown query [x]","line":1,"col":7}],"type":"parsing_exception","reason":"unknown query [x]","line":1,"col":7},"status":400}`},
		{"a feature that is off", off,
			`{"error":{"root_cause":[{"type":"feature_not_enabled_exception","reason":"API keys are off","disabled.feature":"api_keys"}],"type":"feature_not_enabled_exception","reason":"API keys are off","disabled.feature":"api_keys"},"status":400}`},
		{"an Internal fault", fault.New(fault.Internal, "secret"),
			`{"error":{"root_cause":[{"type":"exception","reason":"internal error; the cause is in the log of the server"}],"type":"exception","reason":"internal error; the cause is in the log of the server"},"status":500}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(s.failureOf(tt.err, false).body(true, "").JSON()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A kind that nobody mapped would leave as status 0.
func TestEveryKindHasAStatus(t *testing.T) {
	for k := fault.Internal; k <= fault.Unknown; k++ {
		if on, known := failures[k]; !known || on.status < 400 || on.typ == "" {
			t.Errorf("kind %d is %+v", k, on)
		}
	}
}

func TestNodesArrived(t *testing.T) {
	for s, want := range map[string]bool{"": true, "1": true, "2": false, ">=1": true, "<=3": true, ">1": false, "<2": true, "ge(1)": true, "le(0)": false, "gt(0)": true, "lt(1)": false} {
		if got, err := nodesArrived(s); err != nil || got != want {
			t.Errorf("nodesArrived(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"x", ">=", "ge(1", "-1", "1 2"} {
		if _, err := nodesArrived(s); fault.KindOf(err) != fault.Argument {
			t.Errorf("nodesArrived(%q) = %v; want fault.Argument", s, err)
		}
	}
}
