package httpapi

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// TestWire replays testdata/wire/*.txtar, each file into a server of its own
// and over one connection. A file opens with a sentence that says what it
// shows, with the tag of a statement (HT-4) where it proves one. The server
// knows the users of [newServices], and in the files http_* their first key; in the
// files anonymous_*, requests without a credential have the roles own and tokens;
// in the files policy_*, keys have to keep those of [policies].
// Then requests and responses take turns, in sections of these names. The clock of
// the tokens goes on by itself, and by 31s at an empty section "31s later".
//
// A request is what goes over the wire: "METHOD /path?query", header lines, an
// empty line, the body. Host and Content-Length are added, and Content-Type:
// application/json to a body without one; the line "!Content-Type" leaves it
// out. {{name}} stands for what an earlier response bound, and {{base64 text}}
// for the Base64 of text, in which <name> stands for a bound value:
//
//	Authorization: Basic {{base64 admin:admin-password}}
//	Authorization: ApiKey {{base64 <id>:<api_key>}}
//
// A response is a status, header lines that must be there, and the body:
//
//   - Name: value   the header has exactly this value; several lines of a name are all its values, in order
//   - !Name         the header is absent
//   - {"a":1}       a JSON body of this value; the order of members and all spacing are free
//   - other text    the body, to the letter, but for blanks and newlines at its end; after an empty line
//   - ...           any body, also none
//   - nothing       the body is empty
//
// In header values and JSON strings <*> matches any text, <name> any text that
// is not empty, which it binds: wherever the name stands again, the same text
// must be (members are looked at in the order of their names). "<*>" as a whole value matches any value, "<name>" any string,
// number or boolean. The member "...":"..." allows an object to have more
// members than are named, and "..." at the end of an array allows more elements;
// "any order" at its beginning means what it says.
func TestWire(t *testing.T) { replayWire(t, false) }

// TestWireOnPostgres replays them over the other engine.
func TestWireOnPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("the store's own tests are the quick ones")
	}
	replayWire(t, true)
}

func replayWire(t *testing.T, postgres bool) {
	files, err := filepath.Glob("testdata/wire/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(f)
			if err != nil {
				t.Fatal(err)
			}
			house := newHouse(t, strings.HasPrefix(filepath.Base(f), "http_"), func(h *house) {
				h.postgres = postgres
				if strings.HasPrefix(filepath.Base(f), "anonymous_") {
					h.anonymous = []string{"own", "tokens"}
				}
				if strings.HasPrefix(filepath.Base(f), "policy_") {
					h.policies = policies(t)
				}
			})
			w := &wire{t: t, addr: startServer(t, house.Services).addr, bound: map[string]string{}}
			defer w.hangUp()
			exchanges := 0
			for sections := ar.Files; len(sections) > 0; {
				if later, ok := strings.CutSuffix(sections[0].Name, " later"); ok {
					d, err := time.ParseDuration(later)
					if err != nil {
						t.Fatal(err)
					}
					house.ahead.Add(int64(d))
					sections = sections[1:]
					continue
				}
				if len(sections) < 2 || sections[0].Name != "request" || sections[1].Name != "response" {
					t.Fatalf("section [%s] begins no pair of request and response", sections[0].Name)
				}
				ask, answer := sections[0], sections[1]
				sections = sections[2:]
				exchanges++
				request := w.expand(string(ask.Data))
				if problem := w.differs(w.send(request), string(answer.Data)); problem != "" {
					t.Fatalf("exchange %d, %s\n%s", exchanges, firstLine(request), problem)
				}
			}
			if len(ar.Comment) == 0 || exchanges == 0 {
				t.Fatal("a fixture is a sentence, then pairs of request and response")
			}
		})
	}
}

// wire is one client connection and what the responses on it have bound.
type wire struct {
	t     testing.TB
	addr  string
	conn  net.Conn
	in    *bufio.Reader
	bound map[string]string
}

type wireAnswer struct {
	status int
	header http.Header
	body   string
}

func (w *wire) hangUp() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// send writes a request as a fixture has it and reads the answer. The newline
// that ends a section is not part of its body.
func (w *wire) send(request string) wireAnswer {
	w.t.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	has := func(name string) bool {
		return slices.ContainsFunc(lines[1:], func(l string) bool {
			return len(l) > len(name) && strings.EqualFold(l[:len(name)], name) && l[len(name)] == ':'
		})
	}
	if body != "" && !has("Content-Type") && !slices.Contains(lines, "!Content-Type") {
		lines = append(lines, "Content-Type: application/json")
	}
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "!") })
	if !has("Host") {
		lines = append(lines, "Host: "+w.addr)
	}
	if !has("Content-Length") && !has("Transfer-Encoding") && body != "" {
		lines = append(lines, "Content-Length: "+strconv.Itoa(len(body)))
	}
	lines[0] += " HTTP/1.1"
	method, _, _ := strings.Cut(lines[0], " ")
	return w.raw(method, strings.Join(lines, "\r\n")+"\r\n\r\n"+body)
}

// raw writes bytes as they are.
func (w *wire) raw(method, text string) wireAnswer {
	w.t.Helper()
	if w.conn == nil {
		conn, err := net.Dial("tcp", w.addr)
		if err != nil {
			w.t.Fatal(err)
		}
		w.conn, w.in = conn, bufio.NewReader(conn)
	}
	if err := w.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	if _, err := io.WriteString(w.conn, text); err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		w.t.Fatalf("%s: %v", firstLine(text), err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if resp.Close {
		w.hangUp()
	}
	return wireAnswer{resp.StatusCode, resp.Header, string(body)}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

var reference = regexp.MustCompile(`\{\{(base64 )?(.*?)\}\}`)

// expand replaces {{...}}.
func (w *wire) expand(s string) string {
	value := func(name string) string {
		v, ok := w.bound[name]
		if !ok {
			w.t.Fatalf("nothing bound <%s> yet", name)
		}
		return v
	}
	return reference.ReplaceAllStringFunc(s, func(ref string) string {
		m := reference.FindStringSubmatch(ref)
		if m[1] == "" {
			return value(m[2])
		}
		plain := placeholder.ReplaceAllStringFunc(m[2], func(p string) string { return value(strings.Trim(p, "<>")) })
		return base64.StdEncoding.EncodeToString([]byte(plain))
	})
}

var headerLine = regexp.MustCompile(`^!?[A-Za-z][A-Za-z0-9-]*(: .*)?$`)

// differs says how an answer is not what the fixture wants, or "".
func (w *wire) differs(got wireAnswer, want string) string {
	full := fmt.Sprintf("\ngot %d %v\n%s\nwant %s", got.status, got.header, got.body, want)
	status, rest, _ := strings.Cut(want, "\n")
	if n, err := strconv.Atoi(strings.TrimSpace(status)); err != nil || n != got.status {
		return "status" + full
	}
	values := map[string][]string{}
	for rest != "" {
		line, more, _ := strings.Cut(rest, "\n")
		if line == "" {
			rest = more
			break
		}
		if !headerLine.MatchString(line) {
			break
		}
		rest = more
		if name, absent := strings.CutPrefix(line, "!"); absent {
			if len(got.header.Values(name)) > 0 {
				return "unwanted header " + name + full
			}
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		values[name] = append(values[name], value)
	}
	for name, want := range values {
		if !slices.EqualFunc(got.header.Values(name), want, w.sameText) {
			return "header " + name + full
		}
	}
	if problem := w.bodyDiffers(got.body, strings.TrimRight(rest, " \n")); problem != "" {
		return problem + full
	}
	return ""
}

func (w *wire) bodyDiffers(got, want string) string {
	switch {
	case want == "...":
		return ""
	case want == "" || want[0] != '{' && want[0] != '[':
		if !w.sameText(strings.TrimRight(got, " \n"), want) {
			return "body"
		}
		return ""
	}
	var g, m any
	if err := json.Unmarshal([]byte(want), &m); err != nil {
		return "the fixture's body is not JSON: " + err.Error()
	}
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		return "the body is not JSON: " + err.Error()
	}
	return w.valueDiffers("body", g, m)
}

// pairs reports whether each of want matches another one of list. What does not
// match binds nothing.
func (w *wire) pairs(list, want []any) bool {
	if len(want) == 0 {
		return true
	}
	for i := range list {
		before := maps.Clone(w.bound)
		if w.valueDiffers("", list[i], want[0]) == "" && w.pairs(slices.Delete(slices.Clone(list), i, i+1), want[1:]) {
			return true
		}
		w.bound = before
	}
	return false
}

// valueDiffers compares JSON values; at names the place.
func (w *wire) valueDiffers(at string, got, want any) string {
	bad := fmt.Sprintf("%s is %v; want %v", at, got, want)
	switch want := want.(type) {
	case string:
		if want == "<*>" {
			return ""
		}
		s, isString := got.(string)
		if _, composite := got.(map[string]any); !isString && !composite && got != nil && placeholder.FindString(want) == want {
			b, err := json.Marshal(got)
			if _, list := got.([]any); err != nil || list {
				return bad
			}
			s, isString = string(b), true
		}
		if !isString || !w.sameText(s, want) {
			return bad
		}
		return ""
	case []any:
		list, ok := got.([]any)
		if len(want) > 0 && want[0] == "any order" {
			if !ok || len(list) != len(want)-1 || !w.pairs(list, want[1:]) {
				return bad
			}
			return ""
		}
		open := len(want) > 0 && want[len(want)-1] == "..."
		if open {
			want = want[:len(want)-1]
		}
		if !ok || len(list) < len(want) || len(list) > len(want) && !open {
			return bad
		}
		for i, e := range want {
			if problem := w.valueDiffers(fmt.Sprintf("%s[%d]", at, i), list[i], e); problem != "" {
				return problem
			}
		}
		return ""
	case map[string]any:
		o, ok := got.(map[string]any)
		if !ok {
			return bad
		}
		_, open := want["..."]
		for name := range o {
			if _, named := want[name]; !named && !open {
				return at + " has an unwanted member " + name
			}
		}
		for _, name := range slices.Sorted(maps.Keys(want)) { // in a fixed order, for what they bind
			if name == "..." {
				continue
			}
			e := want[name]
			v, there := o[name]
			if !there {
				return at + " has no member " + name
			}
			if problem := w.valueDiffers(at+"."+name, v, e); problem != "" {
				return problem
			}
		}
		return ""
	default:
		if got != want {
			return bad
		}
		return ""
	}
}

var placeholder = regexp.MustCompile(`<(?:\*|[a-z][a-z0-9_]*)>`)

// sameText matches a text against one with placeholders, and binds them.
func (w *wire) sameText(got, want string) bool {
	var pattern strings.Builder
	var names []string
	at := 0
	for _, loc := range placeholder.FindAllStringIndex(want, -1) {
		pattern.WriteString(regexp.QuoteMeta(want[at:loc[0]]))
		at = loc[1]
		name := want[loc[0]+1 : loc[1]-1]
		switch value, bound := w.bound[name]; {
		case name == "*":
			pattern.WriteString(".*")
		case bound:
			pattern.WriteString(regexp.QuoteMeta(value))
		default:
			pattern.WriteString("(.+?)")
			names = append(names, name)
		}
	}
	pattern.WriteString(regexp.QuoteMeta(want[at:]))
	m := regexp.MustCompile(`(?s)^(?:` + pattern.String() + `)$`).FindStringSubmatch(got)
	if m == nil {
		return false
	}
	for i, name := range names {
		w.bound[name] = m[i+1]
	}
	return true
}
