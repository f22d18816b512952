package xcontent

import (
	"strings"
	"testing"
	"time"

	"latchkey/internal/fault"
)

func TestFormsAgree(t *testing.T) {
	const want = `{"name":"n","n":[1,-2.5,true,null],"o":{"a b":""}}`
	forms := map[string]func() (Value, error){
		"json": func() (Value, error) { return ParseJSON([]byte(" " + want + "\n")) },
		"yaml": func() (Value, error) {
			return ParseYAML([]byte("name: n\nn: [1, -2.5, true, null]\no:\n  a b: ''\n"))
		},
		"cbor": func() (Value, error) {
			v, err := ParseJSON([]byte(want))
			if err != nil {
				return v, err
			}
			b, err := v.CBOR()
			if err != nil {
				return v, err
			}
			return ParseCBOR(b)
		},
		"yaml written by us": func() (Value, error) {
			v, _ := ParseJSON([]byte(want))
			b, err := v.YAML()
			if err != nil {
				return v, err
			}
			return ParseYAML(b)
		},
	}
	for name, parse := range forms {
		v, err := parse()
		if err != nil || string(v.JSON()) != want {
			t.Errorf("%s: got %s, %v; want %s", name, v.JSON(), err, want)
		}
	}
}

func TestJSONKeepsLiteralsAndPositions(t *testing.T) {
	v, err := ParseJSON([]byte("{\n  \"a\": 1.50e3,\n  \"b\" : [ \"x\" ]}"))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := v.Get("b")
	if got := string(v.JSON()); got != `{"a":1.50e3,"b":["x"]}` || b.Line != 3 || b.Col != 9 || v.Members[1].Col != 3 {
		t.Errorf("got %s, b at %d:%d, its name at col %d", got, b.Line, b.Col, v.Members[1].Col)
	}
}

func TestRefusedBodies(t *testing.T) {
	tests := []struct {
		name, body string
		parse      func([]byte) (Value, error)
		kind       fault.Kind
		prefix     string
	}{
		{"HT-30: a member twice", `{"a":1,"a":2}`, ParseJSON, fault.Malformed, "[1:8] "},
		{"HT-31: cut off", `{"a":`, ParseJSON, fault.Truncated, "[1:6] "},
		{"text after the end", `{} {}`, ParseJSON, fault.Malformed, "[1:4] "},
		{"junk after the end", `{} x`, ParseJSON, fault.Malformed, "[1:4] "},
		{"bad UTF-8", "{\"a\":\"\xff\"}", ParseJSON, fault.Malformed, "[1:"},
		{"single quotes", `{'a':1}`, ParseJSON, fault.Malformed, "[1:2] "},
		{"too deep", strings.Repeat("[", 2000) + strings.Repeat("]", 2000), ParseJSON, fault.Malformed, "[1:"},
		{"yaml alias", "a: &x 1\nb: *x\n", ParseYAML, fault.Malformed, "[2:4] "},
		{"yaml twice", "a: 1\na: 2\n", ParseYAML, fault.Malformed, "[2:1] "},
		{"yaml two documents", "a: 1\n---\nb: 1\n", ParseYAML, fault.Malformed, "[1:1] "},
		{"cbor cut off", "\xa1\x61a", ParseCBOR, fault.Malformed, "[1:1] "},
		{"cbor number as name", "\xa1\x01\x01", ParseCBOR, fault.Malformed, "[1:2] "},
		{"cbor twice", "\xa2\x61a\x01\x61a\x01", ParseCBOR, fault.Malformed, "[1:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.parse([]byte(tt.body))
			if fault.KindOf(err) != tt.kind || err == nil || !strings.HasPrefix(err.Error(), tt.prefix) {
				t.Errorf("parse(%.20q) = %v; want kind %v and prefix %q", tt.body, err, tt.kind, tt.prefix)
			}
		})
	}
}

func TestRead(t *testing.T) {
	var name string
	var ids []string
	var owner bool
	fields := Fields{"name": ToString(&name), "ids": ToStrings(&ids), "owner": ToBool(&owner),
		"expiration": func(v Value) error { _, err := ParseDuration(v.Text, "expiration"); return err }}
	tests := []struct{ name, body, want string }{
		{"all of it", `{"name":"n","ids":"x","owner":"true"}`, ""},
		{"HT-29: unknown", `{"nmae":1}`, `[1:2] [p] unknown field [nmae] did you mean [name]?`},
		{"wrong type", `{"name":1}`, `[1:9] [p] field [name] must be a string, but found [VALUE_NUMBER]`},
		{"wrong item", `{"ids":["a",null]}`, `[1:13] [p] field [ids] must be an array of strings, but found [VALUE_NULL]`},
		{"no object", `[]`, `[1:1] [p] expected an object but found [START_ARRAY]`},
		{"bad value", `{"expiration":"5"}`, `[1:15] [p] failed to parse field [expiration]: [expiration] needs a whole number and a unit (nanos, micros, ms, s, m, h, d), as in [30m], but is [5]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := ParseJSON([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := v.Read("p", fields); err != nil {
				if got = err.Error(); fault.KindOf(err) != fault.Malformed {
					t.Errorf("kind of %v is %v; want Malformed", err, fault.KindOf(err))
				}
			}
			if got != tt.want {
				t.Errorf("Read(%s)\n got %q\nwant %q", tt.body, got, tt.want)
			}
		})
	}
	if name != "n" || len(ids) != 1 || !owner {
		t.Errorf("read name %q, ids %v, owner %v", name, ids, owner)
	}
}

func TestParseDuration(t *testing.T) {
	tests := []struct {
		in   string
		want time.Duration
		bad  bool
	}{
		{"1d", 24 * time.Hour, false}, {"5m", 5 * time.Minute, false}, {"10MS", 10 * time.Millisecond, false},
		{"7nanos", 7, false}, {"2micros", 2000, false}, {"1H", time.Hour, false}, {"0", 0, false}, {"-1", -1, false},
		{"1M", 0, true}, {"1w", 0, true}, {"1.5h", 0, true}, {"-2s", 0, true}, {"5", 0, true}, {"", 0, true},
		{"s", 0, true}, {"999999999999d", 0, true}, {"１s", 0, true},
	}
	for _, tt := range tests {
		got, err := ParseDuration(tt.in, "x")
		if got != tt.want || (err != nil) != tt.bad || err != nil && fault.KindOf(err) != fault.Argument {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v, bad %v", tt.in, got, err, tt.want, tt.bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x",null,true]}`, "a: [1, 'x']\n", "\xa1\x61a\x82\x01\xf6", "\x9f\x01\xff", "!!binary x", "a: 0x1F\nb: .inf"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (Value, error){ParseJSON, ParseYAML, ParseCBOR} {
			v, err := parse(b)
			if err != nil {
				continue
			}
			again, err := ParseJSON(v.JSON())
			if err != nil || string(again.JSON()) != string(v.JSON()) {
				t.Fatalf("%q became %s, which does not read back: %v", b, v.JSON(), err)
			}
			if pretty, err := ParseJSON(v.AppendPretty(nil, 0)); err != nil || string(pretty.JSON()) != string(v.JSON()) {
				t.Fatalf("%q, shown pretty, became %s, %v", b, pretty.JSON(), err)
			}
			packed, err := v.CBOR()
			if err == nil {
				_, err = ParseCBOR(packed)
			}
			if err != nil {
				t.Fatalf("%q became %s, which CBOR cannot show: %v", b, v.JSON(), err)
			}
			shown, err := v.YAML()
			if err == nil {
				again, err = ParseYAML(shown)
			}
			if err != nil || texts(again) != texts(v) {
				t.Fatalf("%q became %s, which YAML shows as %s: %s, %v", b, v.JSON(), shown, again.JSON(), err)
			}
		}
	})
}

// texts returns what v says, without how its numbers are written.
func texts(v Value) string {
	if v.Kind == Number {
		return "0"
	}
	out := string(v.appendScalar(nil))
	for _, e := range v.Items {
		out += "," + texts(e)
	}
	for _, m := range v.Members {
		out += "," + string(appendString(nil, m.Name)) + ":" + texts(m.Value)
	}
	return out
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"1d", "0", "-1", "1.5h", "10 MS", "9223372036854775807nanos", "106751d", "106752d", "1M", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s, "x")
		switch {
		case err != nil && (d != 0 || fault.KindOf(err) != fault.Argument):
			t.Errorf("ParseDuration(%q) = %v, %v", s, d, err)
		case err == nil && d < -1:
			t.Errorf("ParseDuration(%q) = %v, which is negative", s, d)
		}
	})
}
