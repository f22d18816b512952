package xcontent

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"

	"latchkey/internal/fault"
)

var parsers = map[string]func([]byte) (Value, error){"json": ParseJSON, "yaml": ParseYAML, "cbor": ParseCBOR}

// nested returns one text of n arrays inside of each other for each format.
func nested(n int) map[string]string {
	text := strings.Repeat("[", n) + "1" + strings.Repeat("]", n)
	return map[string]string{"json": text, "yaml": text, "cbor": strings.Repeat("\x81", n) + "\x01"}
}

func TestStrangersMayNest100Levels(t *testing.T) {
	for format, parse := range parsers {
		v, err := parse([]byte(nested(100)[format]))
		if err != nil {
			t.Errorf("%s of 100 levels: %v", format, err)
			continue
		}
		shown, err1 := v.YAML()
		packed, err2 := v.CBOR()
		if err1 != nil || err2 != nil {
			t.Errorf("%s of 100 levels cannot be shown: %v, %v", format, err1, err2)
		}
		for form, text := range map[string][]byte{"json": v.JSON(), "json inside": []byte(`{"a":[` + string(v.JSON()) + `]}`), "pretty": v.AppendPretty(nil, 0)} {
			if _, err := ParseOwn(text); err != nil {
				t.Errorf("%s of 100 levels as %s: %v", format, form, err)
			}
		}
		if _, err := ParseYAML(shown); err != nil {
			t.Errorf("%s of 100 levels as YAML: %v", format, err)
		}
		if _, err := ParseCBOR(packed); err != nil {
			t.Errorf("%s of 100 levels as CBOR: %v", format, err)
		}
		for _, n := range []int{101, 500, 5000} {
			_, err := parse([]byte(nested(n)[format]))
			if fault.KindOf(err) != fault.Malformed || !strings.Contains(err.Error(), "nests deeper than 100 levels") {
				t.Errorf("%s of %d levels: %v; want fault.Malformed", format, n, err)
			}
		}
	}
	if _, err := ParseOwn([]byte(nested(1000)["json"])); err != nil {
		t.Errorf("our own text of 1000 levels: %v", err)
	}
	if _, err := ParseOwn([]byte(nested(1001)["json"])); err == nil {
		t.Error("our own text of 1001 levels is accepted")
	}
}

func TestValuesOfOneBodyAreBounded(t *testing.T) {
	many := func(open, one, end string, n int) []byte {
		return []byte(open + strings.Repeat(one, n) + end)
	}
	tests := []struct {
		name, format string
		body         []byte
		accepted     bool
	}{
		{"as many as there may be", "json", many("[", "1,", "1]", maxValues-2), true},
		{"one too many", "json", many("[", "1,", "1]", maxValues-1), false},
		{"as many as there may be", "cbor", many("\x9f", "\x01", "\xff", maxValues-1), true},
		{"one too many", "cbor", many("\x9f", "\x01", "\xff", maxValues), false},
		{"one too many, in small arrays", "cbor", many("\x9f", "\x82\x01\x01", "\xff", maxValues/3+1), false},
		{"many lines", "yaml", many("", "- 1\n", "", maxMarks/2-1), true},
		{"too many lines", "yaml", many("", "- 1\n", "", maxMarks/2+1), false},
		{"too many in a flow", "yaml", many("[", "1,", "1]", maxMarks+1), false},
	}
	for _, tt := range tests {
		_, err := parsers[tt.format](tt.body)
		if tt.accepted && err != nil || !tt.accepted && (fault.KindOf(err) != fault.Malformed || !strings.Contains(err.Error(), "more than ")) {
			t.Errorf("%s: %s: %v; want accepted: %v", tt.format, tt.name, err, tt.accepted)
		}
	}
	if v, err := ParseOwn(many("[", "1,", "1]", maxValues)); err != nil || len(v.Items) != maxValues+1 {
		t.Errorf("our own text of more values: %d, %v", len(v.Items), err)
	}
	if size := unsafe.Sizeof(Value{}); size > 80 {
		t.Errorf("a value takes %d bytes; a body of a million of them should not take more than 80 MB", size)
	}
}

func TestScalarsOfYAML(t *testing.T) {
	tests := []struct{ in, want string }{ // want "": refused
		{`!!int '{"a":1,"a":2}'`, ""}, {`!!int '"x"'`, ""}, {`!!int 'true'`, ""}, {`!!int 'null'`, ""}, {`!!int '[1]'`, ""}, {`!!int ' 1'`, ""},
		{`!!float '{}'`, ""}, {`!!float "x"`, ""}, {`!!int "12"`, "12"}, {`!!float "1.50"`, "1.50"}, {`!!int ''`, ""}, {`!!int 2001-01-01`, ""},
		{"12", "12"}, {"1.50e3", "1.50e3"}, {"0x1F", "31"}, {"0o17", "15"}, {"017", "15"}, {"0b11", "3"}, {"1_000", "1000"}, {"+5", "5"}, {".5", "0.5"}, {"-.5", "-0.5"}, {"5.", "5"},
		{"1e400", "1e400"}, {"99999999999999999999999999", "99999999999999999999999999"}, {"0xffffffffffffffff", "18446744073709551615"},
		{".inf", ""}, {"-.Inf", ""}, {".nan", ""}, {"1:30", `"1:30"`}, {"2001-01-01", `"2001-01-01"`}, {"2001-12-14t21:59:43.10-05:00", `"2001-12-14t21:59:43.10-05:00"`},
		{"true", "true"}, {"FALSE", "false"}, {"yes", `"yes"`}, {"!!bool true", "true"}, {"!!bool 'yes'", ""}, {"!!bool x", ""}, {"!!bool 1", ""},
		{"~", "null"}, {"null", "null"}, {"!!null ''", "null"}, {"!!null content", ""}, {"!!null 1", ""},
		{"!!str 1", `"1"`}, {"!!str", `""`}, {"! 1", "1"}, {"!!binary YWxs", `"YWxs"`}, {"!!timestamp 2001-01-01", `"2001-01-01"`},
		{"<<", `"<<"`}, {"!!merge x", ""}, {"!other x", ""}, {"!!set {a, b}", ""}, {"!!omap [a: 1]", ""}, {"!!map [a]", ""}, {"!!seq {a: 1}", ""}, {"!!int [1]", ""}, {"!!str {}", ""},
	}
	for _, tt := range tests {
		v, err := ParseYAML([]byte("x: " + tt.in + "\n"))
		if tt.want == "" {
			if fault.KindOf(err) != fault.Malformed {
				t.Errorf("%s became %s, %v; want fault.Malformed", tt.in, v.JSON(), err)
			}
			continue
		}
		if x, _ := v.Get("x"); err != nil || string(x.JSON()) != tt.want {
			t.Errorf("%s became %s, %v; want %s", tt.in, x.JSON(), err, tt.want)
		}
	}
	for _, name := range []string{"!!int '{}'", "!!binary YQ==", "!!merge x", "<<", "!!null ''", "[a]", "{a: 1}", "*a"} {
		if v, err := ParseYAML([]byte("? " + name + "\n: 1\n")); fault.KindOf(err) != fault.Malformed {
			t.Errorf("the name %s: %s, %v; want fault.Malformed", name, v.JSON(), err)
		}
	}
	if v, err := ParseYAML([]byte("\"<<\": 1\n!!str 1: 2\n3: 3\n")); err != nil || string(v.JSON()) != `{"<<":1,"1":2,"3":3}` {
		t.Errorf("odd names: %s, %v", v.JSON(), err)
	}
}

func TestScalarsOfCBOR(t *testing.T) {
	tests := []struct{ name, in, want string }{ // want "": refused
		{"half a float", "\xf9\x3e\x00", "1.5"}, {"the largest integer", "\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615"},
		{"the smallest 64-bit integer", "\x3b\x7f\xff\xff\xff\xff\xff\xff\xff", "-9223372036854775808"},
		{"an integer below that", "\x3b\xff\xff\xff\xff\xff\xff\xff\xff", ""},
		{"infinity", "\xf9\x7c\x00", ""}, {"no number", "\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00", ""},
		{"null", "\xf6", "null"}, {"undefined", "\xf7", "null"}, {"a simple value", "\xf8\xff", ""}, {"a short simple value", "\xe0", ""},
		{"text in pieces", "\x7f\x61a\x60\x62bc\xff", `"abc"`}, {"bytes", "\x43abc", `"YWJj"`}, {"bytes in pieces", "\x5f\x41a\x42bc\xff", `"YWJj"`},
		{"bad UTF-8", "\x62\xff\xff", ""}, {"a bignum", "\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00", ""}, {"a date", "\xc0\x63abc", ""},
		{"the tag that says CBOR", "\xd9\xd9\xf7\x01", ""}, {"a tag around much", "\xc6\x82\x01\x02", ""},
		{"bytes for a name", "\xa1\x41a\x01", ""}, {"a tagged name", "\xa1\xc0\x61a\x01", ""}, {"an empty name", "\xa1\x60\x01", `{"":1}`},
		{"an array that claims to be huge", "\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", ""}, {"text that claims to be huge", "\x7b\x7f\xff\xff\xff\xff\xff\xff\xff", ""},
		{"a name without value", "\xbf\x61a\xff", ""}, {"a lone break", "\xff", ""}, {"nothing", "", ""}, {"two items", "\x01\x01", ""},
	}
	for _, tt := range tests {
		v, err := ParseCBOR([]byte(tt.in))
		if tt.want == "" && fault.KindOf(err) != fault.Malformed || tt.want != "" && (err != nil || string(v.JSON()) != tt.want) {
			t.Errorf("%s became %s, %v; want %q", tt.name, v.JSON(), err, tt.want)
		}
	}
}

// Every literal that was accepted can be shown in every form.
func TestNumbersThatCBORDoesNotHave(t *testing.T) {
	v, err := ParseJSON([]byte(`[1e999999,-1e400,18446744073709551615,1e-999999,-0,1.5,9223372036854775808e0]`))
	if err != nil {
		t.Fatal(err)
	}
	b, err := v.CBOR()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseCBOR(b)
	if want := `["1e999999","-1e400",18446744073709551615,0,0,1.5,9223372036854776000]`; err != nil || string(again.JSON()) != want {
		t.Errorf("through CBOR: %s, %v; want %s", again.JSON(), err, want)
	}
	y, err := v.YAML()
	if err != nil || !bytes.Contains(y, []byte("1e999999")) {
		t.Errorf("as YAML: %s, %v", y, err)
	}
	broken := Value{Kind: Object, Members: []Member{{Name: "a\xff", Value: Value{Kind: String, Text: "b\xff"}}}}
	y, err1 := broken.YAML()
	b, err2 := broken.CBOR()
	read, err3 := ParseCBOR(b)
	if err1 != nil || err2 != nil || err3 != nil || string(read.JSON()) != string(broken.JSON()) || !bytes.Contains(y, []byte("\uFFFD")) {
		t.Errorf("bad UTF-8: %q, %s, %v, %v, %v", y, read.JSON(), err1, err2, err3)
	}
}
